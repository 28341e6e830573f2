"""Strangers: who may see a bar, and what they can't do with a token, a URL or a text."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from django.contrib.staticfiles import finders
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.reading import tickets
from progress_widget.reading.media import STYLESHEET
from tests.builders import ticket
from tests.conftest import TABLE

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
HTMX = {"HX-Request": "true"}
KEY = "p0123ab"
DAY = 86_400
# What no stranger may read about a task: its label, step, message and numbers.
SECRETS = re.compile(r"Kombu|Dulse|Wakame|\b4,?711\b|\b9,?001\b|52\.3")


@pytest.fixture
def row() -> TaskProgress:
    return rows.create(
        task_id="kelp",
        label="Kombu",
        step="Dulse",
        message="Wakame",
        total=9001,
        progress=4711,
        attempt=1,
    )


@pytest.fixture
def ann(django_user_model):
    return django_user_model.objects.create_user("ann")


@pytest.fixture
def url_for(page_bar, request_of) -> Callable[..., str]:
    """Return the poll URL of a task's bar as rendered for a user, without what the page shows."""

    def url_for(user: Any, task: Any = "kelp") -> str:
        return page_bar(task, request=request_of(user))["hx-get"].split("?")[0] + f"?k={KEY}"

    return url_for


@pytest.fixture
def site(client, settings, monkeypatch, ann, django_user_model) -> SimpleNamespace:
    """What changes between the rendering for ann and her poll."""
    client.force_login(ann)
    return SimpleNamespace(
        client=client, settings=settings, monkeypatch=monkeypatch, ann=ann, users=django_user_model
    )


def hx_attributes(html: bytes) -> list[str]:
    """All of the bar; the text for the live region, which is sent once, is beside it."""
    bar = BeautifulSoup(html, "html.parser").select_one("[data-state]")
    return [name for tag in (bar, *bar.find_all(True)) for name in tag.attrs if "hx-" in name]


def lasting_headers(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "Expires"}


def assert_is_refusal(answer: Any) -> None:
    """Assert that this is the refusal that htmx gets: finished, with nothing about a task."""
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "This progress can&#x27;t be shown" in text
    assert 'data-state="refused"' in text
    assert hx_attributes(answer.content) == []
    assert not answer.has_header("HX-Trigger")
    assert not SECRETS.search(text)


# Who may see.


def nobody(request, task_id):
    return False


def has_left(site):
    site.client.logout()


def is_another(site):
    site.client.force_login(site.users.objects.create_user("bob"))


def is_an_administrator(site):
    site.client.force_login(site.users.objects.create_superuser("root"))


def is_deactivated(site):
    site.users.objects.update(is_active=False)


def is_deleted(site):
    site.ann.delete()


def lost_the_session(site):
    site.client.cookies["sessionid"] = "forged"


def may_no_more(site):
    site.settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_privacy.nobody"


def comes_too_late(site):
    now = signing.time.time()
    site.monkeypatch.setattr(signing.time, "time", lambda: now + 7 * DAY + 1)


def comes_after_retention_was_shortened(site):
    site.settings.PROGRESS_WIDGET_RETENTION_DAYS = 1
    now = signing.time.time()
    site.monkeypatch.setattr(signing.time, "time", lambda: now + DAY + 1)


def has_a_token_of_the_old_secret_key(site):
    site.settings.SECRET_KEY = "new"


def has_a_token_of_a_forgotten_secret_key(site):
    site.settings.SECRET_KEY_FALLBACKS = ["older"]
    site.settings.SECRET_KEY = "new"


def is_on_a_site_without_users(site):
    site.settings.MIDDLEWARE = []
    site.client.handler.load_middleware()


CHANGES = [
    has_left,
    is_another,
    is_an_administrator,
    is_deactivated,
    is_deleted,
    lost_the_session,
    may_no_more,
    comes_too_late,
    comes_after_retention_was_shortened,
    has_a_token_of_the_old_secret_key,
    has_a_token_of_a_forgotten_secret_key,
    is_on_a_site_without_users,
]
after_each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


def test_user_sees_the_bar_that_was_rendered_for_her(site, url_for, row):
    answer = site.client.get(url_for(site.ann), headers=HTMX)

    assert SECRETS.findall(answer.content.decode())
    assert "hx-get" in hx_attributes(answer.content)


