from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from progress_widget.models import TaskProgress


class Command(BaseCommand):
    help = "Deletes the rows of tasks that have been finished for long."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=float,
            help="Days since a task was finished; otherwise PROGRESS_WIDGET_RETENTION_DAYS.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Count the rows, and delete nothing."
        )

    def handle(self, *args: Any, days: float | None, dry_run: bool, **options: Any) -> None:
        if dry_run:
            self.stdout.write(f"Rows to delete: {TaskProgress.objects.outlived(days).count()}.")
        else:
            self.stdout.write(f"Rows deleted: {TaskProgress.objects.purge(days)}.")
