"""Every rule by which rows are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, models, router, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from progress_widget.assignments import changed, from_now, total_at_the_end
from progress_widget.clock import NOW, offset
from progress_widget.dismissals import Dismissals
from progress_widget.purging import Purging
from progress_widget.statements import inserting, select
from progress_widget.states import ENDED, State, Taken
from progress_widget.texts import COMPLETE

if TYPE_CHECKING:
    from progress_widget.models import TaskProgress


class TaskProgressQuerySet(Purging, Dismissals):  # type: ignore[override]  # of as_manager(), unused
    """Every write of rows. A write names its attempt, so an old run changes nothing."""

    def start(
        self, task_id: str, *, total: int | None, step: str, new_attempt: bool, label: str = ""
    ) -> int:
        """Start the row, or start it over.

        Args:
            total: None means unknown.
            new_attempt: Whether this is another run by a queue; these are counted.
            label: "" leaves that of a row that is there as it is.

        Returns:
            The attempt that all later writes must name.
        """
        anew: dict[str, Any] = {
            "total": total,
            "step": step,
            "progress": 0,
            "state": State.RUNNING,
            "message": "",
            "started_at": NOW,
            "updated_at": NOW,
            "finished_at": None,
            "failed": 0,
            "seen_at": None,
        }
        if label:
            anew["label"] = label
        made = {"task_id": task_id, "attempt": int(new_attempt), "created_at": NOW} | anew
        self._for_write = True
        features = connections[self.db].features
        if (
            features.supports_update_conflicts_with_target
            and features.can_return_columns_from_insert
        ):
            return self._upsert(self.model(**made), anew)
        begun_again = anew | {"attempt": F("attempt") + int(new_attempt)}
        rows = self.filter(task_id=task_id)
        with transaction.atomic(using=self.db):
            if not rows.update(**begun_again):
                try:
                    with transaction.atomic(using=self.db):
                        self.create(**made)
                except IntegrityError:  # somebody else's insert came first
                    rows.update(**begun_again)
            return int(rows.values_list("attempt", flat=True).get())

    def _upsert(self, row: TaskProgress, anew: Iterable[str]) -> int:
        """Insert a row, or start over the one that is there; return its attempt.

        In one statement of our own: that of ``bulk_create(update_conflicts=True)`` can't count on.

        Args:
            anew: The fields that starting over sets.
        """
        connection = connections[self.db]
        fields = [field for field in self.model._meta.concrete_fields if not field.primary_key]
        values = [(field, getattr(row, field.attname)) for field in fields]
        is_now = tuple(value is NOW for _, value in values)
        sql = inserting(self.model, self.db, is_now, tuple(anew), offset(connection))
        with connection.cursor() as cursor:
            cursor.execute(
                sql,
                [
                    field.get_db_prep_save(value, connection)
                    for field, value in values
                    if value is not NOW
                ],
            )
            [attempt] = cursor.fetchone()
        return int(attempt)

    def begin(self, task_id: str) -> int | None:
        """Note that a run of a task has begun whose row is there, and which may make no bar.

        The first run leaves what the row counts: its subtasks may have reported to it already.

        Returns:
            The attempt, or None if there is no row.
        """
        self._for_write = True
        is_first = Q(attempt=0)
        rows = self.filter(task_id=task_id)
        is_there = rows.update(
            progress=Case(When(is_first, then=F("progress")), default=Value(0)),
            step=Case(When(is_first, then=F("step")), default=Value("")),
            state=State.RUNNING,
            message="",
            started_at=NOW,
            updated_at=NOW,
            finished_at=None,
            # Last, since MySQL reads what an earlier assignment has left.
            attempt=F("attempt") + 1,
        )
        return int(rows.values_list("attempt", flat=True).get()) if is_there else None

    def announce(self, task_id: str, *, is_new: bool, **known: Any) -> tuple[TaskProgress, bool]:
        """Make the row of a task that is about to be published.

        Args:
            is_new: Whether nobody can have made a row with this id.
            known: What the row says.

        Returns:
            The row, and whether it has been made now. Its times are this process's.
        """
        known |= {"state": State.WAITING, "created_at": NOW, "updated_at": NOW}
        if is_new:
            row, is_made = self.create(task_id=task_id, **known), True
        else:
            row, is_made = self.get_or_create(task_id=task_id, defaults=known)
        if is_made:
            row.created_at = row.updated_at = timezone.now()
        return row, is_made

    def save_changes(
        self, task_id: str, attempt: int | None, changes: Mapping[str, Any], if_asked: bool = True
    ) -> bool:
        """Write what has changed, unless the row has ended or belongs to a later attempt.

        Args:
            changes: Any of ``progress`` (to set), ``added`` (on top), ``total``, ``step``. Without
                any, the row learns only that its task is alive.
            if_asked: Whether to do so even if somebody has asked the task to stop.

        Returns:
            Whether a row was there to be written.
        """
        values = changed(changes) | {"updated_at": NOW}
        if changes:
            values["state"] = State.RUNNING
        rows = self._not_ended(task_id, attempt)
        return bool((rows if if_asked else rows.filter(cancel_asked_at=None)).update(**values))

    def ask_to_stop(self, task_id: str, members: Any = ()) -> bool:
        """Note that a task is asked to stop; return whether that is new and it has not ended.

        Args:
            members: The ids of the tasks of its group, or a query for them: some may have rows.
        """
        rows = self.unfinished().filter(cancel_asked_at=None)
        is_new = bool(rows.filter(task_id=task_id).update(cancel_asked_at=NOW))
        if is_new:
            rows.filter(task_id__in=members).update(cancel_asked_at=NOW)
        return is_new

    def end(
        self,
        task_id: str,
        attempt: int | None,
        state: State,
        message: str = "",
        overrule: bool = False,
        after: float = 0.0,
        new_attempt: bool = False,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> Taken:
        """Record how an attempt went; success counts as having reached the row's total.

        Args:
            attempt: None means whichever the row is at.
            state: Any that ends the row, or RETRYING.
            message: Why, for people.
            overrule: Whether the queue says so, which overrules a finalize() that came too early.
            after: Seconds until the next attempt, from when on there may be silence.
            new_attempt: Whether the attempt has not been counted at a start.
            changes: What the row does not know yet, as in ``save_changes()``.

        Returns:
            Whether a row was there to be written, and had not ended before.
        """
        replaced = [State.SUCCEEDED] if overrule else []
        if state == State.CANCELLED:
            replaced.append(State.FAILED)
        if state == State.SUCCEEDED:
            reached = total_at_the_end(changes)
            values: dict[str, Any] = {"total": reached, "progress": reached, "step": COMPLETE}
        else:
            # The step comes first: MySQL reads the state as an earlier assignment has left it.
            step = Case(When(state=State.SUCCEEDED, then=Value("")), default=F("step"))
            values = {"step": step, **changed(changes), "message": message}
        values |= {"state": state, "updated_at": from_now(after)}
        values["finished_at"] = NOW if state in ENDED else None
        if state in ENDED:  # a retry is still asked to stop
            values["cancel_asked_at"] = None
        if new_attempt:
            values["attempt"] = F("attempt") + 1
        if self._not_ended(task_id, attempt).update(**values):
            return Taken.AS_SAID
        ended = self._of_attempt(task_id, attempt).filter(state__in=replaced)
        return Taken.OVER_ANOTHER if replaced and ended.update(**values) else Taken.NOT

    def _not_ended(self, task_id: str, attempt: int | None) -> TaskProgressQuerySet:
        states = [state for state in State if state not in ENDED]
        return self._of_attempt(task_id, attempt).filter(state__in=states)

    def _of_attempt(self, task_id: str, attempt: int | None) -> TaskProgressQuerySet:
        rows = self.filter(task_id=task_id)
        return rows if attempt is None else rows.filter(attempt=attempt)


_Manager = models.Manager.from_queryset(TaskProgressQuerySet)


class TaskProgressManager(_Manager["TaskProgress"]):
    """Adds the look-up that pages and polls make."""

    def for_tasks(self, task_ids: Iterable[Any]) -> dict[Any, TaskProgress]:
        """Return a row for each id, in one query; an unsaved WAITING one where there is none.

        It queries the database that rows are written to, since a replica may lag. The ``now`` of a
        row that is there is that database's time of the query.

        Args:
            task_ids: Text, or what becomes text, such as UUIDs; the keys of the answer.
        """
        wanted = {task_id: str(task_id) for task_id in task_ids}
        alias = self._db or router.db_for_write(self.model)
        found: dict[str, TaskProgress] = {}
        for row, now in select(self.model, alias, list(wanted.values())) if wanted else ():
            row.now = now
            found[row.task_id] = row
        return {
            task_id: found.get(text) or self.model(task_id=text, state=State.WAITING)
            for task_id, text in wanted.items()
        }