@after_each_change
def test_refusal_ends_the_polling_and_shows_nothing(site, url_for, row, change):
    url = url_for(site.ann)
    before = site.client.get(url, headers=HTMX)

    change(site)

    assert SECRETS.search(before.content.decode())
    assert_is_refusal(site.client.get(url, headers=HTMX))


@after_each_change
def test_refusal_to_anything_but_htmx_is_an_empty_403(site, url_for, row, change):
    url = url_for(site.ann)

    change(site)

    answer = site.client.get(url)
    assert (answer.status_code, answer.content) == (403, b"")


@after_each_change
@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "browser"])
def test_refusal_asks_the_database_nothing_about_the_task(site, url_for, row, change, headers):
    url = url_for(site.ann)

    with CaptureQueriesContext(connection) as allowed:
        site.client.get(url, headers=headers)
    change(site)
    with CaptureQueriesContext(connection) as refused:
        site.client.get(url, headers=headers)

    assert [TABLE in query["sql"] for query in allowed.captured_queries].count(True) == 1
    assert not [query["sql"] for query in refused.captured_queries if TABLE in query["sql"]]


@after_each_change
@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "browser"])
def test_refusal_does_not_tell_whether_the_task_exists(site, url_for, row, change, headers):
    urls = url_for(site.ann, "kelp"), url_for(site.ann, "no such task")

    change(site)

    known, unknown = (site.client.get(url, headers=headers) for url in urls)
    assert known.content == unknown.content
    assert lasting_headers(known) == lasting_headers(unknown)
    assert known.status_code == unknown.status_code


@after_each_change
def test_refusal_is_final_whatever_the_page_shows(site, url_for, page_bar, request_of, row, change):
    url = page_bar(row, request=request_of(site.ann))["hx-get"]
    before = site.client.get(url, headers=HTMX)

    change(site)

    assert before.status_code == 204
    assert_is_refusal(site.client.get(url, headers=HTMX))


def test_refusal_is_the_same_for_whatever_reason(url_for, row, ann, client):
    forged = client.get(f"/progress/forged/?k={KEY}", headers=HTMX)
    foreign = client.get(url_for(ann), headers=HTMX)

    assert forged.content == foreign.content


def test_refusal_without_a_readable_key_differs_in_the_key_alone(client):
    first, second = (client.get("/progress/forged/", headers=HTMX).content for _ in range(2))

    keys = [BeautifulSoup(html, "html.parser").span["id"] for html in (first, second)]
    assert first != second
    assert first.replace(keys[0].encode(), keys[1].encode()) == second


def test_token_of_a_rotated_secret_key_is_good_while_that_is_a_fallback(site, url_for, row):
    url = url_for(site.ann)
    site.settings.SECRET_KEY_FALLBACKS = [site.settings.SECRET_KEY]
    site.settings.SECRET_KEY = "new"
    site.client.force_login(site.ann)  # Django hashes the session with the key too

    answer = site.client.get(url, headers=HTMX)

    assert SECRETS.search(answer.content.decode())


def test_answer_carries_the_token_that_was_sent(client, url_for, bar_in, row):
    url = url_for(None)

    bar = bar_in(client.get(url, headers=HTMX))

    assert bar["hx-get"].partition("?")[0] == url.partition("?")[0]


def test_token_is_good_until_the_end_of_its_days(client, url_for, row, monkeypatch):
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now)
    url = url_for(None)
    monkeypatch.setattr(signing.time, "time", lambda: now + 7 * DAY - 1)

    answer = client.get(url, headers=HTMX)

    assert SECRETS.search(answer.content.decode())


def test_finished_bar_hands_out_no_further_token(client, url_for, row):
    url = url_for(None)
    rows.update(state=State.FAILED)

    answer = client.get(url, headers=HTMX)

    assert answer.status_code == 200
    assert b"/progress/" not in answer.content


def test_bar_of_nobody_is_shown_to_whoever_has_its_url(client, url_for, row, ann):
    url = url_for(None)
    anonymous = client.get(url, headers=HTMX)
    client.force_login(ann)

    logged_in = client.get(url, headers=HTMX)

    assert SECRETS.search(anonymous.content.decode())
    assert SECRETS.search(logged_in.content.decode())


