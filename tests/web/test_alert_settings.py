"""What people are notified about, quiet hours, the digest and the hidden link over HTTP; and what the bell says of all that."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from tests.web.conftest import ClientOf, MakeUser
from tests.web.mail_world import ANNA, KEN, To, Written, agree, make_account, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.consent.preferences import preference
from tracker.models import Delivery, DomainProfile, Notification, User
from tracker.notifications import notify
from tracker.notifications.rules import KINDS
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

FORM = {"ring_click": "on", "ring_reply": "on", "quiet_from": "20:00", "quiet_until": "08:00", "digest": ""}


def read(context: AppContext, user: User) -> User:
    with context.database.reading() as session:
        return session.get_one(User, user.id)


def save(client: httpx.Client, **form: str) -> httpx.Response:
    return client.post("/notifications/preferences", data={**FORM, **form})


def test_everything_rings_until_somebody_says_otherwise(client: httpx.Client) -> None:
    boxes = every(client.get("/notifications"), ".ring-kinds input")
    assert [attribute(box, "name") for box in boxes] == [f"ring_{kind}" for kind in KINDS]
    assert all("checked" in str(box.attrs) for box in boxes)


def test_what_was_chosen_is_kept_and_shown(context: AppContext, client: httpx.Client, alice: User) -> None:
    answer = save(client, quiet="on", quiet_from="21:30", digest="7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/notifications#ring")
    saved = read(context, alice)
    assert set(saved.quiet_kinds) == set(KINDS) - {"click", "reply"}
    assert (saved.quiet_from, saved.quiet_until, saved.digest_hour) == (21 * 60 + 30, 480, 7)
    assert saved.digest_at is not None
    page = client.get("/notifications")
    assert 'value="21:30"' in page.text
    assert '<option value="7" selected>' in page.text
    save(client)
    saved = read(context, alice)
    assert (saved.quiet_from, saved.quiet_until, saved.digest_hour, saved.digest_at) == (None, None, None, None)


def test_saving_something_else_does_not_put_the_digest_off(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    save(client, digest="7")
    before = read(context, alice).digest_at
    save(client, digest="7", ring_click="")
    assert read(context, alice).digest_at == before


def test_a_new_zone_moves_the_digest(context: AppContext, client: httpx.Client, alice: User) -> None:
    save(client, digest="7")
    profile = {
        "name": "Alice",
        "locale": "en",
        "timezone": "Asia/Tokyo",
        "theme": "auto",
        "undo_seconds": "5",
        "signature": "",
    }
    assert client.post("/settings/profile", data=profile).status_code == 303
    at = read(context, alice).digest_at
    assert at is not None
    assert at.strftime("%H:%M") == "22:00", "seven in Tokyo"


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"quiet_from": "25:00"}, "This is not a time of day"),
        ({"quiet_until": "8 pm"}, "This is not a time of day"),
        ({"quiet": "on", "quiet_from": "08:00"}, "would never be quiet"),
        ({"digest": "24"}, "Choose one of the list"),
        ({"digest": "-1"}, "Choose one of the list"),
        ({"digest": "0099"}, "Choose one of the list"),
        ({"digest": "٣"}, "Choose one of the list"),
    ],
)
def test_what_does_not_fit_stands_at_its_field_and_nothing_is_kept(
    context: AppContext, client: httpx.Client, alice: User, form: dict[str, str], sentence: str
) -> None:
    answer = save(client, **form)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert read(context, alice).quiet_kinds == []


def test_ones_own_alone(context: AppContext, client: httpx.Client, bob: User, alice: User) -> None:
    save(client, digest="7")
    assert (read(context, bob).digest_hour, read(context, bob).quiet_kinds) == (None, [])


def test_the_page_says_through_which_account_the_digest_goes(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    assert "None of yours works" in text_at(client.get("/notifications"), "#digest-hint")
    make_account(context, alice, state="works")
    assert text_at(client.get("/notifications"), "#digest-hint").startswith(
        "Sent from alice@sales.example to alice@example.com"
    )


# --- the bell


CORRECTED = {"kind": "corrected"}
CHECK = {**CORRECTED, "machine": "security_scanner"}


def line(context: AppContext, user: User, subject: str, kind: str = "open", **columns: Any) -> None:
    with context.database.session_scope() as session:
        copy = session.exec(select(Delivery)).first()
        assert copy is not None
        facts = {"message_id": copy.message_id, "delivery_id": copy.id, **columns}
        session.add(Notification(user_id=user.id or 0, subject=subject, kind=kind, first_at=now(), at=now(), **facts))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"news": "first_open"}, "Anna Petit opened Offer"),
        ({"news": "opened_again"}, "Anna Petit opened Offer again, after a long silence"),
        ({"news": "interest"}, "Anna Petit comes back to Offer again and again"),
        ({**CHECK, "vendor": "barracuda"}, "Corrected: a security check by Barracuda, not Anna Petit: Offer"),
        ({**CHECK, "vendor": "microsoft"}, "a security check by Microsoft mail protection, not Anna"),
        ({**CHECK}, "a security check by mail protection, not Anna"),
        ({"kind": "corrected", "machine": "user"}, "Corrected by you: that was not Anna Petit: Offer"),
        ({"kind": "corrected"}, "not Anna Petit but a machine opened Offer"),
        ({"kind": "click", "machine": "security_scanner", "vendor": "proofpoint"}, "a security check by Proofpoint is not counted"),
        ({**CHECK, "vendor": "<script>"}, "a security check by mail protection"),
    ],
)  # fmt: skip
def test_the_line_says_what_and_who_it_was(
    context: AppContext, client: httpx.Client, alice: User, columns: dict[str, Any], sentence: str
) -> None:
    write(context, alice, Written("Offer", (ANNA,)))
    line(context, alice, "delivery:1", **columns)
    assert sentence in words(every(client.get("/notifications"), "li.line")[0])


def test_held_lines_stand_in_the_bell_and_do_not_ring(context: AppContext, client: httpx.Client, alice: User) -> None:
    write(context, alice, Written("Offer", (ANNA,)))
    line(context, alice, "delivery:1", held_until=now() + timedelta(hours=3))
    assert client.get("/notifications/state").json() == {"unread": 0, "newest": []}
    assert len(every(client.get("/notifications"), "li.line.unread")) == 1


def test_after_the_quiet_hours_they_ring_as_one(context: AppContext, client: httpx.Client, alice: User) -> None:
    write(context, alice, Written("Offer", (ANNA,)))
    ended = now() - timedelta(minutes=1)
    line(context, alice, "delivery:1", held_until=ended)
    (alone,) = client.get("/notifications/state").json()["newest"]
    assert "opened" in alone["text"], "a single one says what it is"
    line(context, alice, "delivery:2", held_until=ended)
    line(context, alice, "delivery:3", held_until=ended)
    line(context, alice, "delivery:4", kind="click")
    state = client.get("/notifications/state").json()
    assert state["unread"] == 4
    assert [item["text"] for item in state["newest"]][1:] == ["While it was quiet: 3 things happened"]
    assert "followed a link" in state["newest"][0]["text"]


def test_a_counter_that_grows_is_nothing_new_to_a_desktop(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    write(context, alice, Written("Offer", (ANNA,)))
    line(context, alice, "delivery:1", told={"first_open": now().isoformat()}, news="first_open")
    (before,) = client.get("/notifications/state").json()["newest"]
    with context.database.session_scope() as session:
        row = session.exec(select(Notification)).one()
        row.count, row.opens, row.at = 2, 2, now() + timedelta(minutes=1)
        session.add(row)
    (after,) = client.get("/notifications/state").json()["newest"]
    assert before["version"] == after["version"]
    with context.database.session_scope() as session:
        notify.correct(session, alice.id or 0, "delivery:1", kind="corrected")
    assert client.get("/notifications/state").json()["newest"] == [], "a correction is for the eye"


# --- the hidden link's switch


def switch(context: AppContext, name: str = "hidden_link") -> bool:
    with context.database.reading() as session:
        return bool(preference(session, name))


def test_an_administrator_has_signatures_of_mail_programs_taken_off(
    context: AppContext, client: httpx.Client, bob: User, client_of: ClientOf
) -> None:
    assert client_of(bob).post("/settings/signed-mail", data={"unsign_submissions": "on"}).status_code == 403
    assert switch(context, "unsign_submissions") is False
    assert client.post("/settings/signed-mail", data={"unsign_submissions": "on"}).status_code == 303
    assert switch(context, "unsign_submissions") is True
    assert "checked" in only(client.get("/settings/policy"), "[name=unsign_submissions]").attrs


def test_an_administrator_switches_the_hidden_link(context: AppContext, client: httpx.Client) -> None:
    page = client.get("/settings/policy").text
    assert "Hidden content is also a mark of unwanted mail" in page, "the cost is said beside the switch"
    assert switch(context) is False
    assert client.post("/settings/hidden-link", data={"hidden_link": "on"}).status_code == 303
    assert switch(context) is True
    assert client.post("/settings/hidden-link", data={}).status_code == 303
    assert switch(context) is False


def test_nobody_else_does(context: AppContext, bob: User, client_of: ClientOf) -> None:
    assert client_of(bob).post("/settings/hidden-link", data={"hidden_link": "on"}).status_code == 403
    assert switch(context) is False


# --- what can be believed of a company


def know(context: AppContext, domain: str, mx_family: str) -> None:
    with context.database.session_scope() as session:
        session.add(DomainProfile(domain=domain, mx_family=mx_family, looked_up_at=now(), due_at=None))


@pytest.mark.parametrize(
    ("mx_family", "sentence"),
    [
        ("proofpoint", "mail passes Proofpoint: opens from this company cannot be trusted, clicks can"),
        ("cisco", "mail passes Cisco Secure Email: opens from this company cannot be trusted, clicks can"),
        ("google", "opens through Gmail: probably; clicks: certainly"),
        ("apple", "iCloud: most read in Apple Mail, where opens cannot be known; clicks can"),
    ],
)
def test_compose_says_it_beside_the_recipient(
    context: AppContext, client: httpx.Client, alice: User, mx_family: str, sentence: str
) -> None:
    make_account(context, alice)
    agree(context, "anna@client.example")
    know(context, "client.example", mx_family)
    form = {"to": "anna@client.example, luc@client.example", "text": "Hello", "track_opens": "on", "track_links": "on"}
    lines = [words(element) for element in every(client.post("/compose/plan", data=form), ".plan-people .plan-why")]
    assert sentence in lines[0]
    assert sentence not in lines[1], "Luc is not tracked"


def test_planning_has_unknown_companies_looked_up_and_looking_does_not(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    make_account(context, alice)
    client.get("/compose?to=anna@client.example")
    with context.database.reading() as session:
        assert session.exec(select(DomainProfile)).all() == []
    for _ in range(2):
        client.post("/compose/plan", data={"to": "anna@client.example, kim@", "text": "Hello"})
    with context.database.reading() as session:
        assert [domain_profile.domain for domain_profile in session.exec(select(DomainProfile))] == ["client.example"]


def test_the_message_says_it_too(context: AppContext, client: httpx.Client, alice: User) -> None:
    (message,) = write(context, alice, Written("Offer", (KEN, To("luc@x.example", "Luc", opens=False, clicks=False))))
    with context.database.session_scope() as session:
        for copy in session.exec(select(Delivery)):
            copy.mx_family = "mimecast"
            session.add(copy)
    page = client.get(f"/mail/{message.public_id}").text
    assert page.count("mail passes Mimecast: opens from this company cannot be trusted") == 1
    assert "mail passes Mimecast" in client.get(f"/mail/{message.public_id}/activity/opens").text


def test_it_is_said_in_russian(context: AppContext, make_user: MakeUser, client_of: ClientOf) -> None:
    vera = make_user("vera@example.com", "Vera", locale="ru")
    page = client_of(vera).get("/notifications").text
    for sentence in ("Тихие часы", "Ежедневная сводка", "Первое открытие", "каждый день в 07:00"):
        assert sentence in page
