"""`/messages`: sending, lists, one message, taking back; and that they are nobody else's."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tests.web.api.conftest import Caller, World
from tests.web.api.test_api_errors import fields, problem
from tracker.models import Delivery, Message, MessageBody
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_ATTACHMENT_BYTES
from tracker.web.api.authenticated import LARGEST_MESSAGE

LUC = {"address": "luc@example.org", "name": "Luc"}
HTML = '<p>See <a href="https://example.net/a?b=1">here</a></p>'
LETTER = {"to": [LUC], "subject": "Offer 12", "html": HTML}
AT = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)


@pytest.fixture
def account(world: World) -> Any:
    return world.account(world.bob, "bob@example.com")


def granted(world: World, address: str = "luc@example.org") -> None:
    for purpose in ("opens", "clicks"):
        body = {"purpose": purpose, "state": "granted", "channel": "contract", "note": "signed on paper"}
        assert world.bob.post(f"/recipients/{address}/consent", body).status_code == 201


def sent(caller: Caller, **more: Any) -> dict[str, Any]:
    response = caller.post("/messages", {**LETTER, **more})
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_a_message_to_somebody_never_asked(world: World, account: Any) -> None:
    message = sent(world.bob)
    assert message["subject"] == "Offer 12"
    assert message["from"] == {"address": "bob@example.com", "name": "Bob"}
    assert message["account"] == account.public_id
    assert message["message_id"].startswith("<")
    assert (message["state"], message["tracked"], message["sent_at"]) == ("queued", False, None)
    assert message["counts"] == {"opens": 0, "clicks": 0, "machine": 0, "replies": 0, "bounces": 0}
    [delivery] = message["deliveries"]
    assert (delivery["address"], delivery["name"], delivery["role"]) == ("luc@example.org", "Luc", "to")
    unknown = {"on": False, "reason": "unknown", "text": "was never asked"}
    assert delivery["tracking"] == {"opens": unknown, "clicks": unknown}
    [link] = message["links"]
    assert (link["index"], link["url"], link["text"], link["tracked"]) == (
        0,
        "https://example.net/a?b=1",
        "here",
        False,
    )
    assert world.bob.get(f"/messages/{message['id']}").json() == message


def test_a_message_to_somebody_who_agreed(world: World, account: Any) -> None:
    granted(world)
    message = sent(world.bob)
    assert message["tracked"]
    assert message["deliveries"][0]["tracking"]["opens"] == {"on": True, "reason": "granted", "text": "agreed"}
    assert message["links"][0]["tracked"]


@pytest.mark.parametrize(
    ("track", "opens", "clicks"),
    [(None, True, True), ({}, True, True), ({"opens": False}, False, True), ({"links": False}, True, False)],
)
def test_switches(world: World, account: Any, track: Any, opens: bool, clicks: bool) -> None:
    granted(world)
    tracking = sent(world.bob, track=track)["deliveries"][0]["tracking"]
    assert (tracking["opens"]["on"], tracking["clicks"]["on"]) == (opens, clicks)


def test_switches_follow_the_person_s_defaults(world: World, account: Any) -> None:
    granted(world)
    world.bob.call("PATCH", "/me", {"track": {"opens": False}})
    tracking = sent(world.bob)["deliveries"][0]["tracking"]
    assert tracking["opens"]["reason"] == "switched_off"
    assert tracking["clicks"]["on"]


def test_to_cc_and_bcc(world: World, account: Any) -> None:
    message = sent(world.bob, cc=[{"address": "anna@example.org"}], bcc=[{"address": "boss@example.com"}])
    roles = [(item["role"], item["address"]) for item in message["deliveries"]]
    assert roles == [("to", "luc@example.org"), ("cc", "anna@example.org"), ("bcc", "boss@example.com")]


def test_later(world: World, account: Any) -> None:
    at = (now() + timedelta(days=1)).replace(microsecond=0)
    message = sent(world.bob, send_at=at.isoformat(), follow_up_days=3)
    assert message["state"] == "scheduled"
    assert datetime.fromisoformat(message["send_at"]) == at
    assert message["send_at"].endswith("Z")
    assert datetime.fromisoformat(message["follow_up_at"]) == at + timedelta(days=3)


@pytest.mark.parametrize("by", ["id", "message_id", "bare"])
def test_answering_one_s_own(world: World, account: Any, by: str) -> None:
    first = sent(world.bob)
    name = {"id": first["id"], "message_id": first["message_id"], "bare": first["message_id"].strip("<>")}[by]
    second = sent(world.bob, in_reply_to=name)
    assert second["in_reply_to"] == first["message_id"]
    assert second["thread"] == first["thread"]
    assert [item["id"] for item in world.bob.get("/messages", thread=first["thread"]).json()["items"]] == [
        second["id"],
        first["id"],
    ]


def test_answering_somebody_else_s_by_id(world: World, account: Any) -> None:
    hidden = world.sent(world.charlie, AT)
    assert fields(world.bob.post("/messages", {**LETTER, "in_reply_to": hidden.public_id})) == ["in_reply_to"]


def test_answering_a_foreign_message(world: World, account: Any) -> None:
    assert sent(world.bob, in_reply_to="<abc@mail.example.org>")["in_reply_to"] == "<abc@mail.example.org>"


def test_attachments_arrive_whole(world: World, account: Any) -> None:
    content = bytes(range(256)) * 10
    encoded = base64.encodebytes(content).decode()
    file = {"filename": "Angebot ä.bin", "content_type": "application/x-thing", "content_base64": encoded}
    message = sent(world.bob, attachments=[file])
    assert message["has_attachments"]
    with world.context.database.reading() as session:
        row = session.exec(select(Message).where(Message.public_id == message["id"])).one()
        raw = session.get_one(MessageBody, row.id).raw
    assert raw is not None
    assert base64.b64encode(content)[:60] in raw


def test_attachments_too_large_together(world: World, account: Any) -> None:
    half = base64.b64encode(bytes(MAX_ATTACHMENT_BYTES // 2 + 1)).decode()
    files = [{"filename": f"{n}.bin", "content_base64": half} for n in range(2)]
    response = world.bob.post("/messages", {**LETTER, "attachments": files})
    assert "25 MB" in problem(response, 413)["detail"]
    assert response.json()["errors"][0]["field"] == "attachments"
    assert world.bob.get("/messages").json()["items"] == []


def test_attachments_of_25_mb_are_taken(world: World, account: Any) -> None:
    file = {"filename": "big.bin", "content_base64": base64.b64encode(bytes(MAX_ATTACHMENT_BYTES)).decode()}
    assert sent(world.bob, attachments=[file])["has_attachments"]


def test_a_body_beyond_all_limits(world: World, account: Any) -> None:
    response = world.bob.raw("POST", "/messages", b'{"text": "' + b"x" * LARGEST_MESSAGE + b'"}')
    assert "25 MB" in problem(response, 413)["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": []}, "to"),
        ({"to": "luc@example.org"}, "to"),
        ({"to": ["luc@example.org"]}, "to.0"),
        ({"to": [{"name": "Luc"}]}, "to.0.address"),
        ({"to": [LUC, {"address": "luc"}]}, "to.1.address"),
        ({"to": [{"address": "a@example.org", "name": "a\r\nBcc: x@example.org"}]}, "to.0.name"),
        ({"cc": [{"address": "a b@example.org"}]}, "cc.0.address"),
        ({"to": [{"address": f"a{n}@example.org"} for n in range(101)]}, "to"),
        ({"subject": "a\r\nBcc: x@example.org"}, "subject"),
        ({"subject": "x" * 501}, "subject"),
        ({"html": "", "text": " "}, "html"),
        ({"html": 5}, "html"),
        ({"html": "a\0b"}, "html"),
        ({"account": "x"}, "account"),
        ({"account": "\0"}, "account"),
        ({"track": {"opens": "yes"}}, "track.opens"),
        ({"track": {"clicks": True}}, "track.clicks"),
        ({"track": True}, "track"),
        ({"send_at": "tomorrow"}, "send_at"),
        ({"send_at": "2026-03-31"}, "send_at"),
        ({"send_at": "2026-03-31T09:30:00"}, "send_at"),
        ({"send_at": "2026-02-31T09:30:00Z"}, "send_at"),
        ({"send_at": "0001-01-01T00:00:00+14:00"}, "send_at"),
        ({"send_at": 1774949400}, "send_at"),
        ({"in_reply_to": "<a b@example.org>"}, "in_reply_to"),
        ({"in_reply_to": "nothing"}, "in_reply_to"),
        ({"follow_up_days": 0}, "follow_up_days"),
        ({"follow_up_days": 1.5}, "follow_up_days"),
        ({"attachments": [{"filename": "a", "content_base64": "x?"}]}, "attachments.0.content_base64"),
        ({"attachments": [{"filename": "a", "content_base64": "ä"}]}, "attachments.0.content_base64"),
        ({"attachments": [{"filename": "../a", "content_base64": ""}]}, "attachments.0.filename"),
        ({"attachments": [{"filename": "a\r\nb", "content_base64": ""}]}, "attachments.0.filename"),
        (
            {"attachments": [{"filename": "a", "content_type": "text", "content_base64": ""}]},
            "attachments.0.content_type",
        ),
        ({"attachments": [{"filename": "a", "content": ""}]}, "attachments.0.content_base64"),
        ({"from": "boss@example.com"}, "from"),
    ],
)
def test_what_cannot_be_sent(world: World, account: Any, change: dict[str, Any], field: str) -> None:
    response = world.bob.post("/messages", {**LETTER, **change})
    assert fields(response)[0] == field
    assert world.bob.get("/messages").json()["items"] == []
    with world.context.database.reading() as session:
        assert session.exec(select(Delivery)).all() == []


def test_no_account(world: World) -> None:
    assert fields(world.charlie.post("/messages", LETTER)) == ["account"]


def test_somebody_else_s_account(world: World, account: Any) -> None:
    for stranger in (world.alice, world.charlie):
        assert fields(stranger.post("/messages", {**LETTER, "account": account.public_id})) == ["account"]


def test_cancellation(world: World, account: Any) -> None:
    id = sent(world.bob)["id"]
    taken_back = world.bob.post(f"/messages/{id}/cancellation")
    assert (taken_back.status_code, taken_back.json()["state"]) == (200, "draft")
    assert taken_back.json()["deliveries"] == []
    problem(world.bob.post(f"/messages/{id}/cancellation"), 409)


def test_cancellation_after_hand_over(world: World) -> None:
    message = world.sent(world.bob, AT)
    problem(world.bob.post(f"/messages/{message.public_id}/cancellation"), 409)
    assert world.bob.get(f"/messages/{message.public_id}").json()["state"] == "sent"


def test_mute_and_back(world: World) -> None:
    path = f"/messages/{world.sent(world.bob, AT).public_id}"
    assert world.bob.post(f"{path}/mute").json()["muted"] is True
    assert world.bob.get(path).json()["muted"] is True
    assert world.bob.call("DELETE", f"{path}/mute").json()["muted"] is False


def test_messages_are_one_s_own(world: World) -> None:
    message = world.sent(world.bob, AT)
    path = f"/messages/{message.public_id}"
    for stranger in (world.alice, world.charlie):
        assert stranger.get("/messages").json() == {"items": [], "next": None}
        assert problem(stranger.get(path), 404) == problem(stranger.get("/messages/nothing"), 404)
        problem(stranger.get(f"{path}/events"), 404)
        problem(stranger.post(f"{path}/cancellation"), 404)
        problem(stranger.post(f"{path}/mute"), 404)
        problem(stranger.call("DELETE", f"{path}/mute"), 404)
    assert not world.bob.get(path).json()["muted"]


def test_the_list(world: World) -> None:
    message = world.sent(world.bob, AT)
    [line] = world.bob.get("/messages").json()["items"]
    full = world.bob.get(f"/messages/{message.public_id}").json()
    assert line == {name: value for name, value in full.items() if name not in ("deliveries", "links")}
    assert line["sent_at"] == "2026-03-31T09:30:00Z"


def test_the_list_pages_without_gap_or_repeat(world: World) -> None:
    ids = [world.sent(world.bob, AT + timedelta(seconds=n // 3)).public_id for n in range(10)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = world.bob.get("/messages", limit=3, **cursor).json()
        seen += [item["id"] for item in page["items"]]
        world.sent(world.bob, AT + timedelta(hours=len(seen)))  # what arrives meanwhile changes nothing
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ({"state": "sent"}, ["plain", "opened", "clicked"]),
        ({"state": "opened"}, ["opened"]),
        ({"state": "clicked"}, ["clicked"]),
        ({"state": "not_opened"}, ["plain", "clicked"]),
        ({"state": "replied"}, []),
        ({"state": "draft"}, []),
        ({"state": ["sent", "opened"]}, ["opened"]),
        ({"state": "sent,opened"}, ["opened"]),
        ({"tracked": "true"}, ["plain", "opened", "clicked"]),
        ({"tracked": "false"}, []),
        ({"recipient": "LUC@example.org"}, ["plain"]),
        ({"recipient": "nobody@example.org"}, []),
        ({"q": "click"}, ["clicked"]),
        ({"since": "2026-04-01"}, ["opened", "clicked"]),
        ({"until": "2026-04-01"}, ["plain", "opened"]),
        ({"since": "2026-04-01T09:30:01Z"}, ["clicked"]),
    ],
)
def test_filters(world: World, query: dict[str, Any], subjects: list[str]) -> None:
    for day, (subject, facts) in enumerate({"plain": {}, "opened": {"opens": 2}, "clicked": {"clicks": 1}}.items()):
        to = "luc@example.org" if subject == "plain" else "anna@example.org"
        world.sent(world.bob, AT + timedelta(days=day), to, subject=subject, **facts)
    items = world.bob.get("/messages", **query).json()["items"]
    assert [item["subject"] for item in items] == subjects[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "read"}, "state"),
        ({"tracked": "yes"}, "tracked"),
        ({"since": "May"}, "since"),
        ({"until": "1"}, "until"),
    ],
)
def test_filters_that_cannot_be(bob: Caller, query: dict[str, str], field: str) -> None:
    assert fields(bob.get("/messages", **query)) == [field]


def test_events(world: World) -> None:
    message = world.sent(world.bob, AT)
    with world.context.database.reading() as session:
        delivery = session.exec(select(Delivery)).one()
    reasons = [{"code": "looks_like_browser", "values": {}}]
    world.event(message, AT + timedelta(hours=1), delivery_id=delivery.id, reasons=reasons)
    world.event(message, AT + timedelta(hours=2), delivery_id=delivery.id, kind="click", link=0)
    world.event(message, AT + timedelta(hours=2, seconds=1), delivery_id=delivery.id, kind="click", link=0, merged=True)
    world.event(message, AT + timedelta(hours=3), kind="reply", client="")
    reply, click, opened = world.bob.get(f"/messages/{message.public_id}/events").json()["items"]
    assert (reply["kind"], reply["delivery"], reply["address"], reply["url"]) == ("reply", None, None, None)
    assert (click["kind"], click["url"], click["address"]) == ("click", "https://example.net/", "luc@example.org")
    assert {name: opened[name] for name in ("at", "kind", "delivery", "address", "url", "client")} == {
        "at": "2026-03-31T10:30:00Z",
        "kind": "open",
        "delivery": delivery.public_id,
        "address": "luc@example.org",
        "url": None,
        "client": "Gmail",
    }
    assert opened["verdict"] == {
        "class": "human",
        "confidence": 0.9,
        "reasons": ["looks_like_browser"],
        "texts": ["The request looks like a person's browser"],
    }


def test_events_page(world: World) -> None:
    message = world.sent(world.bob, AT)
    ids = [world.event(message, AT).public_id for _ in range(5)]
    first = world.bob.get(f"/messages/{message.public_id}/events", limit=3).json()
    rest = world.bob.get(f"/messages/{message.public_id}/events", limit=3, cursor=first["next"]).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None
