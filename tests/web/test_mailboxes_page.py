"""Connecting a mailbox as a person does, against a real Dovecot: what works is said, what is wrong is said exactly, nothing typed
is lost, and no secret is ever shown."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlmodel import select

from tests.fixtures.leases import hold_in
from tests.servers import Dovecot
from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.reading import attribute, every, only, text_at
from tracker.consent.preferences import preference, set_preference
from tracker.models import Credential, Letter, Mailbox, MailboxListening, MailboxProblem, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

SECRET = "s3cret app pässword"


def form(dovecot: Dovecot, address: str, **changes: str) -> dict[str, str]:
    fields = {
        "address": address,
        "preset": "other",
        "host": dovecot.host,
        "port": str(dovecot.imap_port),
        "security": "none",
        "secret": SECRET,
        "active": "on",
        "notify_manager": "on",
        "notify_skipped": "on",
        "repeat_period_days": "1",
        "folders": "INBOX",
        "first_window": "last_24h",
    }
    return {**fields, **changes}


@pytest.fixture
def box(dovecot: Dovecot) -> str:
    fresh = f"{uuid4().hex[:12]}@shop.example"
    dovecot.add_user(fresh, SECRET)
    return fresh


def mailboxes(context: AppContext) -> list[Mailbox]:
    with context.database.reading() as session:
        return list(session.exec(select(Mailbox).order_by(Mailbox.id)))  # type: ignore[arg-type]


def credentials(context: AppContext) -> list[Credential]:
    with context.database.reading() as session:
        return list(session.exec(select(Credential)))


def test_a_mailbox_is_connected_and_said_to_work(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    answer = client.post("/mailboxes", data=form(dovecot, box))
    assert answer.headers["location"] == "/mailboxes"
    page = client.get("/mailboxes")
    assert f"The integration works: {box} is connected" in text_at(page, "[data-flash]")
    assert text_at(page, ".mailbox .badge") == "works"
    (mailbox,) = mailboxes(context)
    assert (mailbox.state, mailbox.address, mailbox.folders) == ("active", box, ["INBOX"])
    assert mailbox.due_at is not None


def test_a_domain_that_needs_its_server_named_is_refused_without_emptying_the_password(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    refused = client.post("/mailboxes", data=form(dovecot, box, preset="auto"))
    assert refused.status_code == 422
    assert SECRET not in refused.text
    typed = attribute(only(refused, "[name=secret_typed]"), "value")
    answer = client.post("/mailboxes", data=form(dovecot, box, secret="", secret_typed=typed))
    assert answer.headers["location"] == "/mailboxes"
    assert mailboxes(context)[0].state == "active"


def test_c6_a_wrong_password_is_said_exactly_the_rest_is_kept_and_nothing_is_scheduled(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    answer = client.post("/mailboxes", data=form(dovecot, box, secret="wrong horse", repeat_period_days="30"))
    (mailbox,) = mailboxes(context)
    assert answer.headers["location"] == f"/mailboxes/{mailbox.public_id}"
    page = client.get(answer.headers["location"])
    assert "refused the login or password" in text_at(page, ".notice:not([hidden])")
    assert attribute(only(page, "#repeat_period_days"), "value") == "30"
    assert attribute(only(page, "#address"), "value") == box
    assert "wrong horse" not in page.text
    assert (mailbox.state, mailbox.due_at) == ("auth_error", None)
    (credential,) = credentials(context)
    assert credential.secret is not None
    assert b"wrong horse" not in credential.secret
    client.post(f"/mailboxes/{mailbox.public_id}", data=form(dovecot, box, repeat_period_days="30"))
    assert mailboxes(context)[0].state == "active"


def test_c1_the_same_mailbox_again_is_refused_and_the_form_keeps_what_was_typed(
    client: httpx.Client, client_of: ClientOf, context: AppContext, dovecot: Dovecot, box: str, bob: User
) -> None:
    client.post("/mailboxes", data=form(dovecot, box))
    answer = client_of(bob).post("/mailboxes", data=form(dovecot, box.upper(), repeat_period_days="45"))
    assert answer.status_code == 409
    assert "connected to Inkling already" in text_at(answer, "#address-wrong")
    assert attribute(only(answer, "#repeat_period_days"), "value") == "45"
    assert len(mailboxes(context)) == 1
    assert len(credentials(context)) == 1


def test_c5_one_more_than_the_limit_is_refused_and_the_limit_named(
    client: httpx.Client, context: AppContext, alice: User, dovecot: Dovecot, box: str
) -> None:
    with context.database.session_scope() as session:
        set_preference(session, "mailbox_limit", 2)
    for n in range(2):
        make_mailbox(context, alice, f"box{n}@shop.example")
    answer = client.post("/mailboxes", data=form(dovecot, box))
    assert answer.status_code == 409
    assert "You have 2 mailboxes, and that is the limit" in text_at(answer, ".notice:not([hidden])")


def test_c9_another_host_forgets_the_secret_and_asks_for_it(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    client.post("/mailboxes", data=form(dovecot, box))
    (mailbox,) = mailboxes(context)
    there = f"/mailboxes/{mailbox.public_id}"
    client.post(there, data=form(dovecot, box, host="localhost", secret=""))
    assert "the password was forgotten: enter it again" in text_at(client.get(there), "[data-flash]")
    assert credentials(context)[0].secret is None
    assert mailboxes(context)[0].state == "no_credentials"


def test_c8_a_host_inside_is_refused(client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str) -> None:
    answer = client.post("/mailboxes", data=form(dovecot, box, host="169.254.169.254"))
    assert "lies in a private network" in text_at(client.get(answer.headers["location"]), ".notice:not([hidden])")


def test_a_password_that_stays_is_not_typed_again(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    client.post("/mailboxes", data=form(dovecot, box))
    (mailbox,) = mailboxes(context)
    answer = client.post(
        f"/mailboxes/{mailbox.public_id}", data=form(dovecot, box, secret="", name="Shop", folders="INBOX\nSent Items")
    )
    assert answer.headers["location"] == "/mailboxes"
    (changed,) = mailboxes(context)
    assert (changed.state, changed.name, changed.folders) == ("active", "Shop", ["INBOX", "Sent Items"])


def test_a_missing_folder_is_named_and_those_found_are_offered(
    client: httpx.Client, dovecot: Dovecot, box: str
) -> None:
    answer = client.post("/mailboxes", data=form(dovecot, box, folders="Заказы"))
    page = client.get(answer.headers["location"])
    assert "The folder “Заказы” cannot be opened" in text_at(page, ".notice:not([hidden])")
    assert "INBOX" in page.text.partition("Folders found on the server")[2]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"address": "nobody"}, "address", "not an e-mail address"),
        ({"secret": ""}, "secret", "password is missing"),
        ({"repeat_period_days": "often"}, "repeat_period_days", "whole days"),
        ({"repeat_period_days": "366"}, "repeat_period_days", "0 to 365"),
        ({"port": "imap"}, "port", "1 to 65535"),
        ({"host": "two words"}, "host", "name of the server"),
        ({"preset": "auto", "address": "me@nowhere.example"}, "preset", "is not known here"),
        ({"folders": ""}, "folders", "at least one folder"),
        ({"protocol": "pop3", "mark_read": "on"}, "mark_read", "POP3 knows no read marks"),
    ],
)
def test_what_cannot_be_is_named_at_its_field_and_nothing_is_lost(
    client: httpx.Client,
    context: AppContext,
    dovecot: Dovecot,
    box: str,
    changes: dict[str, str],
    field: str,
    words: str,
) -> None:
    answer = client.post("/mailboxes", data={**form(dovecot, box, name="My shop"), **changes})
    assert answer.status_code == 422
    at = f"#{field}-wrong" if field != "mark_read" else ".wrong"
    assert words in text_at(answer, at)
    assert attribute(only(answer, "#name"), "value") == "My shop"
    assert SECRET not in answer.text
    assert mailboxes(context) == []
    assert credentials(context) == []


def test_switched_off_it_is_not_read_and_can_be_told_to_be_on(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    client.post("/mailboxes", data=form(dovecot, box))
    (mailbox,) = mailboxes(context)
    typed = form(dovecot, box, secret="")
    del typed["active"]
    client.post(f"/mailboxes/{mailbox.public_id}", data=typed)
    assert (mailboxes(context)[0].state, mailboxes(context)[0].due_at) == ("paused", None)
    assert text_at(client.get("/mailboxes"), ".mailbox .badge") == "switched off"
    client.post(f"/mailboxes/{mailbox.public_id}/sync")
    assert "Switch the mailbox on first" in text_at(client.get("/mailboxes"), "[data-flash]")


def test_read_now_puts_it_first(client: httpx.Client, context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice, due_at=now() + timedelta(minutes=9))
    client.post(f"/mailboxes/{box.public_id}/sync")
    (mailbox,) = mailboxes(context)
    assert mailbox.sync_wanted
    assert mailbox.due_at is not None
    assert mailbox.due_at <= now()


def test_c4_a_removed_mailbox_forgets_its_password_and_its_letters_come_back_with_it(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    client.post("/mailboxes", data=form(dovecot, box))
    (mailbox,) = mailboxes(context)
    (letter,) = receive(context, mailbox, Came("before"))
    client.post(f"/mailboxes/{mailbox.public_id}/removal", data={"forget": "on"})
    assert credentials(context) == []
    assert client.get(f"/mailboxes/{mailbox.public_id}").status_code == 404
    assert text_at(client.get("/enquiries"), ".mail-subject") == "before"
    client.post("/mailboxes", data=form(dovecot, box))
    (again,) = mailboxes(context)
    assert (again.id, again.removed_at) == (mailbox.id, None)
    with context.database.reading() as session:
        assert session.get_one(Letter, letter.id).mailbox_id == again.id


def test_saved_credentials_can_be_picked_again(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, box: str
) -> None:
    client.post("/mailboxes", data=form(dovecot, box))
    (mailbox,) = mailboxes(context)
    client.post(f"/mailboxes/{mailbox.public_id}/removal")
    (saved,) = credentials(context)
    page = client.get("/mailboxes/new")
    assert attribute(every(page, "#credential option")[1], "value") == saved.public_id
    answer = client.post("/mailboxes", data={"credential": saved.public_id, "active": "on", "folders": "INBOX"})
    assert answer.headers["location"] == "/mailboxes"
    assert mailboxes(context)[0].state == "active"


@pytest.mark.parametrize("deed", ["", "/check", "/sync", "/removal", "/recount"])
def test_a_mailbox_is_its_owners_alone(
    client: httpx.Client, client_of: ClientOf, context: AppContext, alice: User, bob: User, dovecot: Dovecot, deed: str
) -> None:
    box = make_mailbox(context, bob, "his@shop.example")
    assert "his@shop.example" not in client.get("/mailboxes").text
    there = f"/mailboxes/{box.public_id}"
    assert client.get(there).status_code == 404
    assert client.post(f"{there}{deed}", data=form(dovecot, "his@shop.example")).status_code == 404
    assert mailboxes(context) == [box]


def test_somebody_elses_credentials_cannot_be_picked(client: httpx.Client, context: AppContext, bob: User) -> None:
    with context.database.session_scope() as session:
        his = Credential(user_id=bob.id or 0, host="imap.example.com", port=993, login="his@example.com")
        session.add(his)
    answer = client.post("/mailboxes", data={"credential": his.public_id, "active": "on", "folders": "INBOX"})
    assert answer.status_code == 422
    assert "his@example.com" not in answer.text
    assert mailboxes(context) == []


def test_it_says_how_soon_new_mail_is_noticed(client: httpx.Client, context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    there = f"/mailboxes/{box.public_id}"
    assert "is looked for every ten minutes" in client.get(there).text
    for until, expected in ((1, "is noticed at once"), (-1, "is looked for every ten minutes")):
        with context.database.session_scope() as session:
            session.merge(MailboxListening(mailbox_id=box.id or 0, since=now()))
            hold_in(session, "listening", box.id, 60.0 * until)
        assert expected in client.get(there).text
        assert ("new mail is noticed at once" in client.get("/mailboxes").text) == (until > 0)
    with context.database.session_scope() as session:
        hold_in(session, "listening", box.id)
        session.get_one(Mailbox, box.id).state = "paused"
    assert "New mail" not in client.get(there).text


def test_a_recount_shows_its_difference_before_it_does_anything(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice, repeat_period_days=30)
    receive(
        context, box, Came("first", ago=timedelta(days=9)), Came("second", ago=timedelta(days=5)),
        Came("third", ago=timedelta(days=1)),
    )  # fmt: skip
    there = f"/mailboxes/{box.public_id}/recount"
    facts = " ".join(words.text for words in every(client.get(there), ".facts-list dd"))
    assert facts.split() == ["3", "1", "+0", "−2"]
    assert sum(letter.counted for letter in letters(context)) == 3
    answer = client.post(there)
    assert answer.headers["location"] == f"/mailboxes/{box.public_id}"
    assert [letter.counted for letter in letters(context)] == [True, False, False]
    assert {letter.repeat_of_id for letter in letters(context)[1:]} == {letters(context)[0].id}
    assert "Nothing would change" in client.get(there).text


def letters(context: AppContext) -> list[Letter]:
    with context.database.reading() as session:
        return sorted(session.exec(select(Letter)), key=lambda letter: letter.received_at)


def test_problems_are_listed_with_their_letter(client: httpx.Client, context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    (letter,) = receive(context, box, Came("Enormous"))
    with context.database.session_scope() as session:
        session.add(MailboxProblem(mailbox_id=box.id or 0, letter_id=letter.id, code="too_large"))
    assert text_at(client.get("/mailboxes"), ".mailbox-facts div:last-child dd") == "1"
    page = client.get(f"/mailboxes/{box.public_id}")
    assert "A letter was too large" in text_at(page, "#problems")
    assert attribute(only(page, "#problems a"), "href") == f"/letters/{letter.public_id}"


def test_without_one_the_page_says_what_to_do(client: httpx.Client) -> None:
    ways = every(client.get("/mailboxes"), ".empty a.button")
    assert [attribute(way, "href") for way in ways] == ["/connect", "/mailboxes/new"]


def test_an_administrator_raises_the_limit_and_nobody_else(
    client: httpx.Client, client_of: ClientOf, context: AppContext, bob: User
) -> None:
    assert client_of(bob).post("/mailboxes/limit", data={"limit": "99"}).status_code == 403
    assert "limit" not in client_of(bob).get("/mailboxes").text.partition("<main")[2]
    client.post("/mailboxes/limit", data={"limit": "many"})
    with context.database.reading() as session:
        assert preference(session, "mailbox_limit") == 10
    client.post("/mailboxes/limit", data={"limit": "25"})
    with context.database.reading() as session:
        assert preference(session, "mailbox_limit") == 25
