"""`/notifications`."""

from datetime import UTC, datetime, timedelta

from tests.web.api.conftest import Caller, World
from tests.web.api.test_api_errors import problem
from tracker.locale import gettext, use_locale
from tracker.models import Message
from tracker.notifications.notify import notify

AT = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)


def rung(world: World, owner: Caller, message: Message, number: int = 0, **facts: object) -> str:
    with world.context.database.session_scope() as session:
        assert owner.user.id is not None
        at = AT + timedelta(minutes=number)
        line = notify(session, owner.user.id, f"delivery:{number}", "open", at, message_id=message.id, **facts)
        return line.public_id


def test_a_line(world: World) -> None:
    message = world.sent(world.bob, AT, subject="Offer 12")
    id = rung(world, world.bob, message, delivery_id=1, count=3, opens=3)
    [line] = world.bob.get("/notifications").json()["items"]
    assert line["id"] == id
    assert line["text"] == "luc@example.org opened “Offer 12” · 3×"
    assert (line["kind"], line["message"], line["recipient"], line["count"]) == (
        "open",
        message.public_id,
        "luc@example.org",
        3,
    )
    assert (line["at"], line["read_at"]) == ("2026-03-31T09:30:00Z", None)


def test_a_line_in_one_s_own_language(world: World) -> None:
    rung(world, world.bob, world.sent(world.bob, AT, subject="Offer 12"), delivery_id=1)
    world.bob.call("PATCH", "/me", {"locale": "ru"})
    with use_locale("ru"):
        subject = gettext("“%(subject)s”") % {"subject": "Offer 12"}
        russian = gettext("%(who)s opened %(subject)s") % {"who": "luc@example.org", "subject": subject}
    assert world.bob.get("/notifications").json()["items"][0]["text"] == russian


def test_reading_one(world: World) -> None:
    message = world.sent(world.bob, AT)
    first, second = (rung(world, world.bob, message, n) for n in range(2))
    assert world.bob.post(f"/notifications/{first}/reading").json()["read_at"] is not None
    assert [item["id"] for item in world.bob.get("/notifications", unread="true").json()["items"]] == [second]
    assert len(world.bob.get("/notifications").json()["items"]) == 2


def test_reading_all(world: World) -> None:
    message, other = world.sent(world.bob, AT), world.sent(world.charlie, AT)
    rung(world, world.bob, message, 0)
    rung(world, world.bob, message, 1)
    rung(world, world.charlie, other)
    assert world.bob.post("/notifications/readings").json() == {"unread": 0}
    assert world.bob.get("/notifications", unread="true").json()["items"] == []
    assert len(world.charlie.get("/notifications", unread="true").json()["items"]) == 1


def test_lines_are_one_s_own(world: World) -> None:
    id = rung(world, world.bob, world.sent(world.bob, AT))
    for stranger in (world.alice, world.charlie):
        assert stranger.get("/notifications").json()["items"] == []
        problem(stranger.post(f"/notifications/{id}/reading"), 404)
    assert world.bob.get("/notifications").json()["items"][0]["read_at"] is None


def test_lines_page_newest_first(world: World) -> None:
    message = world.sent(world.bob, AT)
    ids = [rung(world, world.bob, message, n) for n in range(5)]
    first = world.bob.get("/notifications", limit=2).json()
    rest = world.bob.get("/notifications", cursor=first["next"]).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]


def test_no_such_line(bob: Caller) -> None:
    problem(bob.post("/notifications/nothing/reading"), 404)
    problem(bob.post("/notifications/%00/reading"), 404)
