# SPDX-License-Identifier: MPL-2.0
"""stick on pages whose Content-Security-Policy allows it little or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from server import Site
    from statsd import Receiver

LOADED = "window.performance.timing.domComplete"

STRICT = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SILENT = "default-src 'none'; script-src 'self'; connect-src 'none'"

HTML = """<!doctype html>
<title>Under a policy</title>
<script src="/static/{script}" data-url="/services/timing/record" defer></script>
<p>Large enough to be painted.</p>"""

# The page's own ears, which its policy does not concern.
LISTEN = """
window.heard = [];
for (const type of ['error', 'unhandledrejection', 'securitypolicyviolation'])
    addEventListener(type, (event) => heard.push(event.effectiveDirective || type));
"""

every_script = pytest.mark.parametrize(
    "script", ["stick.js", "stick-vitals.js", "stick-all.js"]
)


@pytest.fixture(scope="module")
def running(start_site: Callable[..., Any]) -> tuple[Site, Receiver]:
    site: tuple[Site, Receiver] = start_site()
    return site


@pytest.fixture
def under(page: Page, running: tuple[Site, Receiver]) -> Callable[[str, str], None]:
    """Open a page with this policy and this script."""
    address = f"{running[0].url}/policy"

    def under(policy: str, script: str) -> None:
        page.add_init_script(LISTEN)
        page.route(
            address,
            lambda route: route.fulfill(
                body=HTML.format(script=script),
                content_type="text/html",
                headers={"Content-Security-Policy": policy},
            ),
        )
        page.goto(address)

    return under


@every_script
def test_strict(
    under: Callable[[str, str], None],
    page: Page,
    running: tuple[Site, Receiver],
    script: str,
) -> None:
    """Its site's scripts and requests are all stick needs, Trusted Types or not."""
    _, lines = running
    before = len(lines.values(LOADED))
    under(STRICT, script)
    lines.awaits(lambda: len(lines.values(LOADED)) > before)
    assert page.evaluate("heard") == []


@pytest.mark.parametrize("by", ["sendBeacon", "fetch"])
@every_script
def test_silent(
    under: Callable[[str, str], None], page: Page, script: str, by: str
) -> None:
    """Where requests are forbidden none is made, and no error reaches the page."""
    if by == "fetch":
        page.add_init_script("delete Navigator.prototype.sendBeacon")
    under(SILENT, script)
    page.wait_for_function("heard.length > 1")  # what was deferred, and the report
    page.evaluate("fetch('/').catch(() => {})")  # is refused after them
    assert set(page.evaluate("heard")) == {"connect-src"}
