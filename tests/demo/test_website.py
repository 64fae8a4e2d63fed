"""The demo's website: its pages, and a letter that a visitor writes to the address shown."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tracker.demo.webmail import create_webmail
from tracker.demo.website import ADDRESS, PATH, open_website
from tracker.demo.world import World
from tracker.models import Site, SiteRule
from tracker.runtime.context import AppContext

pytestmark = pytest.mark.parametrize("context", ["sqlite"], indirect=True)


@pytest.fixture
def world(context: AppContext, people: People, tmp_path: Path) -> Iterator[World]:
    user = people.user(role="admin")
    with World(tmp_path / "world") as made:
        with context.database.session_scope() as session:
            open_website(session, context, made, user, "secret")
        yield made


def asked(world: World, context: AppContext, method: str, page: str, **facts: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_webmail(world, context))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8001") as client:
            return await client.request(method, f"{PATH}/{page}", **facts)

    return asyncio.run(ask())


def test_a_visitor_walks_about_and_writes(world: World, context: AppContext) -> None:
    for page in ("", "chairs", "contact", "ways", "friend", "sent"):
        answer = asked(world, context, "GET", page)
        assert answer.status_code == 200
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert (f"mailto:{ADDRESS}" in answer.text) is (page in ("", "chairs", "contact"))
    with context.database.reading() as session:
        assert session.exec(select(Site)).one().key in asked(world, context, "GET", "").text
        assert session.exec(select(SiteRule)).one().state == "draft", "until its test letter has arrived"
    shown = ADDRESS.replace("@", "+ax7k3qd2m@")
    facts = {"to": shown, "name": "Olga <x@y>, \r\nBcc: z", "text": "How much?"}
    assert asked(world, context, "POST", "letters", data=facts).headers["location"] == f"{PATH}/sent"
    (letter,) = world.letters(ADDRESS)
    assert f"To: {shown}".encode() in letter.raw
    assert b"\nBcc:" not in letter.raw
    assert asked(world, context, "POST", "letters", data={"to": "nobody"}).status_code == 303
    assert len(world.letters(ADDRESS)) == 1
