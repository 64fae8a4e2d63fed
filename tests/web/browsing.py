"""A real browser that is signed in."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page

from tests.servers import Pages
from tests.web.conftest import session_token
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.web.http.sessions import COOKIE

OpenAs = Callable[..., Page]
MOST_STOPS = 200


def tab_to(page: Page, where: str | Locator) -> None:
    """Presses Tab until the focus is there, on a page whose scripts have run."""
    wanted = page.locator(where) if isinstance(where, str) else where
    wanted.first.wait_for()
    page.wait_for_load_state()
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if wanted.evaluate_all("all => all.includes(document.activeElement)"):
            return
    pytest.fail(f"Tab never comes to {where}")


def press(page: Page, where: str | Locator) -> None:
    """Goes there by Tab, and Enter."""
    tab_to(page, where)
    page.keyboard.press("Enter")


@pytest.fixture(name="open_as")
def signed_in_browser(context: AppContext, address: str, open_page: Pages) -> Iterator[OpenAs]:
    """`open_as(alice, "/mail")`: a page of somebody who is signed in. No script of ours may fail."""
    failures: list[str] = []

    def open_(user: User, path: str, *, scripts: bool = True, viewport: tuple[int, int] = (1280, 800)) -> Page:
        page = open_page(base_url=address, scripts=scripts, viewport=viewport)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.context.add_cookies([{"name": COOKIE, "value": session_token(context, user), "url": address}])
        page.goto(path)
        return page

    yield open_
    assert failures == []
