"""What is asked of the queue to start many tasks at once; a module for each queue answers."""

from __future__ import annotations

from progress_widget.queues.grouping import celery

GroupWork = celery.GroupWork
group_work_of = celery.group_work_of
publish_group = celery.publish_group
