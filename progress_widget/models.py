"""The row: what is known about one task."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.db import connections, models, router
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from progress_widget.conf import conf
from progress_widget.measures import percent_of, percent_text
from progress_widget.members import GroupMemberQuerySet
from progress_widget.relations import cascade
from progress_widget.rows import TaskProgressManager
from progress_widget.states import ENDED
from progress_widget.states import State as State

TASK_ID_LENGTH = 255
LABEL_LENGTH = 255
NAME_LENGTH = 255
LINK_LENGTH = 1000
OBJECT_ID_LENGTH = 255
STEP_LENGTH = 255
MESSAGE_LENGTH = 1000
MAX_NUMBER = 2**63 - 1


class TaskProgress(models.Model):
    """How far one Celery task has come.

    A row created by hand is a running bar: ``TaskProgress.objects.create(task_id="x", total=100,
    progress=40)``.
    """

    task_id = models.CharField(_("task id"), max_length=TASK_ID_LENGTH, unique=True)
    label = models.CharField(
        _("label"),
        max_length=LABEL_LENGTH,
        blank=True,
        help_text=_("What the task is, for people."),
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
    failed = models.PositiveBigIntegerField(
        _("failed"), default=0, help_text=_("How many of a group's tasks have failed.")
    )
    task_name = models.CharField(
        _("task name"), max_length=NAME_LENGTH, blank=True, help_text=_("For developers.")
    )
    # Rows may have a database of their own, which knows neither users nor content types: hence no
    # constraints.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=cascade,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        verbose_name=_("owner"),
        help_text=_("For whom it was started."),
    )
    content_type = models.ForeignKey(
        "contenttypes.ContentType",
        on_delete=cascade,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,  # the one below begins with it
        verbose_name=_("content type"),
    )
    object_id = models.CharField(  # noqa: DJ001  # about = None makes it None
        _("object id"), max_length=OBJECT_ID_LENGTH, null=True, blank=True
    )
    about = GenericForeignKey("content_type", "object_id")
    link = models.CharField(
        _("link"), max_length=LINK_LENGTH, blank=True, help_text=_("Where its result is.")
    )
    # What has an index never changes, so that makes no update slower; columns that change have
    # none, or PostgreSQL would lose its heap-only updates.
    created_at = models.DateTimeField(_("created at"), default=timezone.now, db_index=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    cancel_asked_at = models.DateTimeField(
        _("cancel asked at"),
        null=True,
        blank=True,
        help_text=_("Since when somebody wants it to stop."),
    )
    seen_at = models.DateTimeField(
        _("seen at"), null=True, blank=True, help_text=_("When its owner dismissed it.")
    )

    now: datetime | None = None
    """The database's time when ``for_tasks()`` read the row; other queries do not ask for it."""

    objects = TaskProgressManager()

    class Meta:
        verbose_name = _("task progress")
        verbose_name_plural = _("task progress")
        default_permissions = ("view", "delete")
        permissions = (("cancel_taskprogress", "Can cancel tasks"),)
        indexes = (
            models.Index(fields=["content_type", "object_id"], name="progress_widget_about"),
        )
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
        """The progress in percent, such as "42.0%"; "" while the total is unknown."""
        return percent_text(self.percent)

    @property
    def is_ended(self) -> bool:
        """Whether the task is over: succeeded, failed or cancelled."""
        return self.state in ENDED

    @property
    def is_finished(self) -> bool:
        """Whether a page may stop polling.

        A row that no task owns is also finished at 100 %; a task may report 100 % and still fail.
        """
        return self.is_ended or (
            self.attempt == 0 and bool(self.total) and self.progress == self.total
        )


class GroupMember(models.Model):
    """A task of a group that has one row, in which it counts once, at its end."""

    task_id = models.CharField(_("task id"), max_length=TASK_ID_LENGTH, unique=True)
    group = models.ForeignKey(
        TaskProgress, on_delete=models.CASCADE, related_name="members", verbose_name=_("group")
    )
    is_body = models.BooleanField(
        _("is body"), default=False, help_text=_("It is a chord's last task.")
    )
    ended_state = models.CharField(
        _("ended state"),
        max_length=16,
        choices=State.choices,
        blank=True,
        help_text=_("As what it was counted."),
    )

    objects = GroupMemberQuerySet.as_manager()

    class Meta:
        verbose_name = _("task of a group")
        verbose_name_plural = _("tasks of groups")
        default_permissions = ()

    def __str__(self) -> str:
        return self.task_id


def has_heartbeat() -> bool:
    """Whether tasks write in the background: the setting and the database must allow it.

    On SQLite, no second connection is safe beside the task's own.
    """
    return conf.background_writes and not is_on_sqlite()


def is_on_sqlite() -> bool:
    """Whether rows are written to SQLite."""
    return connections[router.db_for_write(TaskProgress)].vendor == "sqlite"
