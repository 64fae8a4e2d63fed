"""The story of a person: one for recipient and customer, newest first, page by page, and nothing of a colleague's."""

from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from tests.test_plans import noted
from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import Seen, To, Written, agree, write
from tests.web.reading import attribute, every, text_at, words
from tracker.crm.customers import CustomerChange, create_customer
from tracker.crm.orders import OrderChange, save_order
from tracker.crm.records import find_record
from tracker.crm.shops import NewGroup, NewShop, save_group, save_shop
from tracker.models import Customer, EnquiryStatus, Event, Message, Recipient, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ANNA, OTHER = To("anna@client.example", "Anna"), To("anna@home.example")
HOUR = timedelta(hours=1)
MOST_STATEMENTS = 12


@pytest.fixture
def customer(context: AppContext, alice: User) -> Customer:
    """Anna at work and at home, in Alice's hands, with an order."""
    agree(context, ANNA.address, name="Anna")
    facts = CustomerChange(name="Anna Petit", addresses=[ANNA.address, OTHER.address], manager=alice.public_id)
    with context.database.session_scope() as session:
        customer = create_customer(session, facts, alice)
        save_order(session, None, OrderChange(number="0401", status="paid", customer=customer.public_id))
    return customer


@pytest.fixture
def story(context: AppContext, alice: User, bob: User, customer: Customer) -> list[Message]:
    """Two messages of Alice, each with what came of it, an enquiry with its work; and mail of Bob."""
    machine = Seen("open", "security_scanner", 5, vendor="barracuda")
    check = Seen("click", "security_scanner", 6, vendor="barracuda", link=0)
    opened = Seen("open", "human", 3600, client="Gmail")
    clicked = Seen("click", "human", 3700, link=0)
    answered = Seen("reply", "human", 2 * 3600)
    first = Written(
        "The offer",
        (ANNA,),
        (machine, check, opened, clicked, answered),
        9 * HOUR,
        links=(("https://a.example/", "a"),),
    )
    messages = write(context, alice, first, Written("To her home", (OTHER,), (), 20 * HOUR))
    write(context, bob, Written("of Bob", (ANNA,), (opened,), 8 * HOUR))
    with context.database.reading() as session:
        stored = [session.get_one(Message, message.id) for message in messages]
    box = make_mailbox(context, alice)
    (answer, enquiry) = receive(
        context,
        box,
        Came("Re: The offer", ANNA.address, "Anna", counted=False, columns={"in_reply_to_message_id": stored[0].id}),
        Came("How much?", OTHER.address, "Anna", 30 * HOUR),
    )
    with context.database.session_scope() as session:
        reply = session.exec(select(Event).where(Event.kind == "reply", Event.message_id == stored[0].id)).one()
        letter = session.merge(answer)
        letter.delivery_id, letter.received_at = reply.delivery_id, reply.at
        status = EnquiryStatus(
            letter_id=enquiry.id or 0,
            user_id=alice.id or 0,
            mailbox_id=box.id or 0,
            sender=enquiry.sender,
            received_at=enquiry.received_at,
            manager_id=alice.id,
            done_at=now(),
        )
        session.add(status)
    return stored


def titles(page: httpx.Response) -> list[str]:
    return [
        words(title)
        for title in every(page, ".person-story > ol > li > .event-text > .event-title, .event-fold summary")
    ]


def pages_of(context: AppContext, customer: Customer) -> list[str]:
    return [f"/recipients/{ANNA.address}", f"/recipients/{OTHER.address}", f"/customers/{customer.public_id}"]


@pytest.mark.usefixtures("story")
def test_recipient_and_customer_have_one_story_newest_first(
    context: AppContext, client: httpx.Client, customer: Customer
) -> None:
    stories = [titles(client.get(path)) for path in pages_of(context, customer)]
    assert stories[0] == stories[1] == stories[2]
    assert [line.split(" · ")[0] for line in stories[0]] == [
        "Order 0401",
        "They replied Re: The offer",
        "Clicked The offer",
        "Opened The offer",
        "2 machine checks",
        "You wrote The offer 1 1",
        "You wrote To her home",
        "They asked How much?",
    ]
    assert "done · Alice" in text_at(client.get(f"/recipients/{ANNA.address}"), ".person-story")


@pytest.mark.usefixtures("story")
def test_a_colleagues_mail_is_a_story_of_their_own(
    client_of: ClientOf, bob: User, context: AppContext, customer: Customer
) -> None:
    for path in pages_of(context, customer):
        assert titles(client_of(bob).get(path)) == ["Order 0401", "Opened of Bob", "You wrote of Bob 1"]