def test_token_can_be_read_without_the_key_so_that_it_holds_no_secret(url_for, row, ann):
    payload = url_for(ann, row).split("/")[2].split(":")[0]

    data = signing.b64_decode(payload.encode()).decode()

    assert "kelp" in data
    assert str(ann.pk) in data
    assert not SECRETS.search(data)


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_page_asks_can_view_before_it_reads_the_row(draw, request_of, site, row, user):
    site.settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_privacy.nobody"
    request = request_of(site.ann if user == "ann" else None)

    with CaptureQueriesContext(connection) as queries:
        html = draw("{% progressbar 'kelp' %}", request)

    assert 'data-state="refused"' in html
    assert not SECRETS.search(html)
    assert queries.captured_queries == []


def missing(request, task_id):
    raise Http404


def forbidden(request, task_id):
    raise PermissionDenied


@pytest.mark.parametrize("name", ["missing", "forbidden"])
def test_can_view_may_refuse_by_an_exception_of_django(site, url_for, row, draw, request_of, name):
    url = url_for(site.ann)
    site.settings.PROGRESS_WIDGET_CAN_VIEW = f"tests.test_privacy.{name}"

    page = draw("{% progressbar 'kelp' %}", request_of(site.ann))
    answer = site.client.get(url, headers=HTMX)

    assert_is_refusal(answer)
    assert 'data-state="refused"' in page


@after_each_change
@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "browser"])
def test_no_poll_is_ever_redirected_to_a_login(site, url_for, row, change, headers):
    site.settings.MIDDLEWARE = [
        *site.settings.MIDDLEWARE,
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    url = url_for(site.ann)
    before = site.client.get(url, headers=headers)

    change(site)

    after = site.client.get(url, headers=headers)
    assert before.status_code == 200
    assert after.status_code == (200 if headers else 403)


def test_site_that_wants_a_login_shows_the_bar_of_nobody(client, url_for, row, settings):
    login_required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, login_required]

    answer = client.get(url_for(None), headers=HTMX)

    assert SECRETS.search(answer.content.decode())


def test_bar_out_of_a_shared_cache_can_not_be_polled_by_another(
    site, draw, bar_in, request_of, row, django_user_model
):
    source = "{% load cache %}{% cache 60 bars %}{% progressbar 'kelp' %}{% endcache %}"
    bob = django_user_model.objects.create_user("bob")
    cache.clear()
    draw(source, request_of(site.ann))
    site.client.force_login(bob)

    cached = bar_in(draw(source, request_of(bob)))

    # What the cache holds is shown, which is why bars must not be cached.
    assert SECRETS.search(cached.text)
    assert_is_refusal(site.client.get(cached["hx-get"], headers=HTMX))


# Attacks. Requests are made of raw environment variables, as a server does after decoding the URL.


def ask(client: Client, token: str, query: str = f"k={KEY}", **environ: Any) -> Any:
    """Send a poll as it arrives: any bytes, decoded as Latin-1 as in WSGI."""
    path = f"/progress/{token}/"
    return client.request(
        **{"PATH_INFO": path, "QUERY_STRING": query, "HTTP_HX_REQUEST": "true"} | environ
    )


def genuine(**changes: Any) -> str:
    """Return a good token that is bound to nobody, except for the changes."""
    return tickets.sign(ticket(**{"language": "en", **changes}))


def with_payload_of(**changes: Any) -> str:
    """Return a token whose signature is for another payload."""
    payload = genuine(**changes).split(":")[0]
    return ":".join([payload, *genuine().split(":")[1:]])


def bomb() -> str:
    """Return an unsigned token that would grow to 5 MB when unpacked."""
    return f".{signing.b64_encode(zlib.compress(bytes(5_000_000))).decode()}:1:x"


