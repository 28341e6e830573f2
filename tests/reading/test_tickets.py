from __future__ import annotations

from dataclasses import replace

import pytest
from django.core import signing

from progress_widget.reading import tickets
from progress_widget.reading.tickets import Ticket, read, sign

TICKET = Ticket(
    task_id="kelp",
    user="7",
    label="Grüße",
    interval_ms=1500,
    template="slim.html",
    language="de",
)


def reread(ticket: Ticket) -> Ticket:
    """Return what a token carries, except the time at which it was signed."""
    return replace(read(sign(ticket)), rendered_at=0)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"task_id": "5f6c3f0e-7c1e-4d3b-9b49-0f3a1c2b4d5e"},
        {"task_id": "5F6C3F0E-7C1E-4D3B-9B49-0F3A1C2B4D5E"},
        {"task_id": "5f6c3f0e7c1e4d3b9b490f3a1c2b4d5e"},
        {"task_id": "00000000-0000-0000-0000-000000000000"},
        {"task_id": "Grüße\n"},
        {"interval_ms": None, "template": ""},
        {"cancel": True},
        {"cancel": True, "template": ""},
        {"user": "", "label": "", "interval_ms": None, "template": "", "language": ""},
    ],
)
def test_token_carries_its_ticket(change):
    ticket = replace(TICKET, **change)

    assert reread(ticket) == ticket


def test_token_carries_when_it_was_signed(monkeypatch):
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now - 3600)
    token = sign(TICKET)
    monkeypatch.undo()

    assert read(token).rendered_at == int(now - 3600)


def test_usual_token_is_short():
    assert len(sign(Ticket(task_id="5f6c3f0e-7c1e-4d3b-9b49-0f3a1c2b4d5e", language="en"))) < 85


def test_token_fits_into_one_segment_of_a_path():
    assert "/" not in sign(TICKET)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("a" if token[-1] != "a" else "b"),
        lambda token: "a" + token,
        lambda token: token.replace(":", ""),
        lambda token: "",
        lambda token: "€" + token,
        lambda token: "\ud800",
        lambda token: "\ud800:x:y",
        lambda token: "\0",
    ],
)
def test_forged_token_is_none(change):
    assert read(change(sign(TICKET))) is None


def test_token_signed_for_another_purpose_is_none():
    assert read(signing.dumps({"task_id": "kelp"}, salt="other")) is None


class Raw:
    def dumps(self, content: bytes) -> bytes:
        return content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"task_id": "kelp"}',
        tickets.AS_UUID + b"short",
        tickets.AS_TEXT + b"\xff\0",
        tickets.AS_TEXT + b"kelp\0en\0\0x",
        tickets.AS_TEXT + b"kelp\0en\0\0" + b"9" * 5000,
    ],
)
def test_token_of_another_release_is_none(content):
    assert read(signing.dumps(content, salt=tickets.SALT, serializer=Raw)) is None


@pytest.mark.parametrize(("days", "known"), [(6.9, True), (7.1, False)])
def test_token_is_good_for_the_days_of_retention(monkeypatch, days, known):
    token = sign(TICKET)
    now = signing.time.time()

    monkeypatch.setattr(signing.time, "time", lambda: now + days * 86_400)

    assert (read(token) is not None) is known


def test_days_of_retention_are_a_setting(monkeypatch, settings):
    token = sign(TICKET)
    settings.PROGRESS_WIDGET_RETENTION_DAYS = 0.5
    now = signing.time.time()

    monkeypatch.setattr(signing.time, "time", lambda: now + 86_400)

    assert read(token) is None


def test_rotated_secret_key_makes_a_token_none(settings):
    token = sign(TICKET)

    settings.SECRET_KEY = "new"

    assert read(token) is None


def test_fallback_of_a_rotated_secret_key_keeps_a_token(settings):
    token = sign(TICKET)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "new"

    assert replace(read(token), rendered_at=0) == TICKET
