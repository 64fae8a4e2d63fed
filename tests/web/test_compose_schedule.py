"""Sending at nine o'clock: one's own, or that of whom one writes to, known by their last letter's clock or by their country."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlmodel import select

from tests.web.compose_form import send
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.reading import attribute, only, text_at
from tracker.models import LetterBody, Message, MessageState, Recipient, User
from tracker.outbound.recipient_zone import recipient_zone, zone_of_date
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

WINTER, SUMMER = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)


def scheduled(context: AppContext) -> datetime:
    with context.database.reading() as session:
        message = session.exec(select(Message)).one()
    assert message.state == MessageState.SCHEDULED
    assert message.send_at is not None
    return message.send_at


@pytest.mark.parametrize(
    ("to", "choice", "zone", "weekday"),
    [
        ("anna@example.org", "tomorrow", "UTC", None),
        ("anna@example.org", "monday", "UTC", 0),
        ("Yuki <yuki@example.jp>, anna@example.org", "theirs", "Asia/Tokyo", None),
        ("luc@example.fr", "theirs", "Europe/Paris", None),
    ],
)
def test_one_press_sends_at_nine(
    client: httpx.Client, context: AppContext, sender: User, to: str, choice: str, zone: str, weekday: int | None
) -> None:
    answer = send(client, to=to, do=f"schedule:{choice}")
    assert "Scheduled" in text_at(client.get(answer.headers["location"]), "[data-flash]")
    local, today = scheduled(context).astimezone(ZoneInfo(zone)), now().astimezone(ZoneInfo(zone)).date()
    assert (local.hour, local.minute) == (9, 0)
    assert local.weekday() == weekday if weekday is not None else local.date() == today + timedelta(days=1)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"to": "anna@example.org", "do": "schedule:theirs"}, "what time it is where anna@example.org is"),
        ({"to": "", "do": "schedule:theirs"}, "Choose a time"),
        ({"do": "schedule:someday"}, "This is not a time"),
    ],
)
def test_what_is_not_known_is_asked_for_and_nothing_leaves(
    client: httpx.Client, context: AppContext, sender: User, form: dict[str, str], words: str
) -> None:
    refused = send(client, **form)
    assert refused.status_code == 422
    assert words in text_at(refused, "#send_at-wrong")
    assert only(refused, ".compose-later[open]")
    with context.database.reading() as session:
        assert session.exec(select(Message)).one().state == MessageState.DRAFT


def test_what_another_field_lacks_keeps_the_time(client: httpx.Client, sender: User) -> None:
    refused = send(client, subject="", do="schedule:tomorrow")
    assert refused.status_code == 422
    assert attribute(only(refused, "#send_at"), "value").endswith("T09:00")


@pytest.mark.parametrize(
    ("headers", "hours"),
    [
        ("Subject: x\nDate: Tue, 1 Dec 2026 10:00:00 +0530\nTo: a", 5.5),
        ("DATE:Tue, 1 Dec 2026 10:00:00 -0800", -8),
        ("date: 1 Dec 2026 10:00 EST", -5),
        ("Date: Tue, 1 Dec 2026 10:00:00 +0000", None),
        ("Date: Tue, 1 Dec 2026 10:00:00 GMT", None),
        ("Date: Tue, 1 Dec 2026 10:00:00 -0000", None),
        ("Date: Tue, 1 Dec 2026 10:00:00", None),
        ("Date: Tue, 1 Dec 2026 10:00:00 +9999", None),
        ("Date: Tue, 99 Dec 99999 10:00:00 +0300", None),
        ("Date: сегодня", None),
        ("Date:", None),
        ("Subject: Date: Tue, 1 Dec 2026 10:00:00 +0300", None),
        ("", None),
    ],
)
def test_the_clock_of_a_letter_is_read_from_its_date(headers: str, hours: float | None) -> None:
    zone = zone_of_date(headers)
    assert (zone and zone.utcoffset(None)) == (timedelta(hours=hours) if hours else None)


@pytest.mark.parametrize(
    ("address", "moment", "hours"),
    [
        ("anna@firma.de", WINTER, 1),
        ("anna@firma.de", SUMMER, 2),
        ("anna@firm.co.uk", SUMMER, 1),
        ("anna@firma.ru", WINTER, None),  # eleven zones
        ("anna@firm.com", WINTER, None),
        ("anna@startup.io", WINTER, None),  # sold to the whole world
        ("declared@firm.com", WINTER, 9),
        ("wrote@firm.com", WINTER, 3),
        ("wrote@firma.de", WINTER, 3),  # in Germany, but on another clock
    ],
)
def test_a_recipients_clock_is_known_by_letter_or_country(
    context: AppContext, alice: User, address: str, moment: datetime, hours: int | None
) -> None:
    box = make_mailbox(context, alice)
    for letter in receive(context, box, Came("One", "wrote@firm.com"), Came("Two", "wrote@firma.de")):
        with context.database.session_scope() as session:
            session.get_one(LetterBody, letter.id).headers = "Date: Thu, 15 Jan 2026 12:00:00 +0300"
    with context.database.session_scope() as session:
        session.add(Recipient(lookup="declared@firm.com", address="declared@firm.com", jurisdiction="JP"))
    with context.database.reading() as session:
        zone = recipient_zone(session, alice, address.upper(), moment)
    assert (zone and moment.astimezone(zone).utcoffset()) == (timedelta(hours=hours) if hours is not None else None)
