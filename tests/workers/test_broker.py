"""The broker without a server, which the tests, the demo and the benchmarks rely on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Exchange, Queue

from example import sqlite_broker
from tests.workers.conftest import PATIENCE, Worker


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Connection]:
    """Open connections to one broker, in a folder whose name a URL has to quote."""
    folder = tmp_path / "a folder; 100 %"
    folder.mkdir()
    return lambda: Connection(sqlite_broker.url(folder))


def taken(connection: Connection) -> list[str]:
    """Take messages until there is none."""
    got = []
    with connection.SimpleQueue("kelp") as queue:
        while True:
            try:
                message = queue.get(block=False)
            except Empty:
                return got
            message.ack()
            got.append(message.payload)


def test_messages_come_in_their_order(connect: Callable[[], Connection]) -> None:
    with connect() as connection, connection.SimpleQueue("kelp") as queue:
        for number in range(5):
            queue.put(f"message {number}")

    with connect() as connection:
        assert taken(connection) == [f"message {number}" for number in range(5)]


def test_each_message_is_taken_once(connect: Callable[[], Connection]) -> None:
    with connect() as connection, connection.SimpleQueue("kelp") as queue:
        for number in range(200):
            queue.put(number)

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(taken, [connect() for _ in range(4)]))

    assert sorted(chain(*shares)) == list(range(200))


def test_broadcast_reaches_each_queue_and_later_none(connect: Callable[[], Connection]) -> None:
    exchange = Exchange("shore", type="fanout")
    with connect() as connection:
        listeners = [Queue(name, exchange, auto_delete=True) for name in ("gull", "seal")]
        bound = [queue(connection.channel()) for queue in listeners]
        for queue in bound:
            queue.declare()
        with connect() as other, other.Producer(exchange=exchange) as producer:
            producer.publish("low tide")

        assert [queue.get(no_ack=True).payload for queue in bound] == ["low tide", "low tide"]
        database = connection.default_channel.path

    with connect() as other, other.Producer(exchange=exchange) as producer:
        producer.publish("high tide")
    with closing(sqlite3.connect(database)) as rows:
        assert rows.execute("SELECT * FROM binding").fetchall() == []
        assert rows.execute("SELECT * FROM message").fetchall() == []


def test_what_was_not_acknowledged_is_delivered_again(connect: Callable[[], Connection]) -> None:
    with connect() as connection, connection.SimpleQueue("kelp") as queue:
        queue.put("wet")
    with connect() as connection:
        assert connection.SimpleQueue("kelp").get(block=False).payload == "wet"

    with connect() as connection:
        assert taken(connection) == ["wet"]


def test_worker_answers_a_ping(worker: Worker) -> None:
    answers = worker.app.control.ping([worker.name], timeout=PATIENCE, limit=1)

    assert answers == [{worker.name: {"ok": "pong"}}]