FORGERIES = {
    "empty": "",
    "path traversal": "../../../etc/passwd",
    "path traversal, encoded twice": "..%252f..%252fetc%252fpasswd",
    "NUL": "\0",
    "NUL within": "{genuine}\0",
    "line break": "{genuine}\n",
    "line breaks for a header": "x\r\nSet-Cookie: a=b",
    "100,000 characters": "x" * 100_000,
    "unicode": "日本語".encode().decode("latin-1"),
    "not UTF-8": "\xff\xfe",
    "half a surrogate pair": "\xed\xa0\x80:\xed\xa0\x80:\xed\xa0\x80",
    "right-to-left override": "\u202e".encode().decode("latin-1"),
    "markup": '"><script>alert(1)<',
    "template language": "{{{{ settings.SECRET_KEY }}}}",
    "separators alone": "::",
    "no signature": "{payload}:{stamp}:",
    "null as the signature": "{payload}:{stamp}:null",
    "no stamp": "{payload}:{signature}",
    "stamp of the far future": "{payload}:zzzzzz:{signature}",
    "payload twice": "{payload}{payload}:{stamp}:{signature}",
    "other case": "{swapped}",
    "padded": "{genuine}=",
    "encoded twice": "{quoted}",
    "unpacks to 5 MB": "{bomb}",
    "other salt": "{other_salt}",
    "other key": "{other_key}",
    "signed for sessions": "{session}",
    "other task": "{other_task}",
    "other template": "{other_template}",
    "other language": "{other_language}",
}


def forged(pattern: str) -> str:
    """Fill a pattern of FORGERIES with what only a running project has."""
    token = genuine()
    payload, stamp, signature = token.split(":")
    return pattern.format(
        genuine=token,
        payload=payload,
        stamp=stamp,
        signature=signature,
        swapped=token.swapcase(),
        quoted=quote(quote(token, safe=""), safe=""),
        bomb=bomb(),
        other_salt=signing.dumps({"task_id": "kelp"}, salt="other", compress=True),
        other_key=signing.dumps({"task_id": "kelp"}, key="guessed", salt=tickets.SALT),
        session=signing.dumps({"task_id": "kelp"}, salt="django.contrib.sessions.backends.signed"),
        other_task=with_payload_of(task_id="dulse"),
        other_template=with_payload_of(template="admin/base_site.html"),
        other_language=with_payload_of(language="../../etc"),
    )


@pytest.mark.parametrize("pattern", FORGERIES.values(), ids=FORGERIES)
def test_forged_token_is_refused(client, row, pattern):
    token = forged(pattern)

    htmx, browser = ask(client, token), ask(client, token, HTTP_HX_REQUEST="")

    # A token with a slash, or none at all, is no URL of the view.
    if token == "" or "/" in token:
        assert (htmx.status_code, browser.status_code) == (404, 404)
    else:
        assert_is_refusal(htmx)
        assert browser.status_code == 403
    assert not SECRETS.search(htmx.content.decode() + browser.content.decode())


def test_token_is_not_unpacked_before_its_signature_is_known(client, monkeypatch):
    monkeypatch.setattr(tickets._Packer, "loads", None)
    monkeypatch.setattr(signing.zlib, "decompress", None)

    assert_is_refusal(ask(client, bomb()))
    assert_is_refusal(ask(client, with_payload_of(task_id="dulse")))


def test_genuine_token_of_the_attacks_is_good(client, row):
    assert SECRETS.search(ask(client, genuine()).content.decode())


QUERIES = {
    "k is markup": 'k="><script>alert(1)</script>',
    "k is encoded markup": "k=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    "k breaks out of the id": "k=p0123abc%22%20onfocus=%22alert(1)",
    "k has digits of another script": "k=p%D9%A0%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7",
    "k ends in a line break": f"k={KEY}%0A",
    "k has a header": f"k={KEY}%0D%0ASet-Cookie:%20a=b",
    "k is NUL": "k=%00",
    "k is not UTF-8": "k=%FF%FE",
    "k is long": "k=p" + "0" * 100_000,
    "k is many": "k=x&k=y&k[]=z&k[0]=z",
    "v is huge": "v=99999999999999999999.running.9999999999999.00000000",
    "v is many digits": "v=" + "9" * 100_000,
    "v ends in a line break": "v=1.running.523.00000000%0A",
    "v is markup": "v=1.%3Cscript%3E.523.00000000",
    "v has digits of another script": "v=%D9%A1.running.523.00000000",
    "v names a state that is none": "v=1.__class__.523.00000000",
    "template is chosen": "template=admin/base_site.html&fragment=x&key=x",
    "broken escapes": "%&%zz&k=%&v=%u0000",
    "nothing but separators": "&&==&&;;",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED])
