"""From fragments to HTML: the only module that renders templates, for tag, view and admin."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template import TemplateDoesNotExist
from django.template.backends.django import DjangoTemplates
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from progress_widget.models import LABEL_LENGTH, TaskProgress
from progress_widget.reading import gathering, tickets
from progress_widget.reading.access import may_show, user_of
from progress_widget.reading.addresses import cancel_url, poll_url
from progress_widget.reading.fragments import REFUSED, Fragment, in_language, refusal
from progress_widget.reading.gathering import Gathered
from progress_widget.reading.polling import Wanted, look_up, newest_about, present, shown_of
from progress_widget.reading.subjects import is_object, milliseconds_of, task_id_of
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State
from progress_widget.texts import (
    CANCEL,
    CONFIRM,
    NO_STYLESHEET,
    PROGRESS,
    QUESTION,
    REFRESH,
    cropped,
)

TEMPLATE = "progress_widget/progressbar.html"

KEY, TOKEN = "stand-in-key", "stand-in-token"


def progressbar(
    task: Any,
    *,
    request: HttpRequest | None = None,
    label: object = "",
    interval: float | None = None,
    template: str = TEMPLATE,
    cancel: bool = False,
) -> SafeString:
    """Return the HTML of a bar for a page, which htmx then keeps up to date.

    Args:
        task: A task id, a row, a bar, an ``AsyncResult`` or anything else with a ``task_id`` or an
            ``id``. Of another model's instance, the newest task that is about it. None, "" and an
            instance that no task is about render nothing.
        request: Its user is the one that the bar is bound to; None means nobody.
        label: What the task is, for people; "" means the row's label.
        interval: Seconds between two polls; None means POLL_INTERVAL.
        template: The fragment's template, which extends ``progress_widget/progressbar.html``.
        cancel: Whether whoever may is offered to cancel the task.

    Raises:
        ValueError: The interval is not a positive number.
    """
    if is_object(task):
        options: dict[str, Any] = {"request": request, "label": label}
        options |= {"interval": interval, "template": template, "cancel": cancel}
        return _about(task, partial(progressbar, **options))
    task_id = task_id_of(task)
    if not task_id:
        return SafeString("")
    ticket = Ticket(
        task_id=task_id,
        user="" if request is None else user_of(request),
        label=cropped(label or "", LABEL_LENGTH),
        template="" if template == TEMPLATE else template,
        language=get_language() or "",
        interval_ms=None if interval is None else milliseconds_of(interval),
        cancel=bool(cancel),
        rendered_at=int(timezone.now().timestamp()),
    )
    if not may_show(request, ticket):
        return render(refusal(), new_key(), on_page=True)
    token, wanted = tickets.sign(ticket), Wanted(ticket, request)
    if isinstance(task, TaskProgress):
        return _on_page(shown_of(task, wanted, present()), wanted, token)
    gathered = gathering.here.get()
    if gathered is not None:
        return _stand_in(gathered, wanted, token)
    [fragment] = look_up([wanted])
    return _on_page(fragment, wanted, token)


def _about(thing: Model, draw: Callable[[TaskProgress | None], SafeString]) -> SafeString:
    gathered = gathering.here.get()
    if gathered is not None:
        return gathered.stand_in_about(new_key(), thing, draw)
    [row] = newest_about([thing])
    return draw(row)


def progressbars(content: Callable[[], SafeString]) -> SafeString:
    """Return what the function returns, its bars drawn after all their rows are looked up at once.

    Within it, ``progressbar()`` returns a stand-in. One that is caught on its way, by a cache or a
    filter, is a bar too: it knows nothing yet, and polls as any other.
    """
    if gathering.here.get() is not None:  # another block around this one draws them all
        return content()
    with gathering.gather() as gathered:
        html = content()
    fragments = look_up([wanted for wanted, _ in gathered.bars.values()])
    shown = dict(zip(gathered.bars, fragments, strict=True))
    rows = newest_about([thing for thing, *_ in gathered.about.values()])
    newest = dict(zip(gathered.about, rows, strict=True))

    def drawn(key: str) -> str | None:
        if key in newest:
            _, draw, language = gathered.about[key]
            with in_language(language):
                return draw(newest[key])
        if key not in shown:
            return None
        wanted, token = gathered.bars[key]
        return _on_page(shown[key], wanted, token)

    return gathering.replaced(html, drawn)


def _stand_in(gathered: Gathered, wanted: Wanted, token: str) -> SafeString:
    language, key = wanted.ticket.language, new_key()
    if language not in gathered.blanks:
        waiting = Fragment(
            state=State.WAITING, text=gettext(PROGRESS), interval_ms=present().interval_ms
        )
        gathered.blanks[language] = render(waiting, KEY, token=TOKEN, on_page=True)
    blank = gathered.blanks[language].replace(TOKEN, token).replace(KEY, key)
    return gathered.stand_in(key, wanted, token, blank)


def _on_page(fragment: Fragment, wanted: Wanted, token: str) -> SafeString:
    ticket, request, _ = wanted
    template = "" if fragment.state == REFUSED else ticket.template
    csrf_token = get_token(request) if request is not None and fragment.may_cancel else ""
    with in_language(ticket.language):
        return render(
            fragment,
            new_key(),
            token=token,
            template=template,
            on_page=True,
            csrf_token=csrf_token,
        )


async def aprogressbar(task: Any, **options: Any) -> SafeString:
    """Do as progressbar() does, with the same options, for an async view."""
    return await sync_to_async(progressbar)(task, **options)


def render(
    fragment: Fragment,
    key: str,
    *,
    token: str = "",
    template: str = "",
    announcement: str = "",
    on_page: bool = False,
    is_lean: bool = False,
    csrf_token: str = "",
) -> SafeString:
    """Return the HTML of a fragment.

    Args:
        key: What the ids of its elements begin with.
        token: For the next poll; a finished fragment needs none.
        template: "" means the package's own.
        announcement: What a screen reader is to say.
        on_page: Whether the page needs the wrapper too.
        is_lean: Whether the page's script adds what the page has already, the attributes of htmx.
        csrf_token: For the form that cancels the task; "" means that there is none.
    """
    value = "" if fragment.percent is None else f"{fragment.percent:.1f}"
    is_indeterminate = fragment.state == State.RUNNING and not value
    state = conditional_escape(fragment.state)
    language = get_language()
    url = "" if fragment.is_finished else poll_url(token, key, fragment.version, language)
    context = {
        # Ready strings in dicts: attribute look-ups and formatting would be half of the cost.
        "fragment": vars(fragment),
        "key": SafeString(key),
        "state": state,
        "look": f"{state} progressbar--indeterminate" if is_indeterminate else state,
        "value": SafeString(value),
        "width": SafeString(value or ("30" if is_indeterminate else "0")),
        "interval_ms": SafeString(fragment.interval_ms),
        "poll_url": url,
        "name": "" if fragment.label else _escaped(PROGRESS, language),
        "refresh": _escaped(REFRESH, language) if on_page else "",
        "announcement": announcement,
        "on_page": on_page,
        "version": SafeString(fragment.version) if is_lean and not fragment.is_finished else "",
        # The stylesheet hides it: where it is seen, that is missing.
        "hint": NO_STYLESHEET if on_page and settings.DEBUG else "",
        "csrf_token": csrf_token,
    }
    if csrf_token:
        context |= {
            "cancel_url": cancel_url(token, key, fragment.version, language),
            "cancel": gettext(CANCEL),
            "question": gettext(QUESTION),
            "confirm": gettext(CONFIRM),
        }
    try:
        return from_template(template or TEMPLATE, context)
    except TemplateDoesNotExist:
        if on_page:
            raise
        # The page is older than what has been deployed since, and would ask in vain at each poll.
        return from_template(TEMPLATE, context)


def from_template(name: str, context: dict[str, Any]) -> SafeString:
    """Return what a template makes of its variables; it gets no others."""
    try:
        return render_to_string(name, context)
    except TemplateDoesNotExist:
        return SafeString(_own_engine().get_template(name).render(context))


@cache
def _own_engine() -> DjangoTemplates:
    """Return an engine for projects with none that finds Django's templates in apps: Jinja2's."""
    return DjangoTemplates({"NAME": "progress_widget", "DIRS": [], "APP_DIRS": True, "OPTIONS": {}})


@lru_cache
def _escaped(text: str, language: str | None) -> SafeString:
    """Return a text in the active language, escaped; each time anew, it would cost a bar 4 %."""
    return conditional_escape(gettext(text))


def new_key() -> str:
    """Return a key for one rendering, with which the ids of its elements begin."""
    return f"p{secrets.token_urlsafe(4)}"


def valid_key(text: str) -> str:
    """Return the key that a poll sent, or a new one if that is none."""
    return text if re.fullmatch(r"p[0-9A-Za-z_-]{6}", text) else new_key()
