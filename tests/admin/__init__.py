"""Django finds the admin of the tests' own project here, and pytest the tests of ours."""

from __future__ import annotations

from tests.admin.admins import BayAdmin as BayAdmin
from tests.admin.admins import HarvestAdmin as HarvestAdmin
