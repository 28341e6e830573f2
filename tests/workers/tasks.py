"""Tasks that meet the fates that a Celery task can meet."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path

from celery import shared_task
from celery.exceptions import Ignore, Reject
from django.db import transaction

from progress_widget.bars import ProgressBar
from progress_widget.exceptions import Cancelled
from progress_widget.models import TaskProgress
from progress_widget.writing import background

STEP = "Drying kelp..."

# So that a worker at rest need not be watched for half a minute.
background.LINGER = float(os.environ.get("PROGRESS_TEST_LINGER", "30"))


def wait_for(path: str) -> None:
    """Work until the test creates this file."""
    while not Path(path).exists():
        time.sleep(0.02)


def report(task, progress, total=4):
    """Start a bar, report, and wait until the row has it: a kill may lose the rest."""
    bar = ProgressBar(task.request.id, total=total, step=STEP)
    bar.update(progress=progress)
    while not TaskProgress.objects.filter(task_id=task.request.id, progress=progress).exists():
        time.sleep(0.02)
    return bar


@shared_task(bind=True)
def succeed(self, turns=4):
    bar = ProgressBar(self.request.id, total=turns, step=STEP)
    for turn in range(turns):
        bar.update(progress=turn + 1)


@shared_task(bind=True)
def finalize(self):
    bar = ProgressBar(self.request.id, total=4, step=STEP)
    bar.update(progress=2)
    bar.finalize()


@shared_task(bind=True)
def track(self, turns=10):
    with ProgressBar(self.request.id, step=STEP) as bar:
        for _ in bar.track(range(turns)):
            pass


@shared_task(bind=True)
def raise_exception(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    raise ValueError("password=hunter2")


@shared_task(bind=True, acks_late=True)
def raise_exception_late(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    raise ValueError("password=hunter2")


@shared_task(bind=True)
def finalize_then_raise(self):
    ProgressBar(self.request.id, total=4, step=STEP).finalize()
    raise ValueError("password=hunter2")


@shared_task(bind=True)
def say_why(self):
    ProgressBar(self.request.id, total=4, step=STEP).fail("The kelp is wet.")


@shared_task(bind=True, max_retries=3)
def retry_then_succeed(self):
    with ProgressBar(self.request.id, total=4, step=STEP) as bar:
        bar.update(progress=2)
        if self.request.retries == 0:
            raise self.retry(countdown=0.2)


@shared_task(bind=True, max_retries=1)
def retry_for_ever(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    raise self.retry(countdown=0.2)


@shared_task(bind=True, autoretry_for=(OSError,), default_retry_delay=0.2)
def autoretry(self):
    with ProgressBar(self.request.id, total=4, step=STEP) as bar:
        bar.update(progress=2)
        if self.request.retries == 0:
            raise OSError("no kelp yet")


def begin_only_the_first_time(task):
    """Make a bar and retry; from the second run on, there is none."""
    if task.request.retries == 0:
        report(task, 2)
        raise task.retry(countdown=0.2)


@shared_task(bind=True)
def retry_then_raise_at_once(self):
    begin_only_the_first_time(self)
    raise ValueError("password=hunter2")


@shared_task(bind=True)
def retry_then_return_at_once(self):
    begin_only_the_first_time(self)


@shared_task(bind=True, autoretry_for=(OSError,), default_retry_delay=0.2, max_retries=1)
def autoretry_then_raise_at_once(self):
    if self.request.retries == 0:
        report(self, 2)
    raise OSError("password=hunter2")


@shared_task
def open_bar(task_id):
    ProgressBar(task_id, total=4, step=STEP).update(progress=4)


@shared_task(bind=True)
def open_in_called_task(self, path):
    open_bar(self.request.id)
    wait_for(path)
    raise ValueError("password=hunter2")


@shared_task(bind=True)
def open_in_thread(self, path):
    thread = threading.Thread(target=open_bar, args=(self.request.id,))
    thread.start()
    thread.join()
    wait_for(path)
    raise ValueError("password=hunter2")


def run(task, path):
    bar = report(task, 1)
    wait_for(path)
    bar.update(progress=2)


@shared_task(bind=True)
def run_until(self, path):
    run(self, path)


@shared_task(bind=True)
def work_without_queries(self, path):
    bar = ProgressBar(self.request.id, total=4, step=STEP)
    bar.update(progress=1)
    wait_for(path)
    bar.update(progress=2)


@shared_task(bind=True, acks_late=True)
def run_until_late(self, path):
    run(self, path)


@shared_task(bind=True)
def kill_own_process(self):
    report(self, 2)
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(bind=True)
def ignore(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    raise Ignore


@shared_task(bind=True, acks_late=True)
def reject(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    raise Reject("no", requeue=False)


@shared_task(bind=True, acks_late=True)
def requeue(self, path):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    if not Path(path).exists():
        Path(path).touch()
        raise Reject("again", requeue=True)


@shared_task(bind=True, soft_time_limit=1)
def exceed_soft_limit(self, path):
    run(self, path)


@shared_task(bind=True, time_limit=1)
def exceed_hard_limit(self, path):
    run(self, path)


@shared_task(bind=True, time_limit=1)
def exceed_hard_limit_in_transaction(self, path):
    with transaction.atomic():
        bar = ProgressBar(self.request.id, total=4, step=STEP)
        bar.update(progress=2)
        wait_for(path)


@shared_task(bind=True)
def exit_process(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    sys.exit(1)


@shared_task(bind=True, retry_on_worker_lost=True, default_retry_delay=4)
def exit_process_the_first_time(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    if self.request.retries == 0:
        sys.exit(1)


@shared_task(bind=True)
def work_in_transaction(self, path):
    with transaction.atomic():
        bar = ProgressBar(self.request.id, total=4, step=STEP)
        bar.update(progress=3)
        wait_for(path)


@shared_task(bind=True)
def speak_then_be_silent(self, path):
    bar = ProgressBar(self.request.id, total=1_000_000, step=STEP)
    for _ in bar.track(range(999_999), total=1_000_000):
        pass
    wait_for(path)


@shared_task(bind=True)
def delete_own_row(self, path):
    bar = ProgressBar(self.request.id, total=4, step=STEP)
    TaskProgress.objects.filter(task_id=self.request.id).delete()
    bar.update(progress=3)
    wait_for(path)


@shared_task(bind=True)
def several_bars(self):
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)
    other = ProgressBar(f"{self.request.id}-other", total=4)
    other.update(progress=3)
    again = ProgressBar(self.request.id, total=8, step="Packing kelp...")
    again.update(progress=5)


@shared_task
def advance(task_id, times=1):
    bar = ProgressBar.get(task_id)
    for _ in range(times):
        bar.advance()


@shared_task(bind=True)
def outlive_an_outage(self, path):
    bar = ProgressBar(self.request.id, total=1_000_000, step=STEP)
    while not Path(path).exists():
        bar.advance()
        time.sleep(0.001)


@shared_task
def count_rows():
    return TaskProgress.objects.count()


@shared_task(bind=True, throws=(Cancelled,))
def track_until_cancelled(self):
    bar = ProgressBar(self.request.id, total=None, step=STEP)
    for _ in bar.track(itertools.count(), stop=True):
        time.sleep(0.02)


@shared_task(bind=True, throws=(Cancelled,))
def ask_until_cancelled(self):
    bar = report(self, 1)
    while not bar.is_cancelled:
        time.sleep(0.02)
    bar.update(step="Tidying up")
    raise Cancelled


@shared_task(bind=True, throws=(Cancelled,))
def retry_until_cancelled(self):
    bar = report(self, 1)
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)
    while not bar.is_cancelled:
        time.sleep(0.02)
    raise Cancelled


@shared_task(typing=False)
def without_arguments() -> None:
    """Do nothing; whoever publishes it is not told that it takes nothing."""


@shared_task
def ordinary(fails=False):
    if fails:
        raise ValueError("ordinary failure")


@shared_task
def wait(path):
    wait_for(path)


@shared_task
def touch(path):
    Path(path).touch()


@shared_task(bind=True)
def retry_without_bar(self):
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@shared_task(bind=True)
def replace_itself(self):
    raise self.replace(ordinary.si())


@shared_task(bind=True)
def make_bar_late(self, path):
    wait_for(path)
    ProgressBar(self.request.id, total=4, step=STEP).update(progress=2)


@shared_task(bind=True)
def find_own_bar(self, path):
    bar = ProgressBar.get(self.request.id)
    bar.update(progress=1)
    wait_for(path)
    bar.update(progress=3)


@shared_task(bind=True)
def let_subtask_advance(self, queue, path):
    advance.apply_async((self.request.id, 3), queue=queue)
    wait_for(path)


@shared_task
def die():
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def exit_without_bar():
    sys.exit(1)


@shared_task(time_limit=1)
def exceed_hard_limit_without_bar():
    threading.Event().wait()


@shared_task
def collect(results):
    """Take what a chord's header has returned."""
