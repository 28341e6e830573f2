"""The package in Django's admin."""

from __future__ import annotations

from progress_widget.admin.tasks import TaskProgressAdmin as TaskProgressAdmin
