"""Templates over the API, and what a message may say of its links and pictures."""

from base64 import b64encode
from email import message_from_bytes
from typing import Any

import pytest
from sqlmodel import select

from tests.web.api.conftest import World
from tests.web.test_compose_pictures import PNG
from tracker.models import MessageBody, TrackedLink

OFFER = {"name": "Offer", "subject": "For {{company}}", "html": "<p>Dear {{first_name|colleague}}</p>"}


def made(world: World, **more: Any) -> dict[str, Any]:
    answer = world.alice.post("/templates", {**OFFER, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_template_is_made_changed_listed_and_removed(world: World) -> None:
    template = made(world)
    assert template["placeholders"] == ["company", "first_name"]
    assert template["figures"]["sent"] == 0
    changed = world.alice.call("PATCH", f"/templates/{template['id']}", {"name": "Better", "shared": True}).json()
    assert (changed["name"], changed["subject"], changed["shared"]) == ("Better", OFFER["subject"], True)
    assert [item["name"] for item in world.alice.get("/templates").json()["items"]] == ["Better"]
    assert world.alice.call("DELETE", f"/templates/{template['id']}").status_code == 204
    assert world.alice.get(f"/templates/{template['id']}").status_code == 404


def test_a_colleague_uses_what_is_shared_and_changes_nothing(world: World) -> None:
    own, shared = made(world), made(world, shared=True)
    assert [item["id"] for item in world.bob.get("/templates").json()["items"]] == [shared["id"]]
    assert world.bob.get(f"/templates/{own['id']}").status_code == 404
    seen = world.bob.get(f"/templates/{shared['id']}").json()
    assert seen["own"] is False
    assert world.bob.call("PATCH", f"/templates/{shared['id']}", {"name": "x"}).status_code == 404
    assert world.bob.call("DELETE", f"/templates/{shared['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**OFFER, "html": "{{nmae}}"}, "html"),
        ({**OFFER, "name": ""}, "name"),
        ({**OFFER, "name": "x" * 101}, "name"),
        ({**OFFER, "html": ""}, "html"),
        ({**OFFER, "subject": "a\nb"}, "subject"),
        ({**OFFER, "color": "red"}, "color"),
        ({"name": "x"}, "html"),
    ],
)
def test_what_is_wrong_is_named(world: World, body: dict[str, str], field: str) -> None:
    answer = world.alice.post("/templates", body)
    assert answer.status_code == 422
    assert field in answer.text


def test_scripts_in_a_template_are_gone(world: World) -> None:
    assert made(world, html="<p onclick=x>Hi<script>1</script></p>")["html"] == "<p>Hi</p>"


def test_links_are_left_alone_and_pictures_stand_in_the_text(world: World) -> None:
    world.account(world.alice, "alice@sales.example")
    html = '<p><a href="https://x.example/ü">a</a><a href="https://x.example/b">b</a><img src="cid:logo@x"></p>'
    file = {"filename": "logo.png", "content_type": "image/png", "content_base64": b64encode(PNG).decode()}
    message = {
        "to": [{"address": "anna@client.example"}],
        "subject": "Offer",
        "html": html,
        "untracked_links": ["https://x.example/ü"],
        "attachments": [{**file, "content_id": "logo@x"}],
    }
    answer = world.alice.post("/messages", message)
    assert answer.status_code == 202, answer.text
    with world.context.database.reading() as session:
        raw = message_from_bytes(session.exec(select(MessageBody)).one().raw or b"")
        reasons = [link.reason for link in session.exec(select(TrackedLink))]
    assert reasons == ["refused", "nobody_tracked"]
    assert [part["Content-ID"] for part in raw.walk() if part.get_content_type() == "image/png"] == ["<logo@x>"]
    bad = {**message, "attachments": [{**file, "content_id": "a b"}]}
    assert world.alice.post("/messages", bad).status_code == 422
