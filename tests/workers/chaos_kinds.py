"""The kinds of task: how each is published, and how it ends where nobody interferes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery, chain, chord, group

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from tests.workers.chaos_oracle import RETURNED

PARTS = 4
"""How many tasks share a bar."""


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    Attributes:
        hows: How its runs end, one after the other.
        state: What the page says at last.
        publish: Sends it, instead of one plain message.
        bars: What is added to the task's id for each bar that is watched.
        shared: Which of these bars are no task's own; they are over at their total.
        parts: What is added to its id for each task that works on a shared bar.
        asks_database: Whether its own work does, so that it fails when the database is away.
        is_killed: Whether its last run is killed, by its limit.
        is_revoked: Whether the test revokes it, once it has started or "before" that.
        is_recorded: Whether a result backend may know its end.
    """

    name: str
    task: str
    args: tuple[object, ...] = ()
    hows: tuple[str, ...] = (RETURNED,)
    state: str = "succeeded"
    publish: Callable[[Celery, Kind, str], None] | None = None
    bars: tuple[str, ...] = ("",)
    shared: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    asks_database: bool = False
    is_killed: bool = False
    is_revoked: str = ""
    is_recorded: bool = True

    def send(self, app: Celery, task_id: str) -> None:
        if self.publish:
            self.publish(app, self, task_id)
        else:
            signature(app, self.task, task_id, *self.args).apply_async(
                ignore_result=not self.is_recorded
            )


def signature(app: Celery, name: str, task_id: str, *args: object) -> Any:
    """Return what calls a task, whatever else is called before."""
    name = f"tests.workers.chaos_tasks.{name}"
    return app.signature(name, args=args, task_id=task_id, immutable=True)


def parts_of(app: Celery, kind: Kind, task_id: str) -> list[Any]:
    return [signature(app, "advance", f"{task_id}{part}", task_id) for part in kind.parts]


def as_group(app: Celery, kind: Kind, task_id: str) -> None:
    ProgressBar(task_id, total=PARTS)
    group(parts_of(app, kind, task_id), app=app).apply_async()


def as_chord(app: Celery, kind: Kind, task_id: str) -> None:
    ProgressBar(task_id, total=PARTS)
    end = signature(app, "conclude", f"{task_id}-end", task_id)
    chord(parts_of(app, kind, task_id), app=app)(end)


def as_chain(app: Celery, kind: Kind, task_id: str) -> None:
    links = [signature(app, "plain", f"{task_id}{link}") for link in kind.bars]
    chain(*links, app=app).apply_async()


def for_another(app: Celery, kind: Kind, task_id: str) -> None:
    ProgressBar(task_id, total=1)
    parts_of(app, kind, task_id)[0].apply_async()


def with_row(app: Celery, kind: Kind, task_id: str) -> None:
    TaskProgress.objects.create(task_id=task_id, state=State.WAITING)
    signature(app, kind.task, task_id).apply_async()


def with_errback(app: Celery, kind: Kind, task_id: str) -> None:
    errback = app.signature("tests.workers.chaos_tasks.on_error")
    signature(app, kind.task, task_id).apply_async(link_error=errback)


PART_IDS = tuple(f"-{number}" for number in range(PARTS))
FAILS = {"hows": ("ValueError",), "state": "failed"}
RETRIED = ("Retry", RETURNED)
KINDS = (
    Kind("success", "plain"),
    Kind("track", "track"),
    Kind("tight loop", "loop"),
    Kind("very short", "short"),
    Kind("exception", "fail", **FAILS),
    Kind("says fail()", "say_fail", state="failed"),
    Kind("finalize last", "finalize"),
    Kind("bar of a called task", "call"),
    Kind("bar of a called task, then fails", "call", (True,), **FAILS),
    Kind("bar of a thread", "in_thread"),
    Kind("bar of a thread, then fails", "in_thread", (True,), **FAILS),
    Kind("group", "advance", publish=as_group, shared=("",), parts=PART_IDS),
    Kind("chord", "advance", publish=as_chord, shared=("",), parts=PART_IDS),
    Kind("bar of another id", "advance", publish=for_another, shared=("",), parts=("-0",)),
    Kind("chain", "plain", publish=as_chain, bars=("", "-next")),
    Kind("replace", "replace", hows=("Ignore", RETURNED)),
    Kind("two bars", "two_bars", bars=("", "-other"), shared=("-other",)),
    Kind("atomic", "in_transaction", asks_database=True),
    Kind("atomic, rolled back", "in_transaction", ("rollback",), asks_database=True),
    Kind("link_error", "fail", publish=with_errback, **FAILS),
    Kind("retry at once", "retry", (0,), RETRIED),
    Kind("retry later", "retry", (1,), RETRIED),
    Kind("retry fails early", "retry_then_leave", (True,), ("Retry", "ValueError"), "failed"),
    Kind("retry returns early", "retry_then_leave", (False,), RETRIED),
    Kind("autoretry fails early", "autoretry_then_fail", (), ("OSError", "ValueError"), "failed"),
    Kind("loads first", "load_first"),
    Kind("fails while loading", "load_first", (True,), **FAILS),
    Kind(
        "fails while loading, no result",
        "load_first",
        (True,),
        ("ValueError",),
        "waiting",
        is_recorded=False,
    ),
    Kind("wrong arguments", "plain", (1, 2, 3), ("TypeError",), "failed"),
    Kind("soft limit", "soft_limit", (), ("SoftTimeLimitExceeded",), "failed"),
    Kind("hard limit", "hard_limit", (), ("",), "failed", is_killed=True),
    Kind("within its limit", "within_limit"),
    Kind("unknown total", "unknown_total"),
    Kind("total 0", "total_of_none"),
    Kind("context left by exception", "leave_by_exception", **FAILS),
    Kind("revoked before start", "plain", (), (), "cancelled", is_revoked="before"),
    Kind(
        "revoked before start, with a row",
        "plain",
        (),
        (),
        "cancelled",
        publish=with_row,
        is_revoked="before",
    ),
    Kind("revoked while running", "until_revoked", (), ("",), "cancelled", is_revoked="running"),
    Kind("Ignore", "ignore", (), ("Ignore",), "running"),
    Kind("Reject(requeue)", "requeue", (), ("Reject", RETURNED)),
    Kind("delivered again when lost", "late"),
)
