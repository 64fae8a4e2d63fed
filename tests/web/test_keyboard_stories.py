"""The stories of a day by keyboard alone: no pointer touches the page.

Writing and sending, a view, the palette and Today have theirs beside their pages.
"""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.web.browsing import MOST_STOPS, OpenAs, press, signed_in_browser, tab_to
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import ANNA, GALLERY, Seen, Written, agree, make_account, write
from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_links
from tracker.consent.rules import ConsentState
from tracker.models import Delivery, EnquiryStatus, Message, Recipient, Template, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

__all__ = ["signed_in_browser"]
pytestmark = pytest.mark.browser

# Where the focus is, whether one sees it (an outline or a bar: on it, around it, or on what stands for it), how often it was there.
FOCUS = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    if (at.matches("iframe")) return ["what is focused is within the mail", true, 1];
    at.dataset.visits = Number(at.dataset.visits || 0) + 1;
    const hasOutline = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const shows = (style) => hasOutline(style) || style.boxShadow.includes("inset");
    const near = [at, at.nextElementSibling, at.parentElement, at.parentElement.parentElement].filter(Boolean);
    const seen = near.some((one) => shows(getComputedStyle(one))) || shows(getComputedStyle(at, "::after"));
    const isWithin = at.dataset.visits > 1;  // a part of a field of a day, which the browser marks itself
    return [at.outerHTML.slice(0, 120), seen || isWithin, Number(at.dataset.visits)];
}"""
DATE_STEPS = 8
"""Tab passes a field of a day and time in several steps."""


def focuses(page: Page) -> list[tuple[str, bool, int]]:
    """Where Tab stops from the top of the page until it leaves it."""
    stops = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus is None:
            break
        stops.append(tuple(focus))
    return stops


def test_tab_goes_through_every_page_is_seen_and_caught_nowhere(
    context: AppContext, alice: User, open_as: OpenAs
) -> None:
    make_account(context, alice)
    message = write(context, alice, *GALLERY[:3])[0]
    (letter,) = receive(context, make_mailbox(context, alice), Came("asks", "n@x.example", "Nora"))
    page = open_as(alice, "/today")
    lost: list[str] = []
    for path in (
        "/mail?state=opened",
        f"/mail/{message.public_id}",
        "/compose",
        f"/letters/{letter.public_id}",
        f"/recipients/{ANNA.address}",
        "/connect",
        "/settings/policy",
        "/settings/profile",
    ):
        page.goto(path)
        page.evaluate("document.activeElement.blur()")
        stops = focuses(page)
        assert 5 < len(stops) < MOST_STOPS, path
        lost += [f"{path}: {html}" for html, is_seen, visits in stops if not is_seen or visits > DATE_STEPS]
    assert lost == []


def test_an_enquiry_is_taken_put_off_brought_back_and_finished(
    context: AppContext, alice: User, open_as: OpenAs
) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), Came("asks", "n@x.example", "Nora"))
    with context.database.session_scope() as session:
        session.add(
            EnquiryStatus(
                user_id=letter.user_id,
                mailbox_id=letter.mailbox_id,
                letter_id=letter.id or 0,
                sender=letter.sender,
                received_at=letter.received_at,
                waiting_since=letter.received_at,
            )
        )
    page = open_as(alice, "/enquiries")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/letters/*")
    page.keyboard.press("t")
    expect(page.locator(".letter-work dd").first).to_have_text("Alice")
    press(page, ".letter-work details:has(.letter-snooze) summary")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Snoozed until", exact=True)).to_be_visible()
    press(page, "[action$='/snooze'] button")
    expect(page.get_by_text("It is back in the lists.")).to_be_visible()
    expect(page.get_by_text("Snoozed until", exact=True)).to_be_hidden()
    page.wait_for_load_state()
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    with context.database.reading() as session:
        status = session.exec(select(EnquiryStatus)).one()
    assert (status.manager_id, status.done_at is not None) == (alice.id, True)


def test_who_opened_is_told_and_a_reminder_is_set(context: AppContext, alice: User, open_as: OpenAs) -> None:
    make_account(context, alice)
    agree(context, ANNA.address)
    write(context, alice, Written("Offer 12", (ANNA,), (Seen("open", "human", 600),)))
    page = open_as(alice, "/mail")
    tab_to(page, ".mark.solid")
    expect(page.locator(".activity-tip")).to_contain_text("Anna")
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url("**/mail/*")
    press(page, ".message-reminder > summary")
    expect(page.locator("#reminder-days")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#reminder-days")).to_be_hidden()
    page.keyboard.press("Enter")  # the focus went back to what opened it
    press(page, ".message-reminder button")
    expect(page.get_by_text("You will be reminded if no reply comes.")).to_be_visible()
    with context.database.reading() as session:
        assert session.exec(select(Message.follow_up_at)).one() is not None


def test_somebody_is_found_read_about_snoozed_and_asked(context: AppContext, alice: User, open_as: OpenAs) -> None:
    """From the list of people to one of them: their story, the next follow-up put off, consent recorded, a question begun."""
    make_account(context, alice)
    agree(context, ANNA.address, ConsentState.ASKED, name="Anna")
    (message,) = write(context, alice, Written("Offer 12", (ANNA,), columns={"follow_up_due_at": now()}))
    page = open_as(alice, "/recipients")
    press(page, ".people thead [href$='order=follow_up']")
    page.wait_for_url("**/recipients?order=follow_up")
    press(page, ".people tbody a")
    page.wait_for_url("**/recipients/*")
    expect(page.locator(".person-story")).to_contain_text("You wrote Offer 12")
    page.keyboard.press("h")
    expect(page.get_by_text("You will be reminded if no reply comes.")).to_be_visible()
    expect(page.locator(".person-next")).to_contain_text("in 1 day")
    press(page, ".tabs [href$='/rights']")
    page.wait_for_url("**/rights")
    press(page, ".recipient-record > summary")
    tab_to(page, "#note")
    page.keyboard.type("“Of course”, by phone")
    page.keyboard.press("Enter")
    press(page, ".recipient-record .button.primary")
    expect(page.locator(".recipient-ledger li")).to_have_count(4)
    page.wait_for_load_state()
    page.keyboard.press("u")
    page.wait_for_url("**/recipients")
    with context.database.reading() as session:
        stored = session.get_one(Message, message.id)
    assert (stored.follow_up_due_at, stored.follow_up_at is not None) == (None, True)


def test_an_administrator_adds_somebody_changes_the_policy_and_writes_a_template(
    context: AppContext, alice: User, open_as: OpenAs
) -> None:
    """The settings, from one page to the next: a fold, a list of choices, radio buttons, an editor, a question before a loss."""
    page = open_as(alice, "/settings/people")
    press(page, "details.fold > summary")
    for name, words in (("name", "Dora"), ("email", "dora@seller.example")):
        tab_to(page, f"[name={name}]")
        page.keyboard.type(words)
    tab_to(page, "[name=role]")
    page.keyboard.press("ArrowDown")
    press(page, page.get_by_role("button", name="Add", exact=True))
    tab_to(page, "[data-copy]")
    expect(page.locator("[data-link]")).to_have_value(re.compile("https?://.+#.+"))

    press(page, "[href='/settings/policy']")
    press(page, "details.fold > summary")
    tab_to(page, "[name=policy]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "[name=reason]")
    page.keyboard.type("Our customers asked for it.")
    press(page, page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_role("status")).to_contain_text("The consent policy is now")

    press(page, "[href='/settings/templates']")
    press(page, "[href='/settings/templates/new']")
    tab_to(page, "[name=name]")
    page.keyboard.type("Offer")
    press(page, ".placeholder-list button")
    press(page, page.get_by_role("button", name="Save", exact=True))
    page.wait_for_url("**/settings/templates")
    with context.database.reading() as session:
        dora = session.exec(select(User).where(User.email == "dora@seller.example")).one()
        template = session.exec(select(Template)).one()
    assert (dora.name, dora.role, template.name) == ("Dora", "admin", "Offer")
    assert template.html == "<div>{{name}}</div>"
    page.goto(f"/settings/templates/{template.public_id}")
    page.on("dialog", lambda question: question.accept())
    press(page, page.get_by_role("button", name="Remove the template"))
    page.wait_for_url("**/settings/templates")
    with context.database.reading() as session:
        assert session.exec(select(Template)).all() == []


def test_the_bell_opens_reads_and_closes(context: AppContext, alice: User, open_as: OpenAs) -> None:
    page = open_as(alice, "/mail")
    page.keyboard.press("n")
    panel = page.locator("[data-bell-panel]")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("[data-bell]")).to_be_focused()


def test_a_recipient_withdraws_on_their_page(context: AppContext, alice: User, open_as: OpenAs) -> None:
    make_account(context, alice)
    agree(context, ANNA.address)
    write(context, alice, Written("Offer 12", (ANNA,)))
    with context.database.reading() as session:
        anna, copy = session.exec(select(Recipient)).one(), session.exec(select(Delivery)).one()
    link = PreferenceLink(LinkKind.COPY, anna.public_id, copy.public_id, now().date())
    page = open_as(alice, f"/r/{preference_links(context).token(link)}")
    tab_to(page, "[name=opens]")
    page.keyboard.press("Space")
    press(page, "[value=save]")
    expect(page.get_by_role("status")).to_be_visible()
    page.wait_for_load_state()
    expect(page.locator("[name=opens]")).not_to_be_checked()
    expect(page.locator("[name=clicks]")).to_be_checked()
    assert page.evaluate(FOCUS) is None or page.evaluate(FOCUS)[1]
