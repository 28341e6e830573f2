from pathlib import Path

from tests.settings import *  # noqa: F403

BASE_DIR = Path(__file__).parent.parent
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS += ["kelp"]  # noqa: F405
# Tables are made from the models: that is faster.
MIGRATION_MODULES = {app.rpartition(".")[2]: None for app in INSTALLED_APPS}
ROOT_URLCONF = "kelp.urls"
