"""A day of a shop with two managers, in the browser: letters come in, find their order or person, reach the right manager once, are
answered, and the report says how fast."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import col, update

from tests.crm.shop_world import ShopWorld
from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import address
from tracker.models import Delivery, Message
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

__all__ = ["address", "signed_in_browser"]
pytestmark = pytest.mark.browser


@pytest.fixture
def shop(context: AppContext, people: People) -> ShopWorld:
    return ShopWorld(context, people)


def subjects(page: Page, name: str) -> list[str]:
    page.goto(f"/enquiries?list={name}")
    return [text.strip() for text in page.locator(".mail-subject").all_text_contents()]


def test_two_managers_have_a_day(shop: ShopWorld, people: People, smtp_sink: SmtpSink, open_as: OpenAs) -> None:
    context = shop.context
    ann, ben = shop.person("Ann"), shop.person("Ben")
    for user in (ann, ben):
        people.account(user, smtp_sink, state="works")
    carla = shop.customer("carla@client.example", name="Carla Stone", manager=ann.public_id)
    shop.order("3112", carla, status="being packed")
    group = shop.group("Sales", ann, ben)
    shop.inbox.change(create_customer=True, notify_manager=True, group=group.public_id)

    # the desks are open before the letters come
    desk_of_ann, desk_of_ben = open_as(ann, "/enquiries?list=mine"), open_as(ben, "/enquiries?list=mine")
    came = now() - timedelta(minutes=30)
    order = shop.letter("Carla <carla@client.example>", "[#3112] Where is it?", internal_date=came)
    first = shop.letter("dora@else.example", "Twelve desks", internal_date=came + timedelta(minutes=1))
    second = shop.letter("emil@else.example", "A lamp", internal_date=came + timedelta(minutes=2))
    wrong = shop.letter("frank@else.example", "Re: [#3112] Deliver to me", internal_date=came + timedelta(minutes=3))

    # who has what, and was told of it once each, in this order
    of_ann = [letter for letter in (order, first, second, wrong) if shop.status(letter).manager_id == ann.id]
    assert of_ann == [order, first, wrong]
    assert shop.status(second).manager_id == ben.id
    assert shop.bell(ben) == ["customer_assigned", "letter"]
    assert shop.bell(ann)[0] == "customer_assigned", "Carla, before any letter"
    assert sorted(shop.bell(ann)[1:]) == ["customer_assigned", "letter", "letter", "letter"]

    # each sees what is theirs
    assert sorted(subjects(desk_of_ann, "mine")) == [
        "Re: [#3112] Deliver to me",
        "Twelve desks",
        "[#3112] Where is it?",
    ]
    assert subjects(desk_of_ben, "mine") == ["A lamp"]
    for letter in of_ann:
        desk_of_ben.goto(f"/letters/{letter.public_id}")
        expect(desk_of_ben.get_by_text(letter.subject)).to_have_count(0)

    # Ann answers Carla from the enquiry
    desk_of_ann.goto(f"/letters/{order.public_id}")
    panel = desk_of_ann.locator(".letter-customer")
    expect(panel).to_contain_text("Carla Stone")
    expect(panel).to_contain_text("being packed")
    expect(desk_of_ann.locator(".letter-clock")).to_contain_text("waiting for")
    desk_of_ann.get_by_role("link", name="Reply").click()
    desk_of_ann.wait_for_url(f"**/compose?letter={order.public_id}")
    desk_of_ann.locator("[data-editor]").click()
    desk_of_ann.keyboard.press("Control+Home")
    desk_of_ann.keyboard.type("It leaves today.")
    desk_of_ann.get_by_role("button", name="Send", exact=True).click()
    desk_of_ann.wait_for_url("**/mail**")
    leave(context)
    (mail,) = smtp_sink.wait_for(1)
    assert b"It leaves today." in mail.content
    assert list(mail.recipients) == ["carla@client.example"]
    desk_of_ann.goto(f"/letters/{order.public_id}")
    expect(desk_of_ann.locator(".letter-work")).to_contain_text("Ann")
    expect(desk_of_ann.locator(".letter-work")).to_contain_text(re.compile(r"after 3\d min"))
    assert "[#3112] Where is it?" not in subjects(desk_of_ann, "waiting")

    # the stranger with Carla's number is warned of; Ann hands the desks to Ben, who ends his lamp by a key
    desk_of_ann.goto(f"/letters/{wrong.public_id}")
    expect(panel).to_contain_text("The sender is not an address of this customer.")
    desk_of_ann.goto(f"/letters/{first.public_id}")
    desk_of_ann.get_by_text("Give it to somebody").click()
    desk_of_ann.locator("#manager").select_option(label="Ben")
    desk_of_ann.get_by_role("button", name="Give", exact=True).click()
    expect(desk_of_ann.locator("[data-flash]")).to_be_visible()
    assert sorted(subjects(desk_of_ben, "mine")) == ["A lamp", "Twelve desks"]
    desk_of_ben.goto(f"/letters/{second.public_id}")
    desk_of_ben.keyboard.press("e")
    expect(desk_of_ben.locator(".letter-work")).to_contain_text("Open again")
    assert subjects(desk_of_ben, "done") == ["A lamp"]

    # the lead reads how it went
    report = open_as(shop.olga, "/reports/enquiries?group=manager")
    expect(report.locator(".report-sum")).to_contain_text("4 enquiries")
    expect(report.locator(".report-sum")).to_contain_text("1 answered")
    expect(report.locator(".report-sum")).to_contain_text(re.compile(r"3\d min"))


def leave(context: AppContext) -> None:
    """The time to undo is over; what waits is sent."""
    with context.database.session_scope() as session:
        waiting = update(Delivery).where(col(Delivery.next_try_at).is_not(None))
        session.exec(waiting.values(next_try_at=now() - timedelta(seconds=1)))
        session.exec(update(Message).where(col(Message.send_at).is_not(None)).values(send_at=now()))
    while send_due(context):
        pass
