"""The description of the API, for programs and for people."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.servers import Pages
from tests.web.api.conftest import World

CALLS = {
    "/me": {"get", "patch"},
    "/accounts": {"get", "post"},
    "/accounts/{id}": {"get", "patch", "delete"},
    "/accounts/{id}/check": {"post"},
    "/messages": {"get", "post"},
    "/messages/{id}": {"get"},
    "/messages/{id}/events": {"get"},
    "/messages/{id}/cancellation": {"post"},
    "/messages/{id}/mute": {"post", "delete"},
    "/notifications": {"get"},
    "/notifications/readings": {"post"},
    "/notifications/{id}/reading": {"post"},
    "/templates": {"get", "post"},
    "/templates/{id}": {"get", "patch", "delete"},
    "/feed": {"get"},
    "/recipients": {"get"},
    "/recipients/{address}": {"get", "put", "delete"},
    "/recipients/{address}/export": {"get"},
    "/recipients/{address}/consent": {"get", "post"},
    "/credentials": {"get", "post"},
    "/credentials/{id}": {"get", "patch", "delete"},
    "/mailboxes": {"get", "post"},
    "/mailboxes/{id}": {"get", "patch", "delete"},
    "/mailboxes/{id}/check": {"post"},
    "/mailboxes/{id}/sync": {"post"},
    "/letters": {"get"},
    "/letters/{id}": {"get"},
    "/enquiries": {"get"},
}


@pytest.fixture
def described(world: World) -> dict[str, Any]:
    document: dict[str, Any] = world.line.get(f"{world.url}/openapi.json").json()
    return document


def test_every_call_is_described(described: dict[str, Any]) -> None:
    calls = {path: set(methods) for path, methods in described["paths"].items()}
    assert CALLS.items() <= calls.items()


def test_it_says_where_it_lives_and_that_a_token_is_needed(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.")
    assert described["servers"] == [{"url": "/api/v1"}]
    for methods in described["paths"].values():
        assert all(call["security"] == [{"HTTPBearer": []}] for call in methods.values())


def test_errors_are_described_as_problems(described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            assert list(call["responses"]["422"]["content"]) == ["application/problem+json"], (method, path)


def test_secrets_are_only_written(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert "secret" in schemas["ServerChange"]["properties"]
    assert "secret" not in schemas["ServerResponse"]["properties"]


def test_the_readable_page(world: World) -> None:
    response = world.line.get(f"{world.url}/docs")
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in response.text.lower().replace("description", "")
    assert "//" not in re.sub(r"https?://example", "", "".join(re.findall(r'(?:src|href)="([^"]*)"', response.text)))
    for path, methods in CALLS.items():
        assert path in response.text
        assert all(f">{method.upper()}</span> <code>{path}</code>" in response.text for method in methods)


def _problems_of(page: Page) -> list[str]:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    return problems


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_keeps_its_own_policy_and_fits(world: World, open_page: Pages, width: int) -> None:
    page = open_page(viewport=(width, 800))
    said = _problems_of(page)
    page.goto(f"{world.url}/docs")
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).display") == "grid"
