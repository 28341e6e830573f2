"""What a project may connect to."""

from __future__ import annotations

from django.dispatch import Signal

progress_finished = Signal()
"""A task has ended, however it did: at most once for each of its attempts.

Sent with ``sender=TaskProgress`` and ``row``, by the process that has written the end into the row:
in a worker on a thread of its own, elsewhere after the commit.
"""
