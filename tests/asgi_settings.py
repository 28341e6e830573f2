from __future__ import annotations

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.asgi"
