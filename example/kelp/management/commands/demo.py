from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

HOST = "127.0.0.1"
LOG = settings.RUN_DIR / "worker.log"
READY = " ready."
START_SECONDS = 30
STOP_SECONDS = 3


def port_number(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535.")


class Command(BaseCommand):
    help = "Prepares the database, starts a Celery worker and serves the example, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("port", nargs="?", type=port_number, default=8000)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)
        # Bound before all else, so that a port in use is known before anything has been started,
        # and no other program can take it meanwhile, as it could after a mere test.
        server = bound_server(port)
        call_command("migrate", verbosity=0, interactive=False)
        create_admin()
        self.stdout.write("Starting a Celery worker…")
        worker = start_worker()
        try:
            wait_until_ready(worker)
            self.tell(port)
            server.set_app(StaticFilesHandler(get_wsgi_application()))
            server.serve_forever()
        finally:
            self.stdout.write("\nStopping…")
            stop(worker)

    def tell(self, port: int) -> None:
        url = self.style.SUCCESS(f"http://{HOST}:{port}/")
        self.stdout.write(
            f"\n  The example   {url}\n"
            f"  Its admin     {url}admin/   name: admin   password: admin\n"
            f"  Worker's log  {os.path.relpath(LOG)}\n\n"
            "Ctrl-C stops it all.\n"
        )
        self.stdout.flush()


def leave(number: int, frame: Any) -> None:
    sys.exit(0)


def bound_server(port: int) -> ThreadedWSGIServer:
    try:
        return ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    except OSError as error:
        raise CommandError(
            f"Port {port} can't be used ({error.strerror}). "
            f"Choose another one, for instance: PORT={port + 1} make demo"
        ) from None


def create_admin() -> None:
    users = get_user_model()
    if not users.objects.filter(username="admin").exists():
        users.objects.create_superuser("admin", "admin@example.com", "admin")


def start_worker() -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own, so that Ctrl-C reaches this process alone."""
    command = [sys.executable, "-m", "celery", "-A", "example", "worker", "-c", "2"]
    with LOG.open("wb") as log:
        return subprocess.Popen(
            [*command, "--loglevel", "INFO"],
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
            raise CommandError(f"The Celery worker ended at its start:\n\n{last_lines(LOG)}")
        if time.monotonic() > end:
            raise CommandError(f"The Celery worker is not ready yet:\n\n{last_lines(LOG)}")
        time.sleep(0.1)


def last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Stop the worker with all its children, soon."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # SIGTERM would wait for running tasks to end; SIGQUIT lets them go, and say so on their rows.
    worker.send_signal(signal.SIGQUIT)
    with suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