def test_whatever_the_query_says_the_bar_is_as_ever(client, row, query, state):
    rows.update(state=state)
    plain = skeleton(ask(client, genuine(), "").content.decode())

    answer = ask(client, genuine(), query)

    assert answer.status_code == 200
    assert skeleton(answer.content.decode()) == plain
    assert "alert" not in answer.content.decode()
    assert "Set-Cookie" not in answer.headers
    assert "alert" not in answer.headers.get("HX-Trigger", "")
    assert "\n" not in answer.headers.get("HX-Trigger", "")


def test_more_fields_than_django_allows_are_a_bad_request(client, row):
    assert ask(client, genuine(), "&".join(["k=x"] * 1001)).status_code == 400


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("token", ["genuine", "forged"])
def test_nothing_but_get_is_allowed(client, row, method, token):
    token = genuine() if token == "genuine" else "forged"

    answer = ask(client, token, REQUEST_METHOD=method)

    assert (answer.status_code, answer["Allow"], answer.content) == (405, "GET", b"")


@pytest.mark.parametrize(
    ("query", "environ"),
    [
        ("_method=GET", {}),
        ("", {"HTTP_X_HTTP_METHOD_OVERRIDE": "GET"}),
        ("", {"HTTP_X_METHOD_OVERRIDE": "GET"}),
    ],
)
def test_method_can_not_be_overridden(client, row, query, environ):
    answer = ask(client, genuine(), query, REQUEST_METHOD="POST", **environ)

    assert answer.status_code == 405


# Codecs that are not for text ("hex") fail in Django itself, before any view is called.
CHARSETS = ["utf-16", "utf-7", "none"]


@pytest.mark.parametrize("charset", CHARSETS)
def test_charset_that_the_client_claims_is_of_no_account(client, row, charset):
    answer = ask(client, genuine(), CONTENT_TYPE=f"text/plain; charset={charset}")

    assert answer.status_code == 200
    assert f'id="{KEY}"' in answer.content.decode()


@pytest.mark.parametrize("claimed", ["TRUE", "1", "false", "true, true", " "])
def test_whoever_is_not_quite_htmx_is_not_htmx(client, row, claimed):
    assert ask(client, "forged", HTTP_HX_REQUEST=claimed).status_code == 403


@pytest.mark.parametrize(
    "header",
    ["COOKIE", "ACCEPT_LANGUAGE", "HX_CURRENT_URL", "HX_TARGET", "HX_TRIGGER", "REFERER", "ACCEPT"],
)
@pytest.mark.parametrize("value", ["\xff\xfe", "%00", "<script>", "sessionid=<script>", "x" * 9999])
def test_headers_of_a_poll_change_nothing(client, row, header, value):
    usual = ask(client, "forged")

    answer = ask(client, "forged", **{f"HTTP_{header}": value})

    assert answer.content == usual.content


# Anything else.


@pytest.fixture
def task_of_ann(row, ann, monkeypatch) -> tuple[Client, str, list[str]]:
    """Return the client of a stranger, and two good tokens: bound to ann, and for another task."""
    # Thousands of polls may take longer, and a silent task is not shown as running.
    monkeypatch.setattr("django.conf.settings.PROGRESS_WIDGET_STALLED_AFTER", 3600)
    bound = genuine(user=str(ann.pk))
    return Client(), bound, genuine(user=str(ann.pk), task_id="dulse")


CHARACTERS = st.text(alphabet=st.characters(max_codepoint=255), max_size=60)
ALPHABET = "-_:.=%/ABCxyz019\0\n"


@st.composite
def damaged(draw: Any) -> Callable[[str, str], str]:
    """Draw how a good token is damaged, such as by a part of another."""
    where, length = draw(st.integers(0, 400)), draw(st.integers(0, 40))
    text = draw(st.text(alphabet=ALPHABET, max_size=5))
    order = draw(st.permutations(range(3)))
    parts = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    return draw(
        st.sampled_from(
            [
                lambda token, other: token[:where] + text + token[where + length :],
                lambda token, other: token[: where % len(token)],
                lambda token, other: token[-(where % len(token)) :],
                lambda token, other: ":".join(token.split(":")[index] for index in order),
                lambda token, other: ":".join(
                    (token.split(":") + other.split(":"))[index] for index in parts
                ),
                lambda token, other: token[: where % len(token)] + other[where % len(token) :],
            ]
        )
    )


