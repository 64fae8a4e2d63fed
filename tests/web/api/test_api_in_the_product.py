"""The API where it lives: inside the web application, beside the pages, with the feed on a line that stays open."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.fixtures.contexts import opened_context
from tests.servers import free_port, wait_until
from tests.web.api.conftest import MOUNTED_AT, Caller, World, people_of
from tests.web.api.test_api_errors import problem
from tracker.models import User
from tracker.notifications.notify import announce
from tracker.runtime.context import AppContext
from tracker.web.api import create_api
from tracker.web.app import MAX_BODY, create_app


@pytest.fixture
def product(context: AppContext, line: httpx.Client) -> Iterator[World]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(create_app(context), port=port, log_level="critical", ws="none", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    url = f"http://127.0.0.1:{port}{MOUNTED_AT}"
    yield World(context, url, line, *people_of(context, url, line))
    server.should_exit = True
    thread.join(10)


def test_it_answers_beside_the_pages(product: World) -> None:
    assert product.bob.get("/me").json()["name"] == "Bob"
    problem(product.bob.get("/nothing"), 404)
    problem(product.line.get(f"{product.url}/me"), 401)


def test_a_browser_s_cookie_is_no_token(product: World) -> None:
    headers = {"Cookie": f"session={product.bob.token}"}
    problem(product.line.get(f"{product.url}/me", headers=headers), 401)


def test_a_call_from_another_site_with_a_token_of_its_own_is_fine(product: World) -> None:
    headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert product.bob.call("POST", "/notifications/readings", headers=headers).status_code == 200


def test_the_readable_page_keeps_its_policy(product: World) -> None:
    policy = product.line.get(f"{product.url}/docs").headers["content-security-policy"]
    assert "style-src 'sha256-" in policy


def test_a_body_beyond_what_the_whole_product_takes(product: World) -> None:
    assert product.bob.raw("POST", "/messages", b" " * (MAX_BODY + 1)).status_code == 413


def test_the_feed_brings_only_what_is_one_s_own_and_resumes(product: World) -> None:
    say(product.context, product.bob.user, "first")
    say(product.context, product.charlie.user, "hidden")
    say(product.context, product.bob.user, "second")
    first = hear(product.bob, 2, after="0")
    assert [hint["id"] for _, hint in first] == ["first", "second"]
    assert {hint["kind"] for _, hint in first} == {"message"}
    again = hear(product.bob, 1, after=first[0][0])
    assert again == first[1:]


def test_the_feed_is_live(product: World) -> None:
    later = threading.Timer(0.3, say, (product.context, product.bob.user, "live"))
    later.start()
    assert [hint["id"] for _, hint in hear(product.bob, 1)] == ["live"]
    later.join()


def test_the_feed_needs_a_token(product: World) -> None:
    problem(product.line.get(f"{product.url}/feed"), 401)


def say(context: AppContext, user: User, subject: str) -> None:
    with context.database.session_scope() as session:
        assert user.id is not None
        announce(session, user.id, "message", subject)


def hear(caller: Caller, count: int, after: str | None = None) -> list[tuple[str, dict[str, str]]]:
    """The first hints of the feed, with their numbers."""
    headers = {"Authorization": f"Bearer {caller.token}", **({"Last-Event-ID": after} if after else {})}
    events: list[tuple[str, dict[str, str]]] = []
    with caller.line.stream("GET", f"{caller.url}/feed", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        number = ""
        for text in response.iter_lines():
            name, _, value = text.partition(": ")
            number = value if name == "id" else number
            if name == "data":
                events.append((number, json.loads(value)))
            if len(events) == count:
                return events
    return events


def test_it_runs_alone(tmp_path: Path, line: httpx.Client) -> None:
    with opened_context(tmp_path) as context:
        api: FastAPI = create_api(context)
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(api, port=port, log_level="critical", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started)
        url = f"http://127.0.0.1:{port}"
        [alice, *_] = people_of(context, url, line)
        assert alice.get("/me").json()["name"] == "Alice"
        assert "openapi" in line.get(f"{url}/openapi.json").json()
        server.should_exit = True
        thread.join(10)
