from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from progress_widget.doctor.examining import OK, PROBLEM, SKIPPED, examine


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds greater than 0.")
    return number


class Command(BaseCommand):
    help = (
        "Sends a task through the broker, and says whether broker, worker, database and page agree."
    )
    # Its own steps say what is wrong, and what to do.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queue", default="", help="The queue to send the task to; otherwise as it is routed."
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=10.0,
            help="Seconds to wait for the task (10).",
        )

    def handle(self, *args: Any, queue: str, timeout: float, **options: Any) -> None:
        styles = {OK: self.style.SUCCESS, PROBLEM: self.style.ERROR, SKIPPED: self.style.WARNING}
        problems = 0
        for verdict, step, text in examine(queue=queue, timeout=timeout):
            self.stdout.write(f"{styles[verdict](f'{verdict:7}')}  {step}: {text}")
            self.stdout.flush()
            problems += verdict == PROBLEM
        if problems:
            raise CommandError(f"Problems found: {problems}.")
