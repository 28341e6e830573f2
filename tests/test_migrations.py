from __future__ import annotations

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_migrations_are_all_made(capsys):
    call_command("makemigrations", "progress_widget", check=True, dry_run=True)

    assert "No changes detected" in capsys.readouterr().out
