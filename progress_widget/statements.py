"""The SQL that is ours: what Django's ORM cannot say, or takes longer to compile than to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from django.db import connections, models

from progress_widget.clock import NOW, converted, offset

Row = TypeVar("Row", bound=models.Model)


@lru_cache
def inserting(
    model: type[models.Model],
    alias: str,
    is_now: tuple[bool, ...],
    anew: tuple[str, ...],
    offset: int,
) -> str:
    """Return the SQL that inserts a row, or starts over the one with its task id.

    Args:
        is_now: For each column, whether it is set to the time.
        anew: The fields that starting over sets; besides, it adds to the attempt.
        offset: The clock's, which is part of the SQL.
    """
    now, _ = model._base_manager.using(alias).query.get_compiler(alias).compile(NOW)
    quoted = connections[alias].ops.quote_name
    table, attempt = quoted(model._meta.db_table), quoted("attempt")
    columns = [
        quoted(str(field.column)) for field in model._meta.concrete_fields if not field.primary_key
    ]
    values = [now if is_time else "%s" for is_time in is_now]
    changes = [f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in anew]
    changes.append(f"{attempt} = {table}.{attempt} + EXCLUDED.{attempt}")
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(values)})"  # noqa: S608  # only names
        f" ON CONFLICT ({quoted('task_id')}) DO UPDATE SET {', '.join(changes)}"
        f" RETURNING {attempt}"
    )


def select(model: type[Row], alias: str, task_ids: Sequence[str]) -> Iterator[tuple[Row, datetime]]:
    """Yield the rows of these tasks, each with the database's time of the query.

    What ``raw()`` does besides takes as long as the query.
    """
    connection = connections[alias]
    fields = model._meta.concrete_fields
    with connection.cursor() as cursor:
        cursor.execute(selecting(model, alias, len(task_ids), offset(connection)), task_ids)
        found = cursor.fetchall()
    if not found:
        return
    now = converted(found[0][-1], connection)
    compiler = model._base_manager.using(alias).query.get_compiler(alias)
    converters = compiler.get_converters([field.cached_col for field in fields])
    names = [field.attname for field in fields]
    for values in compiler.apply_converters(found, converters) if converters else found:
        yield model.from_db(alias, names, values[:-1]), now


@lru_cache
def selecting(model: type[models.Model], alias: str, count: int, offset: int) -> str:
    """Return ``filter(task_id__in=...)`` as SQL: compiling it takes longer than to run it.

    Args:
        offset: The clock's, which is part of the SQL.
    """
    now, _ = model._base_manager.using(alias).query.get_compiler(alias).compile(NOW)
    quoted = connections[alias].ops.quote_name
    columns = ", ".join(quoted(str(field.column)) for field in model._meta.concrete_fields)
    return (
        f"SELECT {columns}, {now} AS {quoted('now')} FROM {quoted(model._meta.db_table)}"  # noqa: S608  # only names
        f" WHERE {quoted('task_id')} IN ({', '.join(['%s'] * count)})"
    )
