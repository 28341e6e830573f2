"""Some thirty kinds of task. Each notes for the oracle what it does, before it tells its bar."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Reject
from django.db import transaction

from progress_widget.bars import ProgressBar
from progress_widget.exceptions import DoesNotExist
from tests.workers.chaos_oracle import is_first_run, note, witnessed

TURN = 0.1


def task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a task whose runs have a witness."""

    def register(work: Callable[..., Any]) -> Any:
        @functools.wraps(work)
        def run(self: Any, *args: Any) -> Any:
            with witnessed(self.request.id):
                return work(self, *args)

        return shared_task(bind=True, max_retries=3, **options)(run)

    return register


def begin(task_id: str, total: int | None = 4) -> ProgressBar:
    note(task_id, "opened")
    return ProgressBar(task_id, total=total, step="Drying kelp...")


def reach(bar: ProgressBar, *turns: int) -> None:
    """Work, and report each turn."""
    for turn in turns:
        time.sleep(TURN)
        note(bar.task_id, "reached", percent=100 * turn / bar.total if bar.total else 0)
        bar.update(progress=turn)


def tell(bar: ProgressBar, state: str) -> None:
    """End a bar by its own word."""
    note(bar.task_id, "told", state=state)
    bar.finalize() if state == "succeeded" else bar.fail("The kelp is wet.")


def planned() -> ValueError:
    return ValueError("planned: password=hunter2")


@task()
def plain(self, turns=4):
    reach(begin(self.request.id, turns), *range(1, turns + 1))


@task()
def track(self):
    bar = begin(self.request.id)
    for turn in bar.track(range(1, 5)):
        time.sleep(TURN)
        note(bar.task_id, "reached", percent=100 * turn / 4)


@task()
def loop(self):
    bar = begin(self.request.id, 1_000)
    note(bar.task_id, "reached", percent=99.9)
    for turn in range(1_000):
        bar.update(progress=turn)


@task()
def short(self):
    note(self.request.id, "reached", percent=100)
    begin(self.request.id, 1).update(progress=1)
    time.sleep(0.001)


@task()
def fail(self):
    reach(begin(self.request.id), 1, 2)
    raise planned()


@task()
def say_fail(self):
    bar = begin(self.request.id)
    reach(bar, 1, 2)
    tell(bar, "failed")


@task()
def finalize(self):
    bar = begin(self.request.id)
    reach(bar, 1, 2)
    tell(bar, "succeeded")


@shared_task(bind=True)
def helper(self, task_id):
    """Bring a bar to its total; called as a function, within another task."""
    reach(begin(task_id, 2), 1, 2)


@task()
def call(self, fails=False):
    helper(self.request.id)
    time.sleep(1)
    if fails:
        raise planned()


@task()
def in_thread(self, fails=False):
    thread = threading.Thread(target=helper, args=(self.request.id,))
    thread.start()
    thread.join()
    time.sleep(1)
    if fails:
        raise planned()


@task()
def advance(self, bar_id):
    """Do one part of what several tasks do together."""
    time.sleep(TURN)
    try:
        bar = ProgressBar.get(bar_id)
    except DoesNotExist:
        note(bar_id, "missed")
        return
    note(bar_id, "added")
    bar.advance()


@task()
def conclude(self, bar_id):
    """End what several tasks have done together."""
    note(bar_id, "told", state="succeeded")
    ProgressBar.get(bar_id).finalize()


@task()
def replace(self):
    reach(begin(self.request.id), 1, 2)
    raise self.replace(self.app.tasks["tests.workers.chaos_tasks.plain"].s())


@task()
def two_bars(self):
    own, other = begin(self.request.id), begin(f"{self.request.id}-other", 2)
    reach(other, 1, 2)
    reach(own, 1, 2)


@task()
def in_transaction(self, leaves_by=None):
    try:
        with transaction.atomic(), transaction.atomic():
            reach(begin(self.request.id), 1, 2)
            if leaves_by == "rollback":
                raise planned()
    except ValueError:
        time.sleep(TURN)


@shared_task
def on_error(request, exception, traceback):
    """Report on the bar of the task that fails, while it does."""
    try:
        ProgressBar.get(request.id).update(step="Looking for who is to blame...")
    except DoesNotExist:
        note(request.id, "missed")


@task()
def retry(self, countdown):
    """Succeed in the second run."""
    with begin(self.request.id) as bar:
        reach(bar, 1, 2)
        if not self.request.retries:
            raise self.retry(countdown=countdown)
        note(bar.task_id, "told", state="succeeded")


@task()
def retry_then_leave(self, fails):
    """End the second run before it has a bar."""
    if not self.request.retries:
        reach(begin(self.request.id), 1, 2)
        raise self.retry(countdown=0)
    time.sleep(TURN)
    if fails:
        raise planned()


@task(autoretry_for=(OSError,), default_retry_delay=0)
def autoretry_then_fail(self):
    if not self.request.retries:
        reach(begin(self.request.id), 1, 2)
        raise OSError("planned")
    raise planned()


@task()
def load_first(self, fails=False):
    time.sleep(1.5)
    if fails:
        raise planned()
    reach(begin(self.request.id), 1, 2, 3, 4)


@task(soft_time_limit=1)
def soft_limit(self):
    reach(begin(self.request.id, 100), *range(1, 100))


@task(time_limit=1)
def hard_limit(self):
    reach(begin(self.request.id, 100), *range(1, 100))


@task(time_limit=8)
def within_limit(self):
    reach(begin(self.request.id, 10), *range(1, 11))


@task()
def unknown_total(self):
    reach(begin(self.request.id, None), 1, 2, 3)


@task()
def total_of_none(self):
    begin(self.request.id, 0)
    time.sleep(TURN)


@task()
def leave_by_exception(self):
    with begin(self.request.id) as bar:
        reach(bar, 1, 2)
        raise planned()


@task()
def until_revoked(self):
    reach(begin(self.request.id, 300), *range(1, 300))


@task()
def ignore(self):
    reach(begin(self.request.id), 1, 2)
    raise Ignore


@task(acks_late=True)
def requeue(self):
    reach(begin(self.request.id), 1, 2)
    if is_first_run(self.request.id):
        raise Reject("again", requeue=True)


@task(acks_late=True, reject_on_worker_lost=True)
def late(self):
    reach(begin(self.request.id, 15), *range(1, 16))
