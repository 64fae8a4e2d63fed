"""Today: who waits, who shows interest, what is due, what went wrong; a line goes when one is done with it, and comes again."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import event
from sqlmodel import select

from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import ANNA, KEN, Seen, To, Written, agree, make_account, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.consent.preferences import set_preference
from tracker.engagement.warmth import degree, warmth
from tracker.models import Delivery, EnquiryStatus, Letter, MailboxState, MessageState, User
from tracker.outbound.messages import remind_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.users import add
from tracker.web.today.activity import read_activity

__all__ = ["signed_in_browser"]
MOST_STATEMENTS = 12
PLACES = ".mail-row, .letter-row"
"""The rows of any list."""
NOW = now()


def lists(client: httpx.Client) -> dict[str, list[str]]:
    """Who stands in each list of the page, by its heading."""
    page = client.get("/today")
    assert page.status_code == 200, page.text
    return {
        words(every(part, "h2")[0]): [words(who) for who in every(part, ".mail-who")]
        for part in every(page, ".today-list")
    }


def waits(context: AppContext, letter: Letter, **facts: Any) -> None:
    with context.database.session_scope() as session:
        status = {"user_id": letter.user_id, "mailbox_id": letter.mailbox_id, "waiting_since": letter.received_at}
        session.add(
            EnquiryStatus(
                **{
                    **status,
                    "letter_id": letter.id,
                    "sender": letter.sender,
                    "received_at": letter.received_at,
                    **facts,
                }
            )
        )


def opened(subject: str, *to: To, ago: timedelta = timedelta(hours=1), **facts: Any) -> Written:
    """Each of them opened it five minutes after it was sent."""
    seen = tuple(Seen("open", "human", 300, who) for who in range(len(to)))
    return Written(
        subject, to, seen, ago=ago, columns={"last_activity_at": now() - ago + timedelta(minutes=5), **facts}
    )


def test_it_is_the_first_page(client: httpx.Client) -> None:
    assert client.get("/").headers["location"] == "/today"


def test_each_list_holds_what_it_is_for(context: AppContext, client: httpx.Client, alice: User, bob: User) -> None:
    box = make_mailbox(context, alice)
    make_mailbox(context, alice, "old@shop.example", state=MailboxState.AUTH_ERROR, state_detail="refused")
    make_account(context, alice, state="broken", state_detail="no")
    asked, answered, others = receive(context, box, Came("asks", name="Nina"), Came("was answered"), Came("somebody’s"))
    waits(context, asked)
    waits(context, answered, waiting_since=None)
    waits(context, others, manager_id=bob.id)
    write(
        context,
        alice,
        opened("offer", KEN),
        Written("quiet", (ANNA,)),
        Written("due", (ANNA,), columns={"follow_up_due_at": now()}),
        Written("not gone", (ANNA,), state=MessageState.FAILED),
        Written("long ago", (ANNA,), ago=timedelta(days=30), state=MessageState.FAILED),
        Written("came back", (ANNA,), columns={"bounces": 1}),
        Written("refused", (To("no@x.example", "Noé", status="rejected"),)),
    )
    write(context, bob, opened("of Bob", KEN), Written("due", (KEN,), columns={"follow_up_due_at": now()}))
    assert lists(client) == {
        "Answer now 1": ["Nina"],
        "Showing interest 1": ["Ken Watanabe"],
        "Follow up 1": ["Anna Petit"],
        "Not connected": ["old@shop.example", "alice@sales.example"],
        "Went wrong 3": ["Noé", "Anna Petit", "Anna Petit"],
    }
    each_number_leads_to_what_it_counts(client)


def each_number_leads_to_what_it_counts(client: httpx.Client) -> None:
    links = [*every(client.get("/today"), "a.today-count"), *every(client.get("/today"), ".activity-days a")]
    assert links
    for link in links:
        address = attribute(link, "href")
        listed = client.get(address)
        assert listed.status_code == 200
        place = address.partition("#")[2]
        shown = len(every(listed, f"[aria-labelledby={place}] .mail-row" if place else PLACES))
        assert shown == int(words(link)), address


def test_who_is_in_no_hands_is_for_me_also_when_somebody_left(
    context: AppContext, client: httpx.Client, alice: User, bob: User
) -> None:
    asked, others = receive(context, make_mailbox(context, alice), Came("asks", name="Nina"), Came("x", name="Of Bob"))
    waits(context, asked)
    waits(context, others, manager_id=bob.id)
    assert lists(client) == {"Answer now 1": ["Nina"]}
    each_number_leads_to_what_it_counts(client)
    with context.database.session_scope() as session:
        session.merge(User(**{**bob.model_dump(), "active": False}))
    assert lists(client) == {"Answer now 2": ["Nina", "Of Bob"]}
    each_number_leads_to_what_it_counts(client)


def test_all_who_show_interest_are_listed_on_demand(context: AppContext, client: httpx.Client, alice: User) -> None:
    write(context, alice, *(opened(f"offer {n}", To(f"o{n}@x.example", f"O {n}")) for n in range(9)))
    assert [len(who) for who in lists(client).values()] == [7]
    each_number_leads_to_what_it_counts(client)
    assert attribute(only(client.get("/today?all=interest"), ".today-lists"), "data-part").endswith("&all=interest")
    assert len(every(client.get("/today?part=rows&all=interest"), ".mail-row")) == 9


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_each_number_of_the_picture_leads_to_what_it_counts(
    context: AppContext, client: httpx.Client, alice: User, bob: User, zone: str
) -> None:
    """Opened on two days, long after it was sent, answered by somebody untracked, by machines only, paused, of a colleague."""
    day, hour = 86_400.0, timedelta(hours=1)
    new = {"last_activity_at": now()}
    twice = (Seen("open", "human", 60), Seen("open", "human", 120), Seen("open", "human", 3 * day))
    late = (Seen("open", "human", 40 * day), Seen("reply", "human", 41 * day))
    with context.database.session_scope() as session:
        session.merge(User(**{**alice.model_dump(), "timezone": zone}))
    write(
        context,
        alice,
        Written("twice", (ANNA,), twice, ago=timedelta(days=5), columns=new),
        Written("late", (ANNA, KEN), late, ago=timedelta(days=42), columns=new),
        Written("machine", (ANNA,), (Seen("open", "security_scanner", 5),), ago=hour, columns=new),
        Written("only answered", (KEN,), (Seen("reply", "human", 5),), ago=hour, columns=new),
        Written("long ago", (KEN,), (Seen("open", "human", 5),), ago=timedelta(days=30), columns=new),
    )
    write(context, bob, Written("of Bob", (ANNA,), twice, columns=new))
    (paused,) = write(context, alice, Written("paused", (KEN,), (Seen("open", "human", 60),), ago=hour, columns=new))
    with context.database.session_scope() as session:
        copy = session.exec(select(Delivery).where(Delivery.message_id == paused.id)).one()
        copy.frozen = True
        session.add(copy)
    page = client.get("/today")
    assert [words(link) for link in every(page, ".activity-key a")] == ["4", "2", "2"]
    each_number_leads_to_what_it_counts(client)
    opened_ = client.get(attribute(every(page, ".activity-key a")[1], "href"))
    assert text_at(opened_, ".mail-sentence").startswith("Mail: opened since ")
    assert {words(row) for row in every(opened_, ".mail-subject")} == {"twice", "late"}


def test_whoever_waits_for_an_answer_is_not_listed_as_interested_too(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), Came("asks", ANNA.address, "Anna Petit"))
    waits(context, letter)
    write(context, alice, opened("offer", ANNA))
    assert lists(client) == {"Answer now 1": ["Anna Petit"]}


def test_the_warmest_comes_first_and_one_person_is_one_line(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    clicked = Seen("click", "human", 300, link=0)
    write(
        context,
        alice,
        opened("one", KEN),
        opened("two", KEN),
        Written("offer", (ANNA,), (clicked,), columns={"last_activity_at": now()}, links=(("https://a.example", "a"),)),
        opened("week", To("slow@x.example", "Slow"), ago=timedelta(days=8)),
    )
    assert lists(client) == {"Showing interest 2": ["Anna Petit", "Ken Watanabe"]}


@pytest.mark.parametrize(
    ("list_", "written", "path"),
    [
        ("Follow up 1", Written("due", (ANNA,), columns={"follow_up_due_at": NOW}), "mail"),
        ("Went wrong 1", Written("x", (ANNA,), state=MessageState.FAILED), "mail"),
        ("Went wrong 1", Written("x", (ANNA,), columns={"bounces": 1, "last_activity_at": NOW}), "mail"),
        ("Went wrong 1", Written("x", (To(ANNA.address, ANNA.name, status="rejected"),)), "mail"),
        ("Showing interest 1", opened("offer", ANNA), "recipients"),
    ],
)
def test_done_takes_a_line_away_and_undo_brings_it_back(
    context: AppContext, client: httpx.Client, alice: User, list_: str, written: Written, path: str
) -> None:
    (message,) = write(context, alice, written)
    assert lists(client) == {list_: ["Anna Petit"]}
    whose = message.public_id if path == "mail" else ANNA.address
    assert client.post(f"/{path}/{whose}/completion").headers["location"] == "/today"
    assert lists(client) == {}
    if path == "mail":
        client.post(f"/mail/{message.public_id}/completion-end")
        assert lists(client) == {list_: ["Anna Petit"]}


def test_being_done_with_one_recipient_leaves_the_others(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    write(context, alice, opened("offer", ANNA, KEN))
    client.post(f"/recipients/{ANNA.address}/completion")
    assert lists(client) == {"Showing interest 1": ["Ken Watanabe"]}


def test_nobody_is_done_with_what_is_somebody_elses(
    context: AppContext, client: httpx.Client, alice: User, bob: User, client_of: ClientOf
) -> None:
    (message,) = write(context, alice, opened("offer", ANNA, follow_up_due_at=now()))
    his = client_of(bob)
    assert his.post(f"/mail/{message.public_id}/completion").status_code == 404
    his.post(f"/recipients/{ANNA.address}/completion")
    assert set(lists(client)) == {"Showing interest 1", "Follow up 1"}


def test_a_reminder_that_rang_stays_until_somebody_does_something(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    (message,) = write(
        context, alice, Written("offer", (ANNA,), columns={"follow_up_at": now() - timedelta(minutes=1)})
    )
    assert remind_due(context) == 1
    assert lists(client) == {"Follow up 1": ["Anna Petit"]}
    client.post(f"/mail/{message.public_id}/reminder", data={"days": "1", "back": "/today"})
    assert lists(client) == {}


def test_the_page_asks_the_database_little_however_much_there_is(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    box = make_mailbox(context, alice)
    for letter in receive(context, box, *(Came(f"asks {n}", f"n{n}@x.example") for n in range(20))):
        waits(context, letter)
    write(context, alice, *(opened(f"offer {n}", To(f"o{n}@x.example", f"O {n}")) for n in range(20)))
    write(context, alice, *(Written(f"failed {n}", (ANNA,), state=MessageState.FAILED) for n in range(20)))
    client.get("/today")
    asked: list[str] = []
    event.listen(context.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert set(lists(client)) == {"Answer now 20", "Showing interest 20", "Went wrong 20"}
    each_number_leads_to_what_it_counts(client)
    asked.clear()
    client.get("/today")
    assert len(asked) <= MOST_STATEMENTS, "\n".join(asked)


@pytest.mark.parametrize(
    ("opens", "clicks", "hours", "degree_"),
    [(1, 0, 0, "cool"), (2, 0, 1, "warm"), (0, 1, 1, "warm"), (4, 0, 0, "hot"), (1, 1, 0, "hot"), (9, 9, 240, "cool")],
)
def test_warmth_grows_with_what_somebody_does_and_fades_with_time(
    opens: int, clicks: int, hours: int, degree_: str
) -> None:
    assert degree(warmth(opens, clicks, NOW - timedelta(hours=hours), NOW)) == degree_


@pytest.mark.browser
def test_a_day_by_keyboard_alone(context: AppContext, alice: User, open_as: OpenAs) -> None:
    """j to the first, e done with it: the next one is under the hand; h puts off; r writes."""
    box = make_mailbox(context, alice)
    letters = receive(context, box, *(Came(f"asks {n}", f"n{n}@x.example", f"N {n}") for n in range(3)))
    for letter in letters:
        waits(context, letter)
    page = open_as(alice, "/today")
    focused = page.locator(".mail-open:focus")
    page.keyboard.press("j")
    expect(focused).to_contain_text("N 0")
    page.keyboard.press("e")
    expect(focused).to_contain_text("N 1")
    page.keyboard.press("h")
    expect(focused).to_contain_text("N 2")
    page.keyboard.press("r")
    page.wait_for_url(f"**/compose?letter={letters[2].public_id}")


def test_first_steps_are_ticked_off_and_gone_when_all_are_done(
    context: AppContext, client: httpx.Client, alice: User, bob: User, client_of: ClientOf
) -> None:
    def left(of: httpx.Client) -> list[str]:
        return [words(element) for element in every(of.get("/today"), ".first-steps a")]

    everything = ["Connect your e-mail", "Name your company", "Send a first message", "Ask for consent"]
    assert left(client) == everything
    for address in ("/today", "/today?part=rows"):
        assert "You are all caught up" not in client.get(address).text
    assert left(client_of(bob)) == [step for step in everything if step != "Name your company"]
    make_account(context, alice)
    write(context, alice, Written("first", (ANNA,)))
    assert left(client) == ["Name your company", "Ask for consent"]
    client.post("/settings/privacy/controller", data={"name": "Oak Ltd", "address": "", "contact": ""})
    agree(context, ANNA.address)
    assert not every(client.get("/today"), ".first-steps")
    for address in ("/today", "/today?part=rows"):
        assert "You are all caught up" in text_at(client.get(address), ".empty")


def test_days_are_the_readers_and_a_message_counts_once_a_day(context: AppContext, alice: User) -> None:
    hour = timedelta(hours=1)
    twice = (Seen("open", "human", 60), Seen("open", "human", 61), Seen("reply", "human", 62))
    write(
        context,
        alice,
        Written("offer", (ANNA,), twice, ago=hour, columns={"last_activity_at": now() - hour / 2}),
        Written("old", (ANNA,), ago=timedelta(days=20)),
        Written("draft", (ANNA,), state=MessageState.DRAFT),
    )
    with context.database.reading() as session:
        activity = read_activity(session, alice)
    assert activity.totals.counts() == (1, 1, 1)
    assert len(activity.days) == 14
    assert len(activity.bars()) == 3


def test_totals_of_the_team_are_of_those_who_agreed_and_of_three_at_least(
    context: AppContext, client: httpx.Client, alice: User, bob: User, client_of: ClientOf
) -> None:
    seen = (Seen("open", "human", 60), Seen("reply", "human", 90))
    with context.database.session_scope() as session:
        carol, dora = (add(session, email=f"{name}@sales.example", name=name, role="member") for name in ("c", "d"))
    for person in (alice, bob, carol, dora):
        write(context, person, Written("offer", (ANNA,), seen, columns={"last_activity_at": now()}))
    write(context, bob, Written("quiet", (KEN,)), Written("old", (KEN,), ago=timedelta(days=20)))

    def shown(of: User = alice) -> str:
        page = client_of(of).get("/today")
        return " ".join(words(line) for line in every(page, ".team-totals"))

    def takes_part(person: User, tick: str = "on") -> None:
        form = {"name": person.name, "locale": "en", "timezone": "UTC", "theme": "auto", "editor": "rich"}
        their = client_of(person)
        answer = their.post("/settings/profile", data={**form, "undo_seconds": "5", "in_team_totals": tick})
        assert answer.status_code == 303, answer.text

    takes_part(alice)
    assert "in_team_totals" not in client.get("/settings/profile").text, "nobody agrees to what is not allowed"
    assert client_of(bob).post("/settings/team-totals", data={"team_totals": "on"}).status_code == 403
    client.post("/settings/team-totals", data={"team_totals": "on"})
    assert "in_team_totals" in client.get("/settings/profile").text
    for person in (alice, bob):
        takes_part(person)
        assert shown() == ""
    takes_part(carol)
    assert shown() == shown(bob) == "Team of 3 Sent 4 Opened 3 Answered 3"
    assert shown(dora) == "", "who takes no part sees nothing"
    takes_part(bob, "")
    assert (shown(), shown(bob)) == ("", "")
    takes_part(bob)
    client.post("/settings/team-totals")
    assert shown() == ""
    assert "Team totals" in text_at(client.get("/settings/policy"), ".consent-history")


def test_who_sent_nothing_or_left_does_not_count_among_the_three(
    context: AppContext, alice: User, bob: User, client_of: ClientOf
) -> None:
    with context.database.session_scope() as session:
        set_preference(session, "team_totals", True)
        team = [add(session, email=f"{name}@sales.example", name=name, role="member") for name in ("c", "d")]
        team += [session.get_one(User, alice.id), session.get_one(User, bob.id)]
        for person in team:
            person.in_team_totals = True
    mine = client_of(alice)
    for person in team[:3]:
        assert not every(mine.get("/today"), ".team-totals"), person.name
        write(context, person, Written("offer", (ANNA,)))
    assert text_at(mine.get("/today"), ".team-totals") == "Team of 3 Sent 3 Opened 0 Answered 0"
    with context.database.session_scope() as session:
        session.get_one(User, team[0].id).active = False
    assert not every(mine.get("/today"), ".team-totals")
