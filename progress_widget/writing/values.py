"""The values that a bar takes, checked, and each kept as one assignment."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from progress_widget.exceptions import OutOfRange
from progress_widget.models import MAX_NUMBER, STEP_LENGTH, TASK_ID_LENGTH
from progress_widget.texts import cropped

T = TypeVar("T")


class Assigned(Generic[T]):
    """A value as it was assigned at one moment, compared by identity.

    So an old value that is assigned again counts as a change: others may have changed the row
    meanwhile.
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


def task_id_of(value: object) -> str:
    """Return a task id as text, or "" for None.

    Raises:
        ValueError: It is too long, or has a NUL.
    """
    text = "" if value is None else str(value)
    if len(text) > TASK_ID_LENGTH or "\0" in text:
        raise ValueError(f"A task id has at most {TASK_ID_LENGTH} characters and no NUL: {text!r}")
    return text


def total_of(value: Any) -> Assigned[int | None]:
    """Return a total, where None means unknown; raise as whole_number() does."""
    return Assigned(None if value is None else whole_number(value, "total"))


def step_of(value: object) -> Assigned[str]:
    """Return a step as its column can hold it."""
    return Assigned("" if value is None else cropped(value, STEP_LENGTH))


def whole_number(value: Any, name: str) -> int:
    """Return a reported number as an int: "5" and 5.0 are 5.

    Raises:
        ValueError: It is not whole.
        OutOfRange: It is negative, or too large to be stored.
    """
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if not isinstance(value, str) and number != value:
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if not 0 <= number <= MAX_NUMBER:
        raise OutOfRange(f"{name} must be from 0 to {MAX_NUMBER}, not {number}")
    return number
