"""A NUL, which PostgreSQL refuses, ends in an answer wherever a page takes something: in a path, a query, or a form."""

import httpx
import pytest

from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.users import add_token
from tracker.web.app import create_app


@pytest.fixture(autouse=True)
def on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes NUL."""
    monkeypatch.setenv("WEB_TESTS_ON", "postgresql")


def paths(context: AppContext) -> list[tuple[str, str]]:
    """Every page with a place in its path, and every page that may read a query."""
    places = []
    for route in create_app(context).routes:
        path = getattr(route, "path", "")
        for method in sorted(getattr(route, "methods", None) or ()):
            if method in ("GET", "POST") and path not in ("/feed", "/sign-out", "/readyz"):
                places.append((method, path))
    return places


def test_no_page_stumbles_over_nul(context: AppContext, client: httpx.Client, alice: User) -> None:
    seen = 0
    for method, path in paths(context):
        place = path
        while "{" in place:
            place = place[: place.index("{")] + "%00" + place[place.index("}") + 1 :]
        for url in {place, f"{place}?q=%00&after=%00&before=%00&recipient=%00&sender=%00&mailbox=%00&to=%00&next=%00"}:
            form = dict.fromkeys(
                ("name", "address", "code", "email", "password", "subject", "html", "reason"), "a\x00b"
            )
            answer = client.request(method, url, data=form if method == "POST" else None)
            assert answer.status_code < 500, (method, url)
            seen += 1
    assert seen > 150


@pytest.mark.parametrize(
    "call", ["/messages?q=%00", "/messages?recipient=%00", "/letters?q=%00&sender=%00", "/recipients?q=%00"]
)
def test_neither_does_the_api(context: AppContext, client: httpx.Client, alice: User, call: str) -> None:
    with context.database.session_scope() as session:
        _, token = add_token(session, alice, "probe")
    answer = httpx.get(
        f"{client.base_url}/api/v1{call}".replace("//api", "/api"), headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code < 500
