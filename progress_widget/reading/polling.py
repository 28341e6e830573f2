"""From tickets to fragments."""

from __future__ import annotations

from progress_widget import queues
from progress_widget.models import TaskProgress
from progress_widget.reading.fragments import Fragment
from progress_widget.reading.tickets import Ticket


def look_up(ticket: Ticket, shown: str) -> Fragment:
    """Give what there is to show; a task that never got a row may be known to the backend."""
    row = TaskProgress.objects.for_tasks([ticket.task_id])[ticket.task_id]
    fragment = Fragment(row, ticket, shown=shown)
    if fragment.is_late and not fragment.has_row:
        state = queues.result(ticket.task_id)
        if state is not None:
            row = TaskProgress(task_id=ticket.task_id, state=state, total=0)
            return Fragment(row, ticket, shown=shown)
    return fragment
