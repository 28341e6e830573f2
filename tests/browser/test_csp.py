"""No violation of a strict Content-Security-Policy is reported."""

from __future__ import annotations

import pytest

from progress_widget.bars import ProgressBar
from tests.browser.visitor import Visitor, tag

POLICIES = {
    "self": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'",
    "nonce": "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; "
    "style-src 'nonce-{nonce}'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize("policy", POLICIES)
def test_strict_policy_is_kept(visitor: Visitor, policy: str) -> None:
    good, bad = ProgressBar("good", total=10), ProgressBar("bad", total=None)
    names = ("good", "bad", "waiting")
    parts = [f'<div id="{name}">{tag(name, "label=" + repr(name))}</div>' for name in names]
    visitor.opens("".join(parts), policy=POLICIES[policy])

    good.update(progress=5)
    visitor.sees(percent=50, within="#good")
    good.finalize()
    bad.fail("No kelp.")
    visitor.sees(state="succeeded", within="#good")
    visitor.sees(state="failed", within="#bad")
    visitor.sees(state="waiting", within="#waiting")

    styled = visitor.page.locator(".progressbar__meter svg").first
    assert styled.evaluate("track => getComputedStyle(track).display") == "block"
    assert visitor.console == []


@pytest.mark.parametrize("htmx", ["2"], indirect=True)
def test_violation_would_be_noticed(visitor: Visitor) -> None:
    visitor.expects("CSP violation: style-src", "violates the following Content Security Policy")

    visitor.opens('<p style="color: red">Red</p>', policy=POLICIES["self"])

    visitor.page.wait_for_function("document.readyState === 'complete'")
    assert any("CSP violation: style-src" in text for text in visitor.console)
