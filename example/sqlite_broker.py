"""A broker for Celery in one SQLite file, for machines without a server: demo, tests, benchmarks.

Celery has two brokers that need no server and reach other processes, and neither will do:

- ``filesystem://`` loses messages. Its writer creates a file and then fills it; its reader moves
  and reads the file without taking the lock. A reader that comes in between finds it empty, and the
  worker dies of a JSONDecodeError. The files that map broadcasts to queues break the same way.
- ``sqlalchemy+sqlite://`` has no broadcast, so nobody can ping a worker or revoke a task.

Here each message is a row, and SQLite ensures that a row is there completely or not at all, and is
deleted by one reader only. Importing this module makes Celery understand ``sqlite:////a/path``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from json import dumps, loads
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES, virtual

LOCK_SECONDS = 60
# No WAL: with connections this short, each would create and delete its file, at twice the cost.
TABLES = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_queue ON message (queue);
CREATE TABLE IF NOT EXISTS binding (
    exchange TEXT, routing_key TEXT, pattern TEXT, queue TEXT,
    PRIMARY KEY (exchange, routing_key, pattern, queue)
);
"""
PUT = "INSERT INTO message (queue, payload) VALUES (?, ?)"
OLDEST = "SELECT id, payload FROM message WHERE queue = ? ORDER BY id LIMIT 1"
TAKE = "DELETE FROM message WHERE id = ?"
BIND = "INSERT OR IGNORE INTO binding VALUES (?, ?, ?, ?)"
BOUND = "SELECT routing_key, pattern, queue FROM binding WHERE exchange = ?"
BROADCAST = """
INSERT INTO message (queue, payload) SELECT DISTINCT queue, ? FROM binding WHERE exchange = ?
"""


def url(folder: Path) -> str:
    """Return the URL of the broker whose file is in this folder."""
    return f"sqlite:///{quote((folder.resolve() / 'broker.sqlite3').as_posix())}"


class Channel(virtual.Channel):
    supports_fanout = True

    def __init__(self, connection: Any, **options: Any) -> None:
        super().__init__(connection, **options)
        self.path = connection.client.virtual_host
        self.temporary: set[str] = set()
        with self.opened() as database:
            database.executescript(TABLES)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one operation, so that nothing is open in a fork or another thread."""
        options: dict[str, Any] = {"timeout": LOCK_SECONDS, "isolation_level": None}
        with closing(sqlite3.connect(self.path, **options)) as database:
            # Even so, what is written survives the end of any process; it need not survive a crash
            # of the machine.
            database.execute("PRAGMA synchronous = OFF")
            yield database

    def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.opened() as database:
            return database.execute(sql, values).fetchall()

    def change(self, sql: str, *values: Any) -> int:
        """Run a statement that commits itself; return how many rows it changed."""
        with self.opened() as database:
            return database.execute(sql, values).rowcount

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        self.change(PUT, queue, dumps(message))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Take the oldest message. Finding none is only a read, which keeps nobody waiting."""
        while found := self.read(OLDEST, queue):
            number, payload = found[0]
            # Nothing is deleted if another worker came first: then the next message is tried.
            if self.change(TAKE, number):
                return loads(payload)
        raise Empty

    def _size(self, queue: str) -> int:
        return int(self.read("SELECT count(*) FROM message WHERE queue = ?", queue)[0][0])

    def _purge(self, queue: str) -> int:
        return self.change("DELETE FROM message WHERE queue = ?", queue)

    def _new_queue(self, queue: str, *, auto_delete: bool = False, **options: Any) -> None:
        if auto_delete:
            self.temporary.add(queue)

    def _delete(self, queue: str, *args: Any, **options: Any) -> None:
        super()._delete(queue, *args, **options)
        self.change("DELETE FROM binding WHERE queue = ?", queue)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        self.change(BIND, exchange, routing_key or "", pattern or "", queue)

    def get_table(self, exchange: str) -> list[tuple[Any, ...]]:
        return self.read(BOUND, exchange)

    def _put_fanout(self, exchange: str, message: Any, routing_key: str, **options: Any) -> None:
        self.change(BROADCAST, dumps(message), exchange)

    def close(self) -> None:
        """Delete the queues for replies and commands too: nobody will read them any more."""
        if not self.closed:
            for queue in self.temporary:
                self.queue_delete(queue)
        super().close()


class Transport(virtual.Transport):
    Channel = Channel
    polling_interval = 0.05
    driver_type = driver_name = "sqlite"
    default_connection_params: dict[str, Any] = {}
    # Without an event loop, a prefork worker hears no command while it is busy, and its children
    # share locks: one that is killed while it holds them stops all others for good.
    implements = virtual.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Deliver a message whenever the loop comes round, and look for the next one later."""
        delay = self.polling_interval
        try:
            self.drain_events(connection, timeout=0)
            delay = 0
        except TimeoutError:
            pass
        finally:
            loop.call_later(delay, self.register_with_event_loop, connection, loop)

    def driver_version(self) -> str:
        return sqlite3.sqlite_version


TRANSPORT_ALIASES["sqlite"] = f"{__name__}:Transport"
