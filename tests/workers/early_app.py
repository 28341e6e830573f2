"""The app of workers whose clock is an hour ahead."""

from __future__ import annotations

import time

from tests.workers.app import app as app

right_time = time.time
time.time = lambda: right_time() + 3600
