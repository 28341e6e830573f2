"""The row: what is known of one task, and every rule by which it is written and looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, connections, models, router, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from progress_widget.conf import conf
from progress_widget.measures import percent_of, percent_text
from progress_widget.texts import COMPLETE

TASK_ID_LENGTH = 255
STEP_LENGTH = 255
MESSAGE_LENGTH = 1000
MAX_NUMBER = 2**63 - 1


def has_heartbeat() -> bool:
    """Whether tasks write in the background: the setting says so, and the database bears it.

    On SQLite no second connection is safe beside the task's own.
    """
    alias = router.db_for_write(TaskProgress)
    return conf.background_writes and connections[alias].vendor != "sqlite"


class State(models.TextChoices):
    """What has become of a task. A page adds to these *stalled*, which is derived."""

    WAITING = "waiting", _("Waiting")
    """It has not been started yet, or nothing has been heard of it."""

    RUNNING = "running", _("Running")
    """It has started and not yet ended."""

    RETRYING = "retrying", _("Retrying")
    """The last attempt did not succeed; the queue will run it again."""

    SUCCEEDED = "succeeded", _("Succeeded")
    """It has done all that it had to do."""

    FAILED = "failed", _("Failed")
    """It ended with an exception, at a time limit, or together with its worker."""

    CANCELLED = "cancelled", _("Cancelled")
    """It was revoked, or expired before it started."""


ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class TaskProgressQuerySet(models.QuerySet["TaskProgress"]):
    """Every write and look-up of rows. A write names its attempt, so an old run changes nothing."""

    def for_tasks(self, task_ids: Iterable[str]) -> dict[str, TaskProgress]:
        """Return a row for each id, in one query; an unsaved WAITING one where there is none."""
        wanted = list(dict.fromkeys(task_ids))
        found = {row.task_id: row for row in self.filter(task_id__in=wanted)}
        return {
            task_id: found.get(task_id) or self.model(task_id=task_id, state=State.WAITING)
            for task_id in wanted
        }

    def start(self, task_id: str, *, total: int | None, step: str, new_attempt: bool) -> int:
        """Start the row, or start it over.

        Args:
            total: None means unknown.
            new_attempt: Whether this is another run by a queue; these are counted.

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
                except IntegrityError:  # somebody else's insert came first
                    rows.update(**begun_again)
            return rows.values_list("attempt", flat=True).get()

    def save_changes(self, task_id: str, attempt: int, changes: Mapping[str, Any]) -> bool:
        """Write what has changed, unless the row has ended or belongs to a later attempt.

        Args:
            changes: Any of ``progress`` (to set), ``added`` (on top), ``total``, ``step``. Without
                any, the row learns only that its task is alive.

        Returns:
            Whether a row was there to be written.
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
    ) -> bool:
        """Record how an attempt went: success at the total that the row knows.

        Args:
            attempt: None means whichever the row is at.
            state: Any that ends the row, or RETRYING.
            message: Why, for people.
            overrule: Whether the queue says so, which knows better than a finalize() too early.

        Returns:
            Whether a row was there to be written.
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
            # First, since MySQL reads the state that an earlier assignment has written.
            step = Case(When(state=State.SUCCEEDED, then=Value("")), default=F("step"))
            values = {"step": step, "message": message, **values}
        return bool(self._not_ended(task_id, attempt, *replaced).update(**values))

    def _not_ended(self, task_id: str, attempt: int | None, *but: State) -> TaskProgressQuerySet:
        rows = self.filter(task_id=task_id)
        if attempt is not None:
            rows = rows.filter(attempt=attempt)
        return rows.exclude(state__in=[state for state in ENDED if state not in but])


def _clamped(changes: Mapping[str, Any]) -> Any:
    """Return the expression for the new progress, which stays within the total of the row."""
    number = models.PositiveBigIntegerField()
    added = Value(changes.get("added", 0), output_field=number)
    start = (
        Value(changes["progress"], output_field=number) if "progress" in changes else F("progress")
    )
    reached = models.ExpressionWrapper(start + added, output_field=number)
    if "total" in changes:
        # The literal, not the column: MySQL would read the column's new or old value by the
        # order of the assignments.
        total = changes["total"]
        return reached if total is None else Least(reached, Value(total, output_field=number))
    # LEAST with a NULL is NULL on SQLite and MySQL.
    return Case(
        When(total__isnull=True, then=reached),
        default=Least(reached, F("total")),
        output_field=number,
    )


class TaskProgress(models.Model):
    """How far one Celery task has come.

    A row made by hand is a running bar: ``TaskProgress.objects.create(task_id="x", total=100,
    progress=40)``.
    """

    task_id = models.CharField(_("task id"), max_length=TASK_ID_LENGTH, unique=True)
    label = models.CharField(
        _("label"), max_length=255, blank=True, help_text=_("What the task is, for people.")
    )
    total = models.PositiveBigIntegerField(
        _("total"), null=True, blank=True, help_text=_("Empty: unknown.")
    )
    progress = models.PositiveBigIntegerField(_("progress"), default=0)
    step = models.CharField(_("step"), max_length=STEP_LENGTH, blank=True)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.RUNNING
    )
    message = models.CharField(
        _("message"),
        max_length=MESSAGE_LENGTH,
        blank=True,
        help_text=_("Why it did not succeed, for people."),
    )
    attempt = models.PositiveIntegerField(
        _("attempt"), default=0, help_text=_("How often Celery has run it.")
    )
    # created_at never changes, so its index costs no update anything; a column that changes has
    # none, or PostgreSQL would lose its heap-only updates.
    created_at = models.DateTimeField(_("created at"), default=timezone.now, db_index=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects = TaskProgressQuerySet.as_manager()

    class Meta:
        verbose_name = _("task progress")
        verbose_name_plural = _("task progress")
        default_permissions = ("view", "delete")
        constraints = (
            models.CheckConstraint(
                name="progress_widget_within_total",
                condition=Q(total__isnull=True) | Q(progress__lte=F("total")),
            ),
        )

    def __str__(self) -> str:
        return self.label or self.task_id

    @property
    def percent(self) -> float | None:
        """0 to 100, rounded down to one decimal; None while the total is unknown."""
        return percent_of(self.progress, self.total, succeeded=self.state == State.SUCCEEDED)

    @property
    def as_percent(self) -> str:
        """The percentage as text, such as "42.0%"; "" while the total is unknown."""
        return percent_text(self.percent)

    @property
    def is_ended(self) -> bool:
        """Whether the task is over: succeeded, failed or cancelled."""
        return self.state in ENDED

    @property
    def is_finished(self) -> bool:
        """Whether a page may stop asking.

        A row that no task owns is finished at 100 %, too; a task may report 100 % and still fail.
        """
        return self.is_ended or (
            self.attempt == 0 and bool(self.total) and self.progress == self.total
        )
