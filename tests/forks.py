"""What a forked child sees."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable


def holds_in_a_forked_child(condition: Callable[[], bool]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads are what this is about
        child = os.fork()
    if child == 0:
        os._exit(0 if condition() else 1)
    _, code = os.waitpid(child, 0)
    return code == 0
