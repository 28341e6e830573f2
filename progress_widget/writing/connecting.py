"""The writer's own connections."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django.db import connections
from django.db.utils import load_backend

from progress_widget.models import is_on_sqlite

SECONDS = 5
"""For which a connection may hang before it is given up."""

TIME_OUTS: dict[str, dict[str, Any]] = {
    # tcp_user_timeout, in milliseconds: of a connection whose other end has vanished.
    "django.db.backends.postgresql": {
        "connect_timeout": SECONDS,
        "tcp_user_timeout": SECONDS * 1000,
    },
    "django.db.backends.mysql": {
        "connect_timeout": SECONDS,
        "read_timeout": SECONDS,
        "write_timeout": SECONDS,
    },
}


def use_own_connections() -> None:
    """Give this thread connections that hang for SECONDS at most, and that come from no pool.

    A pool that the worker's main process opened would be shared with the children that it forks
    later, and break their tasks.
    """
    for alias in connections:
        settings = deepcopy(connections.settings[alias])
        engine = settings["ENGINE"]
        options = settings["OPTIONS"]
        options.pop("pool", None)
        wrapper = load_backend(engine).DatabaseWrapper
        for base in wrapper.__mro__:  # since backends of others build on Django's
            for name, value in TIME_OUTS.get(base.__module__.removesuffix(".base"), {}).items():
                options.setdefault(name, value)
        connections[alias] = wrapper(settings, alias)


def may_linger() -> bool:
    """Whether a connection may stay open; one of SQLite must not be open while a process forks.

    The child would take the process's locks for its own, which it has not inherited. Another
    process, taking itself for the last one, could then delete the log that the child writes to, and
    nobody would ever see what it writes.
    """
    return not is_on_sqlite()
