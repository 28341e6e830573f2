"""The writer's own connections."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import Any
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
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

_own: WeakSet[BaseDatabaseWrapper] = WeakSet()

_kept: list[list[BaseDatabaseWrapper]] = []
"""What a forked child keeps for ever, and nobody else.

Were a connection of its parent's collected there, MySQL's client would take leave of the server,
which then would close it on the parent.
"""

os.register_at_fork(before=lambda: _kept.append(list(_own)), after_in_parent=_kept.pop)


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
        _own.add(connections[alias])


def may_linger() -> bool:
    """Whether a connection may stay open; one of SQLite must not be open while a process forks.

    The child would take the process's locks for its own, which it has not inherited. Another
    process, taking itself for the last one, could then delete the log that the child writes to, and
    nobody would ever see what it writes.
    """
    return not is_on_sqlite()
