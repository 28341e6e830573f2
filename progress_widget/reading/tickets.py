"""What a poll's URL carries, signed, so that a stranger can neither guess nor choose anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing

from progress_widget.conf import conf

SALT = "progress_widget.ticket"

# The first byte of a packed ticket says how its task id is stored.
AS_UUID, AS_TEXT = b"\1", b"\2"
UUID_LENGTH = 16
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a poll needs to render a bar as ``{% progressbar %}`` did."""

    task_id: str

    user: str = ""
    """Primary key, as text, of the user for whom the page was rendered; "" means nobody."""

    label: str = ""
    template: str = ""
    """"" means the package's own."""

    language: str = ""

    interval_ms: int | None = None
    """Milliseconds between two polls; None means POLL_INTERVAL."""

    cancel: bool = False
    """Whether the page offers to cancel the task."""

    rendered_at: int = 0
    """When the page was rendered, in seconds since the epoch; a token has it as its time stamp."""


def sign(ticket: Ticket) -> str:
    """Return the token of a ticket: text for a URL's path, valid for RETENTION_DAYS."""
    return signing.dumps(ticket, salt=SALT, serializer=_Packer)


def read(token: str) -> Ticket | None:
    """Return the ticket of a token, or None if the token is forged or too old."""
    try:
        ticket = _verified(token, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    except (signing.BadSignature, ValueError):  # the latter: no ASCII, or another release's
        return None
    age = time.time() - ticket.rendered_at
    return None if age > conf.retention_days * SECONDS_A_DAY else ticket


@lru_cache(maxsize=4096)
def _verified(token: str, *keys: object) -> Ticket:
    """Return the ticket of a token of whatever age; pages send the same ones again and again.

    Args:
        keys: What the signature depends on.
    """
    values = signing.loads(token, salt=SALT, serializer=_Packer)
    timestamp = token.rsplit(":", 2)[1]
    return Ticket(**values, rendered_at=signing.b62_decode(timestamp))


class _Packer:
    """Packs a ticket into a few bytes: a page with a hundred bars sends a hundred at once.

    A UUID takes 16 bytes, and trailing options that are not set take none. No text here has a NUL.
    """

    def dumps(self, ticket: Ticket) -> bytes:
        interval_ms = "" if ticket.interval_ms is None else str(ticket.interval_ms)
        cancel = "1" if ticket.cancel else ""
        options = (ticket.language, ticket.user, interval_ms, ticket.label, ticket.template, cancel)
        packed = "\0".join(options).rstrip("\0").encode()
        try:
            uuid = UUID(ticket.task_id)
        except ValueError:
            uuid = None
        if uuid is not None and str(uuid) == ticket.task_id:
            return AS_UUID + uuid.bytes + packed
        return AS_TEXT + ticket.task_id.encode() + b"\0" + packed

    def loads(self, data: bytes) -> dict[str, Any]:
        kind, rest = data[:1], data[1:]
        if kind == AS_UUID:
            task_id, packed = str(UUID(bytes=rest[:UUID_LENGTH])), rest[UUID_LENGTH:].decode()
        elif kind == AS_TEXT:
            task_id, _, packed = rest.decode().partition("\0")
        else:
            raise ValueError("packed by another release")
        options = f"{packed}\0\0\0\0\0".split("\0")
        language, user, interval_ms, label, template, cancel = options[:6]
        return {
            "task_id": task_id,
            "language": language,
            "user": user,
            "interval_ms": int(interval_ms) if interval_ms else None,
            "label": label,
            "template": template,
            "cancel": cancel == "1",
        }
