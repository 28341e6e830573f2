from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from kelp.models import LogBook

HOST = "127.0.0.1"
LOG = settings.RUN_DIR / "worker.log"
READY = " ready."
START_SECONDS = 30
RESTART_SECONDS = 5
STOP_SECONDS = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def port_number(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port: use a number from 1 to 65535.")


class Command(BaseCommand):
    help = "Prepares the database, starts a Celery worker and serves the example, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("port", nargs="?", type=port_number, default=8000)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        for number in SIGNALS:
            signal.signal(number, leave)
        # Bound first, so that a port in use is noticed before anything is started, and no other
        # program can take it meanwhile, as it could after a mere test.
        server = bound_server(port)
        call_command("migrate", verbosity=0, interactive=False)
        create_admin()
        create_log_books()
        self.stdout.write("Starting a Celery worker…")
        LOG.unlink(missing_ok=True)
        self.worker = None
        try:
            self.start_worker()
            wait_until_ready(self.worker)
            self.tell(port)
            server.set_app(StaticFilesHandler(get_wsgi_application()))
            server.service_actions = self.look_after_worker
            server.serve_forever()
        finally:
            self.stdout.write("\nStopping…")
            stop(self.worker)

    def start_worker(self) -> None:
        with signals_put_off():
            self.worker = started_worker()
        self.started_at = time.monotonic()

    def look_after_worker(self) -> None:
        """If the worker has died, say so and start another one; called twice a second."""
        if self.worker.poll() is None or time.monotonic() < self.started_at + RESTART_SECONDS:
            return
        self.stdout.write(
            self.style.ERROR(f"\nThe Celery worker has died ({ending(self.worker)}).")
            + f" The end of its log:\n\n{last_lines(LOG)}\n\nStarting another one…"
        )
        self.stdout.flush()
        kill_all_of(self.worker)
        self.start_worker()

    def tell(self, port: int) -> None:
        url = self.style.SUCCESS(f"http://{HOST}:{port}/")
        self.stdout.write(
            f"\n  The example   {url}\n"
            f"  Its admin     {url}admin/   name: admin   password: admin\n"
            f"  Worker's log  {os.path.relpath(LOG)}\n\n"
            "Ctrl-C stops everything.\n"
        )
        self.stdout.flush()


def leave(number: int, frame: Any) -> None:
    ignore_signals()
    sys.exit(0)


def ignore_signals() -> None:
    """Ignore further signals: the worker is being stopped."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def bound_server(port: int) -> ThreadedWSGIServer:
    try:
        return ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    except OSError as error:
        raise CommandError(
            f"Port {port} can't be used ({error.strerror}). "
            f"Choose another one, for example: PORT={port + 1} make demo"
        ) from None


def create_admin() -> None:
    users = get_user_model()
    if not users.objects.filter(username="admin").exists():
        users.objects.create_superuser("admin", "admin@example.com", "admin")


def create_log_books() -> None:
    for boat in ("Havella", "Kaia", "Sjøstjerna"):
        LogBook.objects.get_or_create(boat=boat, season="Spring")


@contextmanager
def signals_put_off() -> Iterator[None]:
    """Hold back signals: one could not stop a process that is just being started."""
    came: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, leave)
    if came:
        leave(came[0], None)


def started_worker() -> subprocess.Popen[bytes]:
    """Start a worker in its own session, so that Ctrl-C reaches this process alone."""
    command = "celery -A example worker -c 2 --loglevel INFO --without-gossip --without-mingle"
    with LOG.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(worker: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while READY not in LOG.read_text(errors="replace"):
        if worker.poll() is not None:
            raise CommandError(f"The Celery worker ended while starting:\n\n{last_lines(LOG)}")
        if time.monotonic() > end:
            raise CommandError(f"The Celery worker is not ready yet:\n\n{last_lines(LOG)}")
        time.sleep(0.1)


def last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])


def ending(worker: subprocess.Popen[bytes]) -> str:
    """Return how a process ended: "exit code 1" or "SIGKILL"."""
    code = worker.returncode
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def stop(worker: subprocess.Popen[bytes] | None) -> None:
    """Stop the worker with all its children, soon."""
    ignore_signals()
    if worker is None:
        return
    # SIGTERM would wait for running tasks to end; SIGQUIT drops them, and their rows say so.
    worker.send_signal(signal.SIGQUIT)
    with suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_SECONDS)
    kill_all_of(worker)


def kill_all_of(worker: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a worker and its children, where a task may still be running."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
