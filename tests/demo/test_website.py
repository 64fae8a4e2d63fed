"""The demo's website: its pages, and a letter that a visitor writes to the address shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

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


def test_a_visitor_walks_about_and_writes(world: World, context: AppContext) -> None:
    client = TestClient(create_webmail(world, context), base_url="http://localhost:8001", follow_redirects=False)
    for page in ("", "chairs", "contact", "ways", "friend", "sent"):
        answer = client.get(f"{PATH}/{page}")
        assert answer.status_code == 200
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert (f"mailto:{ADDRESS}" in answer.text) is (page in ("", "chairs", "contact"))
    with context.database.reading() as session:
        assert session.exec(select(Site)).one().key in client.get(f"{PATH}/").text
        assert session.exec(select(SiteRule)).one().state == "draft", "until its test letter has arrived"
    shown = ADDRESS.replace("@", "+ax7k3qd2m@")
    facts = {"to": shown, "name": "Olga <x@y>, \r\nBcc: z", "text": "How much?"}
    assert client.post(f"{PATH}/letters", data=facts).headers["location"] == f"{PATH}/sent"
    (letter,) = world.letters(ADDRESS)
    assert f"To: {shown}".encode() in letter.raw
    assert b"\nBcc:" not in letter.raw
    assert client.post(f"{PATH}/letters", data={"to": "nobody"}).status_code == 303
    assert len(world.letters(ADDRESS)) == 1
