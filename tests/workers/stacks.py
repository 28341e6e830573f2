"""Where the processes of a worker stand that is waited for in vain, and what they hold."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from kombu.transport.virtual import QoS

SIGNAL = signal.SIGRTMIN


def tell_when_asked() -> None:
    """Let this process, and those that it forks, write their stacks to the log when asked.

    A worker takes no more messages than it may hold unacknowledged, so it says too which these are,
    where its broker leaves that to kombu.
    """
    signal.signal(SIGNAL, _tell_unacknowledged)
    faulthandler.register(SIGNAL, file=sys.__stderr__, chain=True)


def _tell_unacknowledged(*received: object) -> None:
    for qos in (one for one in gc.get_objects() if isinstance(one, QoS)):
        ids = [getattr(message, "headers", {}).get("id") for message in qos._delivered.values()]
        print(f"{qos.prefetch_count=} {qos._dirty=} {ids=}", file=sys.__stderr__, flush=True)


def ask(pid: int) -> None:
    """Let a process and its children write their stacks, even if they hang."""
    children = Path(f"/proc/{pid}/task").glob("*/children")  # there is none but on Linux
    for each in [str(pid), *" ".join(path.read_text() for path in children).split()]:
        with suppress(ProcessLookupError):
            os.kill(int(each), SIGNAL)
    time.sleep(0.5)  # nothing tells that they have
