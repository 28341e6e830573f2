"""The exceptions that the package raises."""

from __future__ import annotations


class ProgressError(Exception):
    """Base class of the package's exceptions; never raised itself."""


class DoesNotExist(ProgressError):
    """There is no row for this task.

    Attributes:
        task_id: The id that was looked up.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    def __str__(self) -> str:
        return (
            f"No progress is recorded for task {self.task_id!r}. "
            "Start its bar with ProgressBar(task_id, total) first."
        )


class OutOfRange(ProgressError):
    """A number is negative, over the total, or too large to be stored."""


class Cancelled(Exception):
    """The task has been asked to stop, and does so.

    It is no ProgressError, since nothing is wrong. Whoever catches it to tidy up raises it again:
    a task that ends by it has been cancelled.
    """

    def __str__(self) -> str:
        return "The task was asked to stop."