NUMBERS = st.integers(-1, 10**12).map(str)
VERSIONS = st.tuples(NUMBERS, st.sampled_from([*State.values, "stalled", "x"]), NUMBERS, CHARACTERS)
QUERY = st.one_of(
    CHARACTERS,
    st.builds("k={}&v={}".format, CHARACTERS, CHARACTERS),
    st.builds("k={}&v={}".format, st.just(KEY), VERSIONS.map(".".join)),
)


thousand_times = settings(
    max_examples=1000,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # no request changes anything
)


@thousand_times
@given(token=st.one_of(CHARACTERS, damaged()), query=QUERY, htmx=st.sampled_from(["true", "", "x"]))
def test_no_token_that_was_not_given_shows_anything(task_of_ann, token, query, htmx):
    client, good, other = task_of_ann
    tried = token if isinstance(token, str) else token(good, other)
    note(tried)
    assume(tried not in (good, other))

    answer = ask(client, tried, query, HTTP_HX_REQUEST=htmx)

    assert answer.status_code in ((200, 404) if htmx == "true" else (403, 404))
    assert not SECRETS.search(answer.content.decode())
    if answer.status_code == 200:
        assert_is_refusal(answer)


@thousand_times
@given(query=QUERY)
def test_no_query_breaks_a_bar_or_opens_that_of_another(task_of_ann, query):
    client, bound, _ = task_of_ann

    shown, refused = ask(client, genuine(), query), ask(client, bound, query)

    assert shown.status_code == 200
    assert 'data-state="running"' in shown.content.decode()
    assert_is_refusal(refused)


# Texts that people have written.


