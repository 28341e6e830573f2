"""All rules for writing rows and looking them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from progress_widget.states import ENDED, State
from progress_widget.texts import COMPLETE

if TYPE_CHECKING:
    from progress_widget.models import TaskProgress


class TaskProgressQuerySet(models.QuerySet["TaskProgress"]):
    """All writes of rows. A write names its attempt, so an old run changes nothing."""

    def start(self, task_id: str, *, total: int | None, step: str, new_attempt: bool) -> int:
        """Start the row, or start it over.

        Args:
            total: None means unknown.
            new_attempt: Whether this is a new run by a queue; such runs are counted.

        Returns:
            The attempt that all later writes must name.
        """
        now = timezone.now()
        values: dict[str, Any] = {
            "total": total,
            "step": step,
            "progress": 0,
            "state": State.RUNNING,
            "message": "",
            "started_at": now,
            "updated_at": now,
            "finished_at": None,
        }
        begun_again = values | {"attempt": F("attempt") + int(new_attempt)}
        self._for_write = True
        rows = self.filter(task_id=task_id)
        with transaction.atomic(using=self.db):
            if not rows.update(**begun_again):
                try:
                    with transaction.atomic(using=self.db):
                        self.create(task_id=task_id, attempt=int(new_attempt), **values)
                except IntegrityError:  # another insert came first
                    rows.update(**begun_again)
            return rows.values_list("attempt", flat=True).get()

    def save_changes(self, task_id: str, attempt: int, changes: Mapping[str, Any]) -> bool:
        """Write what has changed, unless the row has ended or belongs to a later attempt.

        Args:
            changes: Any of ``progress`` (to set), ``added`` (on top), ``total``, ``step``. Without
                any, the write only shows that the task is alive.

        Returns:
            Whether there was a row to write to.
        """
        values: dict[str, Any] = {"updated_at": timezone.now()}
        if changes:
            values["state"] = State.RUNNING
        for name in changes.keys() & {"total", "step"}:
            values[name] = changes[name]
        if changes.keys() & {"progress", "added"} or changes.get("total") is not None:
            values["progress"] = _clamped(changes)
        return bool(self._not_ended(task_id, attempt).update(**values))

    def end(
        self,
        task_id: str,
        attempt: int | None,
        state: State,
        message: str = "",
        overrule: bool = False,
        after: float = 0.0,
        new_attempt: bool = False,
    ) -> bool:
        """Record how an attempt went; success sets the progress to the row's total.

        Args:
            attempt: None means whichever the row is at.
            state: One that ends the row, or RETRYING.
            message: The reason, for people.
            overrule: Whether the queue says so, which overrules a finalize() that came too early.

        Returns:
            Whether there was a row to write to.
        """
        replaced = [State.SUCCEEDED] if overrule else []
        if state == State.CANCELLED:
            replaced.append(State.FAILED)
        now = timezone.now()
        values: dict[str, Any] = {"state": state, "updated_at": now}
        values["finished_at"] = now if state in ENDED else None
        if state == State.SUCCEEDED:
            reached = Coalesce(F("total"), F("progress"))
            values |= {"total": reached, "progress": reached, "step": COMPLETE}
        else:
            # The step comes first: MySQL reads the state as an earlier assignment has left it.
            step = Case(When(state=State.SUCCEEDED, then=Value("")), default=F("step"))
            values = {"step": step, "message": message, **values}
        return bool(self._not_ended(task_id, attempt, *replaced).update(**values))

    def _not_ended(self, task_id: str, attempt: int | None, *but: State) -> TaskProgressQuerySet:
        rows = self.filter(task_id=task_id)
        if attempt is not None:
            rows = rows.filter(attempt=attempt)
        return rows.exclude(state__in=[state for state in ENDED if state not in but])


def _clamped(changes: Mapping[str, Any]) -> Any:
    """Return the expression for the new progress, which stays within the row's total."""
    number = models.PositiveBigIntegerField()
    added = Value(changes.get("added", 0), output_field=number)
    start = (
        Value(changes["progress"], output_field=number) if "progress" in changes else F("progress")
    )
    reached = models.ExpressionWrapper(start + added, output_field=number)
    if "total" in changes:
        # The literal, not the column: MySQL would read the column's new or old value, depending
        # on the order of the assignments.
        total = changes["total"]
        return reached if total is None else Least(reached, Value(total, output_field=number))
    # LEAST with a NULL is NULL on SQLite and MySQL.
    return Case(
        When(total__isnull=True, then=reached),
        default=Least(reached, F("total")),
        output_field=number,
    )


_Manager = models.Manager.from_queryset(TaskProgressQuerySet)


class TaskProgressManager(_Manager["TaskProgress"]):
    """Adds the look-up that pages and polls use."""

    def for_tasks(self, task_ids: Iterable[Any]) -> dict[Any, TaskProgress]:
        """Return a row for each id, in one query; an unsaved WAITING one where there is none.

        Args:
            task_ids: Text, or whatever becomes it, such as UUIDs; the answer has them as they are.
        """
        wanted = {task_id: str(task_id) for task_id in task_ids}
        sql = _select(self.model, self.db, len(wanted))
        rows = self.raw(sql, list(wanted.values())) if wanted else ()
        found: dict[str, TaskProgress] = {row.task_id: row for row in rows}
        return {
            task_id: found.get(text) or self.model(task_id=text, state=State.WAITING)
            for task_id, text in wanted.items()
        }


@lru_cache
def _select(model: type[TaskProgress], alias: str, count: int) -> str:
    """Return ``filter(task_id__in=...)`` as SQL: compiling it takes longer than running it."""
    quoted = connections[alias].ops.quote_name
    columns = ", ".join(quoted(str(field.column)) for field in model._meta.concrete_fields)
    return (
        f"SELECT {columns} FROM {quoted(model._meta.db_table)}"  # noqa: S608  # only names
        f" WHERE {quoted('task_id')} IN ({', '.join(['%s'] * count)})"
    )
