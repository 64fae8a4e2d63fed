"""A real Chromium, driven by Playwright's synchronous API."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.servers.processes import require

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

TIMEOUT = 30_000
"""Milliseconds that an expectation waits, as Playwright's actions do: what comes late tells of the machine."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser until the end of the block: the one without windows, or that with windows, which takes three times as long.

    Within the block the calling thread counts as running an event loop: asyncio.run() there must move to a thread.
    """
    program = require("chromium-headless-shell", "chromium")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Pages:
    """Opens pages, each in a context of its own (own cookies, own storage), and closes them all."""

    browser: Browser
    _contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        *,
        locale: str = "en-US",
        colour_scheme: Literal["light", "dark"] = "light",
        viewport: tuple[int, int] = (1280, 800),
        scripts: bool = True,
        base_url: str | None = None,
        timezone: str = "Europe/Berlin",
    ) -> Page:
        """A blank page; `viewport` in CSS pixels, `scripts=False` for a visitor without JavaScript."""
        context = self.browser.new_context(
            locale=locale,
            color_scheme=colour_scheme,
            viewport={"width": viewport[0], "height": viewport[1]},
            java_script_enabled=scripts,
            base_url=base_url,
            timezone_id=timezone,
        )
        self._contexts.append(context)
        return context.new_page()

    def close(self) -> None:
        while self._contexts:
            self._contexts.pop().close()
