"""What a forked child sees."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.signals import connection_created


def holds_in_a_forked_child(condition: Callable[[], bool]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads are what this is about
        child = os.fork()
    if child == 0:
        os._exit(0 if condition() else 1)
    _, code = os.waitpid(child, 0)
    return code == 0


@contextmanager
def connected() -> Iterator[list[Any]]:
    """Note the connections that other threads open meanwhile."""
    found: list[Any] = []

    def note(connection: Any, **signal: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            found.append(connection)

    connection_created.connect(note)
    yield found
    connection_created.disconnect(note)


def are_closed(found: list[Any]) -> bool:
    return bool(found) and all(one.connection is None for one in found)
