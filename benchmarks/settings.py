"""The tests' settings, with django-celery-progressbar beside the app."""

from __future__ import annotations

import sys
from importlib import metadata, util
from types import ModuleType

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS_OF_TESTS

if util.find_spec("pkg_resources") is None:
    # django-celery-progressbar uses it only to find its own version when it is imported; Python no
    # longer ships it.
    stand_in = ModuleType("pkg_resources")
    stand_in.DistributionNotFound = metadata.PackageNotFoundError
    stand_in.get_distribution = metadata.distribution
    sys.modules["pkg_resources"] = stand_in

INSTALLED_APPS = [*APPS_OF_TESTS, "django_celery_progressbar", "django_celery_results"]
