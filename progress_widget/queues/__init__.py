"""What the package asks of the queue that runs the tasks; a module for each queue answers."""

from __future__ import annotations

from progress_widget.queues import celery

begin_run = celery.begin_run
end_run = celery.end_run
current_run = celery.current_run
result = celery.result
INTERRUPTIONS = celery.INTERRUPTIONS

# For whoever starts a task.
work_of = celery.work_of
name_of = celery.name_of
publish = celery.publish
is_eager = celery.is_eager
cancel = celery.cancel
is_launched = celery.is_launched
group_of = celery.group_of
