"""A real browser for the page: Debian's Chromium, driven by Playwright, whose own download is not used."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: The success criteria that the page is held against.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


class Missing(Exception):
    """There is no browser on this machine; says what to install."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window. Raises Missing."""
    executable = shutil.which("chromium")
    if executable is None:
        raise Missing("Debian's package chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Missing("the Python package playwright is not installed") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, path: Path, **context: Any) -> Iterator[Page]:
    """Open a page from its file; whatever its scripts complain of, or it asks of the network, is an AssertionError."""
    faults: list[str] = []
    with browser.new_context(**context) as own:
        page = own.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.on("request", lambda request: faults.extend([request.url] * (not request.url.startswith("file:"))))
        page.goto(path.as_uri())
        yield page
    assert faults == [], faults


def violations(page: Page) -> list[str]:
    """Return what axe-core finds against WCAG 2.1 A and AA, as one line for each element."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    page.evaluate(script.read_text(encoding="utf-8"))
    options = {"runOnly": WCAG, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)
    assert found["passes"], "axe-core looked at nothing"
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]
