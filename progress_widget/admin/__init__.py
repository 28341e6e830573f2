"""The package in Django's admin: what a project's own admin builds on, and the list of tasks."""

from __future__ import annotations

from django.contrib import admin

from progress_widget.admin.mixins import ProgressAdminMixin as ProgressAdminMixin
from progress_widget.admin.tasks import TaskProgressAdmin as TaskProgressAdmin
from progress_widget.admin.tasks import TaskProgressAdminMixin as TaskProgressAdminMixin
from progress_widget.models import TaskProgress

if not admin.site.is_registered(TaskProgress):
    admin.site.register(TaskProgress, TaskProgressAdmin)
