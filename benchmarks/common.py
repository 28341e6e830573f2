"""What all benchmarks need."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from django.db import connection


@contextmanager
def throw_away_database() -> Iterator[None]:
    """Create a database with the tables of all apps, and drop it at the end."""
    name = connection.settings_dict["NAME"]
    os.environ["PROGRESS_TEST_DATABASE"] = connection.creation.create_test_db(
        verbosity=0, autoclobber=True
    )
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def versions(*packages: str) -> str:
    server = ".".join(map(str, connection.get_database_version()))
    return ", ".join(
        [
            f"Python {platform.python_version()}",
            *(f"{name} {version(name)}" for name in packages),
            f"{connection.display_name} {server}",
        ]
    )


def as_ratio(ratio: float) -> str:
    return f"{ratio:,.2f}" if ratio > 0.1 else f"1/{1 / ratio:,.0f}"


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"
