from __future__ import annotations

from tests.workers.conftest import gate as gate
from tests.workers.conftest import start_shared_worker as start_shared_worker
from tests.workers.conftest import start_worker as start_worker
