"""Poll tokens: what a poll URL carries, signed, so that a stranger can neither guess nor choose."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

from django.core import signing
from django.http import HttpRequest

from progress_widget.conf import conf

SALT = "progress_widget.poll"


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One rendering of ``{% progressbar %}``: all that a poll needs to render as the page did.

    Attributes:
        user: Primary key of the user that the page was rendered for, as text; "": nobody's.
        interval: Milliseconds between two polls.
        since: When the page was rendered, in seconds of the epoch.
    """

    task_id: str
    user: str
    label: str
    interval: int
    template: str
    language: str
    since: int

    def admits(self, request: HttpRequest) -> bool:
        """Whether the one who asks is the one the page was rendered for.

        A ticket that is nobody's admits everybody who has it, and does not look at the user.
        """
        return not self.user or self.user == user_of(request)


def user_of(request: HttpRequest) -> str:
    """Give the primary key of the user who is logged in, as text; "": nobody is."""
    user = getattr(request, "user", None)
    return str(user.pk) if user is not None and user.is_authenticated else ""


def sign(ticket: Ticket) -> str:
    """Give the token of a ticket: text for a URL's path, good for RETENTION_DAYS."""
    return signing.dumps(asdict(ticket), salt=SALT, compress=True)


def read(token: str) -> Ticket | None:
    """Give the ticket of a token; None when the token is forged or too old."""
    try:
        ticket = signing.loads(token, salt=SALT, max_age=timedelta(days=conf.retention_days))
        return Ticket(**ticket)
    except (signing.BadSignature, TypeError, UnicodeEncodeError):
        # TypeError: signed by another release; UnicodeEncodeError: half a surrogate pair
        return None
