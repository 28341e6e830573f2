"""The database's clock: by it the times in rows are written, and by it silence is judged.

The clocks of workers and web servers differ, and one that is half a minute off would make healthy
tasks look lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone


class DatabaseNow(Now):
    """The database's time, as its columns keep time.

    Where a database knows no time zones, Django's own Now() is off by hours if those of MySQL's
    session and the columns differ, or if the columns of SQLite do not keep UTC.
    """

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        template = f"(UTC_TIMESTAMP(6) + INTERVAL {offset(connection)} SECOND)"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        seconds = f"{offset(connection)} seconds"
        template = f"STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW', '{seconds}')"
        return self.as_sql(compiler, connection, template=template, **extra)


NOW = DatabaseNow()


def offset(connection: BaseDatabaseWrapper) -> int:
    """Return by how many seconds times without a zone in this database are ahead of UTC."""
    zone = connection.timezone or timezone.get_default_timezone()
    ahead = datetime.now(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())


def converted(value: Any, connection: BaseDatabaseWrapper) -> datetime:
    """Return what a database answers to NOW as a field of a row would have it."""
    now: datetime = value
    for convert in connection.ops.get_db_converters(NOW):
        now = convert(now, NOW, connection)
    return now