def skeleton(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return all elements with the names of their attributes, which no text may change."""
    tags = BeautifulSoup(html, "html.parser").find_all(True)
    return [(tag.name, tuple(tag.attrs)) for tag in tags]


TEXTS = {
    "script": "<script>alert(1)</script>",
    "end of the element": "</span></span></span><b>",
    "double quotes": '" onfocus="alert(1)" x="',
    "single quotes": "' onfocus='alert(1)' x='",
    "image": "<img src=x onerror=alert(1)>",
    "htmx": '<a hx-get="/x" hx-trigger="load">',
    "comment": "<!-- --> --!> <![CDATA[",
    "entities": "&lt;b&gt; &amp; &#x202e; &quot;",
    "ambiguous ampersand": "&ltb&copy=1&",
    "template language": "{{ fragment.row }}{% debug %}{# #}",
    "format": "%(time)s %s %n {0} {state}",
    "right-to-left override": "invoice\u202egnp.exe",
    "right-to-left isolate, left open": "\u2067\u2067abc",
    "ends of isolates": "\u2069\u2069\u202c\u202cabc",
    "line separators": "a\u2028b\u2029c",
    "beyond the first plane": "👩🏽‍🚀" * 3,
    "many combining marks": "e" + "\u0301" * 100,
}


PLACES = ["label", "step", "message", "tag"]
CLASSES = {"label": "label", "step": "text", "message": "message", "tag": "label"}


@pytest.fixture
def page_with(draw) -> Callable[[str, str], str]:
    """Render a page with a text in one of PLACES: of the row, or the label of the tag."""

    def page_with(text: str, place: str) -> str:
        texts = {"label": "Label", "step": "Step", "message": "Message"}
        texts = {name: text if name == place else other for name, other in texts.items()}
        state = State.FAILED if place == "message" else State.RUNNING
        rows.update_or_create(
            task_id="kelp", defaults={"total": 10, "progress": 5, "state": state, **texts}
        )
        tag = text if place == "tag" else ""
        return draw("{% progressbar 'kelp' label=tag %}", tag=tag)

    return page_with


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("place", PLACES)
def test_text_is_shown_as_it_was_written_and_nothing_else(page_with, place, text):
    html = page_with(text, place)

    page = BeautifulSoup(html, "html.parser")
    assert page.select_one(f".progressbar__{CLASSES[place]}").text == text
    assert skeleton(html) == skeleton(page_with("harmless", place))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_in_an_attribute_is_what_was_written(page_with, text):
    meter = BeautifulSoup(page_with(text, "step"), "html.parser").select_one("[role=progressbar]")

    assert meter["aria-valuetext"] == f"50.0%, {text}"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("place", ["label", "step"])
def test_text_in_the_live_region_is_what_was_written(client, url_for, text, place):
    rows.create(task_id="kelp", total=10, progress=5, **{place: text})
    query = f"k={KEY}&v=0.waiting..00000000"

    answer = ask(client, url_for(None).split("/")[2], query)

    region = BeautifulSoup(answer.content, "html.parser").select_one(f"#{KEY}-s")
    assert text in region.text
    assert region.find_all(True) == []


@pytest.mark.parametrize("place", PLACES)
def test_page_that_escapes_nothing_escapes_a_bar(draw, page_with, place):
    page_with("<i>", place)
    source = "{% autoescape off %}{% progressbar 'kelp' label=tag %}{% endautoescape %}"

    html = draw(source, tag="<i>" if place == "tag" else "")

    assert "<i>" not in html
    assert "&lt;i&gt;" in html


def test_label_that_a_page_calls_safe_is_escaped(draw):
    html = draw("{% progressbar 'kelp' label=tag|safe %}", tag="<i>")

    assert "<i>" not in html


@pytest.mark.parametrize("place", PLACES)
def test_text_decides_its_own_direction_and_that_of_nothing_beside_it(page_with, place):
    text = "invoice\u202egnp.exe"

    page = BeautifulSoup(page_with(text, place), "html.parser")

    # An element with dir is an isolate: what a text leaves open ends with the element.
    holders = [found.parent for found in page.find_all(string=re.compile("\u202e"))]
    assert [holder.get("dir") for holder in holders] == ["auto"]
    assert [holder.find_all(True) for holder in holders] == [[]]


def test_stylesheet_leaves_texts_isolated():
    sheet = Path(finders.find(STYLESHEET)).read_text()

    values = set(re.findall(r"unicode-bidi:\s*([a-z-]+)", sheet))
    assert values <= {"isolate", "plaintext"}
    assert not re.search(r"(?<![a-z-])direction:", sheet)


def test_text_in_an_attribute_is_the_last_thing_there(page_with):
    page = BeautifulSoup(page_with("a\u202eb", "step"), "html.parser")

    having = {
        (tag["class"][0], name): value
        for tag in page.find_all(True)
        for name, value in tag.attrs.items()
        if "\u202e" in value
    }
    assert having == {("progressbar__meter", "aria-valuetext"): "50.0%, a\u202eb"}


def say_step(text):
    ProgressBar("kelp").update(step=text)


def say_message(text):
    ProgressBar("kelp").fail(text)


def say_nothing(text):
    ProgressBar("kelp")


SAYING = [(say_step, "text", 255), (say_message, "message", 1000), (say_nothing, "label", 255)]


@pytest.mark.parametrize(("say", "place", "length"), SAYING, ids=["step", "message", "label"])
def test_text_of_10000_characters_is_cut(draw, say, place, length):
    text = "<&>\"'" * 2000
    say(text)

    html = draw("{% progressbar 'kelp' label=tag %}", tag=text)

    shown = BeautifulSoup(html, "html.parser").select_one(f".progressbar__{place}").text
    assert shown == text[:length]


@pytest.mark.parametrize(("say", "place", "length"), SAYING, ids=["step", "message", "label"])
def test_text_loses_what_no_page_and_no_column_can_hold(draw, say, place, length):
    text = "a\0b\ud800c"
    say(text)

    html = draw("{% progressbar 'kelp' label=tag %}", tag=text)

    shown = BeautifulSoup(html, "html.parser").select_one(f".progressbar__{place}").text
    assert shown == "ab?c"


# Documentation.


def test_each_test_that_the_documentation_names_is_there():
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    page = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text()

    named = set(re.findall(r"`(test_\w+)`", page))

    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in tests} == set()
