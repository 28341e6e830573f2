"""Where the processes of a worker stand that is waited for in vain."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

SIGNAL = signal.SIGRTMIN


def tell_when_asked() -> None:
    """Let this process, and those that it forks, write their stacks to the log when asked."""
    faulthandler.register(SIGNAL, file=sys.__stderr__)


def ask(pid: int) -> None:
    """Let a process and its children write their stacks, even if they hang."""
    children = Path(f"/proc/{pid}/task").glob("*/children")  # there is none but on Linux
    for each in [str(pid), *" ".join(path.read_text() for path in children).split()]:
        with suppress(ProcessLookupError):
            os.kill(int(each), SIGNAL)
    time.sleep(0.5)  # nothing tells that they have
