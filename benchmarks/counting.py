"""What PostgreSQL's own statistics say of some work: its sessions, transactions and updates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

PATIENCE = 300.0


def can_count() -> bool:
    return connection.vendor == "postgresql"


def sessions_added(work: Callable[[], Any]) -> int | None:
    """Return how many sessions some work opens, or None if that can't be counted."""
    if not can_count():
        return None
    with statistics() as count:
        return difference(count, work)[0]


def difference(count: Callable[[], tuple[int, int]], work: Callable[[], Any]) -> tuple[int, int]:
    """Return the sessions and transactions that some work adds."""
    before = count()
    work()
    after = count()
    return after[0] - before[0], after[1] - before[1]


@contextmanager
def statistics() -> Iterator[Callable[[], tuple[int, int]]]:
    """Yield a function that counts sessions and transactions of our database, from another one."""
    name = connection.settings_dict["NAME"]
    connection.close()
    with connection._nodb_cursor() as cursor:

        def ask(sql: str) -> tuple[int, ...]:
            cursor.execute(sql, [name])
            return cursor.fetchone()

        def count() -> tuple[int, int]:
            # A connection reports what it did when it ends, at the latest.
            deadline = time.monotonic() + PATIENCE
            while ask("select count(*) from pg_stat_activity where datname = %s") != (0,):
                if time.monotonic() > deadline:
                    raise TimeoutError("A connection to the database is still open")
                time.sleep(0.1)
            return ask(
                "select sessions, xact_commit + xact_rollback"
                " from pg_stat_database where datname = %s"
            )

        yield count


def updates_added(table: str, work: Callable[[], Any]) -> tuple[int, int]:
    """Return how many updates some work makes of a table, and how many of them are heap-only.

    Args:
        work: When it returns, whatever has made them has given up its connection.
    """
    before = _updates_of(table)
    work()
    after = _updates_of(table)
    return after[0] - before[0], after[1] - before[1]


def _updates_of(table: str) -> tuple[int, int]:
    with connection.cursor() as cursor:

        def ask(sql: str, *values: str) -> tuple[int, ...]:
            cursor.execute(sql, values)
            return cursor.fetchone()

        deadline = time.monotonic() + PATIENCE
        others = (
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        while ask(others) != (0,):
            if time.monotonic() > deadline:
                raise TimeoutError("A connection to the database is still open")
            time.sleep(0.1)
        return ask(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = %s", table
        )
