"""What befalls a worker: its processes are killed, its database is cut, hangs or is read-only."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from random import Random

from django.db import connection, connections

from tests.workers.chaos_oracle import Oracle, note
from tests.workers.proxy import Proxy

READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = {}"
PAUSE = 6.0
"""How long after an outage the next attempt to write comes at most, and slack."""


@dataclass
class Fault:
    name: str
    begun_at: float
    over_at: float


@dataclass
class Faults:
    """Lets one fault after another happen, in a thread, for as long as it is entered.

    Attributes:
        names: Which faults may happen; a name that stands twice happens twice as often.
        most: How many happen at most.
        calm: Set while none may begin.
    """

    random: Random
    names: tuple[str, ...]
    most: int
    oracle: Oracle
    proxy: Proxy | None
    happened: list[Fault] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    calm: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Faults:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join()

    @property
    def is_harmless(self) -> bool:
        return not self.names

    def held_up_until(self, at: float) -> float:
        """Return until when outages may have held up what a process was to write at this time."""
        until = at
        for fault in self.happened:
            if fault.name != "kill" and fault.begun_at <= until + 1 and fault.over_at >= at - PAUSE:
                until = max(until, fault.over_at + PAUSE)
        return until

    def _run(self) -> None:
        try:
            while self.names and not self.over.wait(self.random.uniform(0.5, 1.5)):
                if len(self.happened) < self.most and not self.calm.is_set():
                    self._let_happen(self.random.choice(self.names))
        finally:
            connections.close_all()

    def _let_happen(self, name: str) -> None:
        fault = Fault(name, time.time(), float("inf"))
        self.happened.append(fault)
        getattr(self, f"_{name}")()
        fault.over_at = time.time()

    def _kill(self) -> None:
        """Kill a process that works on a task; one at rest may hold a lock of the pool."""
        while not (running := self.oracle.read().running()):
            if self.over.wait(0.05):
                return
        pid = self.random.choice(running).pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        note("kills", "kill", killed=pid)

    def _cut(self) -> None:
        self.proxy.cut()
        self.over.wait(self.random.uniform(1, 3))
        self.proxy.mend()

    def _hang(self) -> None:
        self.proxy.hang()
        self.over.wait(self.random.uniform(2, 4))
        self.proxy.flow()

    def _read_only(self) -> None:
        """Refuse to write, as the standby of a failover does: it breaks the connections too."""
        self._switch("on")
        self.over.wait(2)
        self._switch("off")

    def _switch(self, value: str) -> None:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(READ_ONLY.format(name, value))
        self.proxy.cut()
        self.proxy.mend()
