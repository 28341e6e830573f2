"""Settings of the tests' own project. It uses the servers that environment variables name."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent
BACKENDS = {
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
}


def database(url: str) -> dict[str, object]:
    """Return the settings for "postgresql://user:password@host:port/name"; "" is SQLite in a file.

    A worker that a test starts finds the test's database through PROGRESS_TEST_DATABASE.
    """
    given = os.environ.get("PROGRESS_TEST_DATABASE")
    if not url:
        (FOLDER / "run").mkdir(exist_ok=True)
        name = given or str(FOLDER / "run" / f"test-{os.getpid()}.sqlite3")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": name,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL",
                "timeout": 20,
            },
            "TEST": {"NAME": name},
        }
    parts = urlsplit(url)
    # Only in workers: the tests count, and break, the connections that they do not know of.
    pooled = given and os.environ.get("PROGRESS_TEST_POOL") == "1"
    return {
        "ENGINE": BACKENDS[parts.scheme],
        "NAME": given or parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "OPTIONS": {"pool": True} if pooled else {},
        "TEST": {"NAME": f"test_progress_widget_{os.getpid()}"},
    }


SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""))}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
    "progress_widget",
    "tests",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [FOLDER / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/login/"

# What the tests' workers are told by environment variables.
PROGRESS_WIDGET_STALLED_AFTER = float(os.environ.get("PROGRESS_TEST_STALLED_AFTER", "30"))
PROGRESS_WIDGET_BACKGROUND_WRITES = os.environ.get("PROGRESS_TEST_BACKGROUND_WRITES") != "0"
