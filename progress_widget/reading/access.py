"""Who may see a bar, and who may cancel its task."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import Error, router
from django.http import Http404, HttpRequest

from progress_widget.conf import PREFIX, CanView, conf
from progress_widget.models import TaskProgress
from progress_widget.reading.logs import log_once
from progress_widget.reading.tickets import Ticket

RAISED = f"{PREFIX}CAN_VIEW has raised an exception, so the bar is not shown"
CANCEL_RAISED = f"{PREFIX}CAN_CANCEL has raised an exception, so the task can't be cancelled"
NOT_ASKED = "Whether a user has the permission to cancel can't be asked, which counts as no"
NO_BOOL = f"{PREFIX}%s has returned a %s instead of True or False, which counts as False"


CANCEL_PERMISSION = "progress_widget.cancel_taskprogress"


def owner_or_staff(request: HttpRequest, task_id: str) -> bool:
    """Whether the user is staff, or has had the task started: a rule for CAN_VIEW.

    As CAN_VIEW itself it makes no query: each bar's row is read anyway. Called by a rule of your
    own, it makes one.
    """
    if not _may_own(request):
        return False
    rows = TaskProgress.objects.using(router.db_for_write(TaskProgress)).filter(task_id=task_id)
    return _is_staff(request) or _is_owner(request, rows.only("owner_id").first())


def user_of(request: HttpRequest) -> str:
    """Return the primary key of the logged-in user, as text, or "" if there is none."""
    user = getattr(request, "user", None)
    return str(user.pk) if user is not None and user.is_authenticated else ""


def depends_on_user(ticket: Ticket) -> bool:
    """Whether the answer to this ticket may be another for other visitors."""
    return bool(ticket.user) or conf.can_view is not None


def may_view(request: HttpRequest | None, ticket: Ticket) -> bool:
    """Whether this request may see the ticket's bar: the bar's user may, unless CAN_VIEW refuses.

    A ticket bound to no user admits everybody who has it, without a look at the request's user.
    CAN_VIEW cannot be asked without a request, so then it admits nobody. Only True admits.

    Raises:
        django.db.Error: The database could not be asked, so this is not known.
    """
    can_view = conf.can_view
    if request is None:
        return can_view is None
    if ticket.user and ticket.user != user_of(request):
        return False
    if can_view is owner_or_staff:  # may_view_row() says more, once the row is read
        return _may_own(request)
    return can_view is None or _is_granted(can_view, request, ticket.task_id)


def may_view_row(request: HttpRequest, row: TaskProgress) -> bool:
    """Whether this request, which may see the ticket's bar, may see this row in it."""
    if conf.can_view is not owner_or_staff:
        return True
    return _is_staff(request) or _is_owner(request, row)


def may_see(request: HttpRequest, row: TaskProgress) -> bool:
    """Whether this request may see a row in a bar that is yet to be shown."""
    ticket = Ticket(task_id=row.task_id, user=user_of(request))
    return may_show(request, ticket) and may_view_row(request, row)


def may_cancel(request: HttpRequest, row: TaskProgress) -> bool:
    """Whether this request, which may see the row, may cancel its task.

    Its owner may, whomever CAN_CANCEL admits, and who has the permission; what is not known is a
    no.
    """
    return _is_owner(request, row) or _may_by_rule(request, row) or may_cancel_all(request)


def may_cancel_all(request: HttpRequest) -> bool:
    """Whether the user has the permission to cancel tasks, whosever they are."""
    if not _may_own(request):
        return False
    has_perm = getattr(request.user, "has_perm", None)  # not every user model has permissions
    try:
        return has_perm is not None and bool(has_perm(CANCEL_PERMISSION))
    except Exception as error:  # whatever a project's backend raises
        log_once(NOT_ASKED, error=error)
        return False


def may_show(request: HttpRequest | None, ticket: Ticket) -> bool:
    """Whether a page may show the bar: it can't be asked again, so what is not known is a no."""
    try:
        return may_view(request, ticket)
    except Error as error:
        log_once(RAISED, error=error)
        return False


def _may_by_rule(request: HttpRequest, row: TaskProgress) -> bool:
    can_cancel = conf.can_cancel
    if can_cancel is owner_or_staff:  # without a query
        return _may_own(request) and _is_staff(request)
    try:
        return can_cancel is not None and _is_granted(
            can_cancel, request, row.task_id, "CAN_CANCEL", CANCEL_RAISED
        )
    except Error as error:
        log_once(CANCEL_RAISED, error=error)
        return False


def _may_own(request: HttpRequest) -> bool:
    return bool(user_of(request))


def _is_staff(request: HttpRequest) -> bool:
    return getattr(request.user, "is_staff", False) is True


def _is_owner(request: HttpRequest, row: TaskProgress | None) -> bool:
    return row is not None and row.owner_id is not None and str(row.owner_id) == user_of(request)


def _is_granted(
    rule: CanView, request: HttpRequest, task_id: str, name: str = "CAN_VIEW", raised: str = RAISED
) -> bool:
    try:
        answer: object = rule(request, task_id)
    except (PermissionDenied, Http404):  # htmx 2 would go on polling after a 403 or 404
        return False
    except Error:
        raise
    except Exception as error:
        log_once(raised, error=error)
        return False
    if not isinstance(answer, bool):
        log_once(NO_BOOL, name, type(answer).__name__)
    return answer is True