def test_the_story_goes_on_without_gap_or_repeat_also_within_one_moment(
    context: AppContext, client: httpx.Client, alice: User, customer: Customer
) -> None:
    write(context, alice, *(Written(f"{n:03}", (ANNA,), (), (1 + n // 10) * HOUR) for n in range(95)))
    with context.database.session_scope() as session:
        for message in session.exec(select(Message)):
            message.listed_at = message.listed_at.replace(minute=0, second=0, microsecond=0)
    seen, path = [], f"/recipients/{ANNA.address}"
    while path:
        page = client.get(path)
        seen += [words(link) for link in every(page, ".person-story .event-title a")]
        further = every(page, ".story-more a")
        path = f"/recipients/{ANNA.address}{attribute(further[0], 'href')}" if further else ""
    assert sorted(seen) == sorted(["0401", *(f"{n:03}" for n in range(95))])
    assert [subject[:2] for subject in seen[1:]] == [f"{n // 10:02}" for n in range(95)]


@pytest.mark.usefixtures("story")
def test_the_head_says_what_one_wants_to_know_and_what_is_next(
    context: AppContext, client: httpx.Client, customer: Customer, story: list[Message]
) -> None:
    with context.database.session_scope() as session:
        session.get_one(Message, story[1].id).follow_up_due_at = now() - HOUR
    for path in pages_of(context, customer):
        page = client.get(path)
        facts = text_at(page, ".person-facts")
        for said in ("Alice", "To her home", "due", "Agreed: opens and clicks are tracked.", "Never asked"):
            assert said in facts or (said == "Never asked" and OTHER.address not in facts)
        assert attribute(every(page, ".person-acts a")[0], "href") == f"/compose?reply={story[1].public_id}"
    back = f"/customers/{customer.public_id}"
    done = client.post(f"/mail/{story[1].public_id}/completion", data={"back": back})
    assert done.headers["location"] == back
    assert not every(client.get(back), ".person-next")


@pytest.mark.usefixtures("story")
def test_tabs_lead_from_each_page_to_the_others(context: AppContext, client: httpx.Client, customer: Customer) -> None:
    start = client.get(f"/customers/{customer.public_id}")
    hrefs = [attribute(tab, "href") for tab in every(start, ".recipient-page .tabs a")]
    assert [words(tab) for tab in every(start, ".recipient-page .tabs a")] == [
        "Story",
        "Customer",
        "Consent and privacy",
    ]
    for href in hrefs:
        page = client.get(href)
        assert page.status_code == 200
        assert [words(tab) for tab in every(page, ".recipient-page .tabs [aria-current]")], href
    privacy = client.get(hrefs[2])
    for part in (".recipient-ledger", ".recipient-record", "[action$='/erasure']", "[href$='/archive']"):
        assert every(privacy, part) or part == "[action$='/erasure']", part


def test_a_customer_nobody_wrote_to_and_a_recipient_who_buys_nothing_have_pages(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    with context.database.session_scope() as session:
        bare = create_customer(session, CustomerChange(external_id="crm-7"), alice)
        named = create_customer(session, CustomerChange(name="Zoe", addresses=["zoe@x.example"]), alice)
        session.add(Recipient(address="yan@x.example", lookup="yan@x.example"))
    assert text_at(client.get(f"/customers/{bare.public_id}"), "h1") == "crm-7"
    assert "Nothing yet" in text_at(client.get(f"/customers/{named.public_id}"), ".empty")
    assert "Never asked" in text_at(client.get("/recipients/yan@x.example"), ".person-facts")


@pytest.mark.usefixtures("story")
def test_a_story_takes_few_statements(context: AppContext, client: httpx.Client, customer: Customer) -> None:
    with context.database.reading() as session:
        assert find_record(session, Customer, customer.public_id)
    for path in [
        *pages_of(context, customer),
        f"/recipients/{ANNA.address}/rights",
        f"/customers/{customer.public_id}/details",
    ]:
        client.get(path)
        with noted(context) as statements:
            client.get(path)
        assert statements.count <= MOST_STATEMENTS, path


def test_nobody_becomes_a_customer_by_whom_nobody_could_be_known(
    client: httpx.Client, context: AppContext, customer: Customer
) -> None:
    """The list of all customers could not show them."""
    emptied = client.post(f"/customers/{customer.public_id}", data={"name": "", "addresses": "", "external_id": ""})
    assert emptied.status_code == 422
    assert text_at(emptied, ".wrong") == "Give a name, an e-mail address or an id of your own."
    assert "Anna Petit" in client.get("/customers").text


def test_one_of_before_has_words_instead_of_a_name(client: httpx.Client, context: AppContext, alice: User) -> None:
    with context.database.session_scope() as session:
        customer = Customer(source="by_hand")
        session.add(customer)
    pages = ("/customers", f"/customers/{customer.public_id}", f"/customers/{customer.public_id}/details")
    assert ["(no name)" in client.get(page).text for page in pages] == [True, True, True]


def test_what_is_refused_of_a_short_form_is_said_with_the_name_of_its_field(
    client: httpx.Client, customer: Customer
) -> None:
    there = f"/customers/{customer.public_id}"
    client.post(f"{there}/orders", data={"number": "0402", "status": "x" * 101})
    assert text_at(client.get(f"{there}/details"), ".flash").startswith("Status: This is longer than 100 characters.")


def test_what_is_said_of_a_group_and_a_shop_that_go_is_true(client: httpx.Client, context: AppContext) -> None:
    with context.database.session_scope() as session:
        group = save_group(session, None, NewGroup(name="North"))
        shop = save_shop(session, None, NewShop(name="Chairs"))
    client.post(f"/settings/groups/{group.public_id}", data={"act": "remove"})
    assert text_at(client.get("/settings/groups"), ".flash") == "The group is deleted."
    client.post(f"/settings/shops/{shop.public_id}/removal")
    assert text_at(client.get("/settings/groups"), ".flash") == "The shop is removed."
