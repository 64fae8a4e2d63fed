"""Composing in a real browser: chips, the editor, files, drafts that save themselves, sending by keys."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect
from sqlmodel import select

from tests.servers import wait_until
from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import MakeUser
from tests.web.mail_world import agree, make_account
from tests.web.test_mail_browser import happens
from tracker.consent.rules import ConsentState
from tracker.models import Attachment, Delivery, Message, MessageBody, MessageState, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

__all__ = ["signed_in_browser"]
pytestmark = pytest.mark.browser

PASTE = """html => {
    const data = new DataTransfer();
    data.setData("text/html", html);
    document.querySelector("[data-editor]").dispatchEvent(
        new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
DROP = """() => {
    const data = new DataTransfer();
    data.items.add(new File(["y"], "dropped.txt", { type: "text/plain" }));
    for (const name of ["dragenter", "dragover", "drop"])
        document.querySelector("[data-editor]").dispatchEvent(
            new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def sender(context: AppContext, make_user: MakeUser) -> User:
    """Alice with an account; Anna agreed, Bo refused."""
    alice = make_user("alice@example.com", "Alice", undo_seconds=30)
    make_account(context, alice)
    agree(context, "anna@example.org", name="Anna")
    agree(context, "bo@example.org", ConsentState.REFUSED, name="Bo")
    return alice


def the_message(context: AppContext) -> tuple[Message, str]:
    with context.database.reading() as session:
        message = session.exec(select(Message)).one()
        return message, session.get_one(MessageBody, message.id).html or ""


def saved(page: Page) -> None:
    expect(page.locator("[data-saved]")).to_have_text(re.compile("Saved at"))


def editor(page: Page) -> None:
    page.locator("[data-editor]").click()


def test_addresses_become_chips_that_show_who_is_tracked(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    expect(page.locator("#to")).to_be_focused()
    page.keyboard.type("Anna <anna@example.org>, bo@example.org;luc@example.org")
    page.keyboard.press("Enter")
    chips = page.locator(".person")
    expect(chips).to_have_count(3)
    expect(chips.nth(0)).to_have_class(re.compile("good"))
    expect(page.locator(".plan-sentence")).to_have_text(
        "1 of 3 will be tracked: Bo refused and luc@example.org was never asked."
    )
    page.get_by_role("button", name="Remove luc@example.org").click()
    expect(chips).to_have_count(2)
    page.keyboard.press("Backspace")
    expect(page.locator("#to")).to_have_value("bo@example.org")
    expect(chips).to_have_count(1)


def test_what_is_written_is_formatted_and_saves_itself(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@example.org,")
    editor(page)
    page.keyboard.type("Dear ")
    page.keyboard.press("Control+b")
    page.keyboard.type("Anna")
    page.keyboard.press("Control+b")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="List", exact=True).click()
    page.keyboard.type("oak")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Control+k")
    page.keyboard.type("sales.example/oak")
    expect(page.locator("[data-link-words]")).to_have_value("oak")
    page.keyboard.press("Enter")
    saved(page)
    wait_until(lambda: "</a>" in the_message(context)[1])  # what was saved first may be a part of it
    message, html = the_message(context)
    assert page.url.endswith(f"/compose/{message.public_id}")
    assert "Dear" in html
    assert "<b>Anna</b>" in html
    assert "<ul><li>" in html
    assert '<a href="https://sales.example/oak">oak</a>' in html
    page.reload()
    expect(page.locator("[data-editor] li")).to_have_text("oak")
    expect(page.locator(".person")).to_have_text(re.compile("anna@example.org"))


def test_what_is_typed_after_control_k_goes_into_the_link_however_late_its_script_comes(
    sender: User, open_as: OpenAs
) -> None:
    page = open_as(sender, "/compose")
    late: list[Route] = []
    page.route("**/compose_link.*", lambda route: late.append(route))
    with page.expect_request("**/compose_link.*"):
        editor(page)
    page.keyboard.type("oak")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Control+k")
    page.keyboard.type("sales.example/oak")
    expect(page.locator("[data-editor]")).to_have_text("oak")
    late[0].continue_()
    expect(page.locator("[data-link-words]")).to_have_value("oak")
    page.keyboard.press("Enter")
    expect(page.locator("[data-editor] a")).to_have_attribute("href", "https://sales.example/oak")


def test_pasted_html_loses_its_scripts(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    editor(page)
    bad = "<b>bold</b><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    page.evaluate(PASTE, bad)
    expect(page.locator("[data-editor] b")).to_have_text("bold")
    inside = page.locator("[data-editor]").inner_html()
    assert "onerror" not in inside
    assert "script" not in inside
    assert "owned" not in page.title()


def test_files_are_attached_and_too_large_ones_refused_before_they_travel(
    context: AppContext, sender: User, open_as: OpenAs, tmp_path: Path
) -> None:
    page = open_as(sender, "/compose")
    page.set_input_files("[data-file]", FilePayload(name="offer.pdf", mimeType="application/pdf", buffer=b"x" * 3000))
    expect(page.locator(".compose-files li[data-size]")).to_contain_text("offer.pdf")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "part=files" in request.url else None)
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(26_300_000)
    page.set_input_files("[data-file]", big)
    expect(page.locator(".compose-files .wrong")).to_contain_text("25 MB is what mail servers take")
    assert sent == []
    page.evaluate(DROP)
    expect(page.locator(".compose-files li[data-size]")).to_have_count(2)
    page.get_by_role("button", name="Remove offer.pdf").click()
    expect(page.locator(".compose-files li")).to_have_count(1)
    with context.database.reading() as session:
        assert [file.filename for file in session.exec(select(Attachment))] == ["dropped.txt"]


def test_control_enter_sends_what_is_on_the_screen_and_undo_brings_it_back(
    context: AppContext, sender: User, open_as: OpenAs
) -> None:
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@example.org")
    page.locator("#subject").fill("Offer")
    editor(page)
    page.keyboard.type("Hello")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/mail/*")
    message, html = the_message(context)
    assert message.state == MessageState.QUEUED
    assert "Hello" in html
    with context.database.reading() as session:
        assert session.exec(select(Delivery)).one().address == "anna@example.org"
    left = page.locator(".flash-left")
    expect(left).to_have_text(re.compile("^(1[0-9]|2[0-9]|30)$"))
    before = int(left.inner_text())
    expect(left).to_have_text(re.compile(f"^({'|'.join(str(n) for n in range(before))})$"))
    expect(page.get_by_role("button", name="Undo")).to_have_count(1)
    page.locator(".flash").get_by_role("button", name="Undo").click()
    page.wait_for_url(f"**/compose/{message.public_id}")
    expect(page.locator("[data-editor]")).to_have_text("Hello")
    assert the_message(context)[0].state == MessageState.DRAFT


def test_the_offer_to_undo_goes_once_the_message_has_left(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose?to=anna@example.org")
    page.locator("#subject").fill("Offer")
    editor(page)
    page.keyboard.type("Hello")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/mail/*")
    offer = page.locator(".flash").get_by_role("button", name="Undo")
    expect(offer).to_be_visible()
    happens(context, the_message(context)[0], state=MessageState.SENT, sent_at=now())
    expect(offer).to_have_count(0)


def test_an_error_keeps_the_chips_and_the_text(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@example.org, no-address")
    editor(page)
    page.keyboard.type("Hello")
    page.locator("#subject").fill("Offer")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#to-wrong")).to_contain_text("no-address")
    expect(page.locator(".person")).to_have_count(2)
    expect(page.locator(".person").nth(1)).to_have_class(re.compile("bad"))
    expect(page.locator("[data-editor]")).to_have_text("Hello")
    page.get_by_role("button", name="Remove no-address").click()
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url("**/mail/*")
    assert the_message(context)[0].state == MessageState.QUEUED


def test_without_scripts_a_message_is_written_in_the_plain_box(
    context: AppContext, sender: User, open_as: OpenAs
) -> None:
    page = open_as(sender, "/compose", scripts=False)
    page.locator("#to").fill("anna@example.org")
    page.locator("#subject").fill("Offer")
    page.locator("#text").fill("Hello\nAnna")
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url("**/mail/*")
    message, html = the_message(context)
    assert message.state == MessageState.QUEUED
    assert html == "<div>Hello</div><div>Anna</div>"


def test_the_toolbar_is_one_stop_and_arrows_go_on(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.locator("#subject").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Bold")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Italic")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("[data-editor]")).to_be_focused()


def test_a_page_that_nobody_touched_leaves_no_draft(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    saves: list[str] = []
    page.on("request", lambda request: saves.append(request.url) if "part=saved" in request.url else None)
    for deed in ("input", "change"):
        page.dispatch_event("[data-compose]", deed)
    page.set_viewport_size({"width": 800, "height": 3000})
    page.locator("[data-editor]").focus()
    page.wait_for_timeout(2300)  # longer than a save waits
    assert saves == []
    page.locator("#subject").fill("Offer")
    saved(page)
    page.locator("#subject").fill("")
    page.wait_for_url("**/compose")
    with context.database.reading() as session:
        assert session.exec(select(Message)).all() == []
    page.locator("#subject").fill("Offer again")
    page.wait_for_url("**/compose/*")
    expect(page.locator("[data-saved]")).not_to_be_empty()
    assert the_message(context)[0].subject == "Offer again"


def test_what_opens_above_the_buttons_opens_alone_and_escape_closes_it(sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    opened = page.locator("details[data-popover][open]")
    later, templates = page.locator(".compose-later > summary").all()
    later.click()
    templates.click()
    expect(opened).to_have_count(1)
    expect(opened).to_contain_text("Templates")
    page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    expect(templates).to_be_focused()
    later.click()
    expect(opened).to_have_count(1)
    page.locator("h1").click()
    expect(opened).to_have_count(0)


def test_on_a_phone_nothing_covers_send(sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose", viewport=(390, 700))
    under_the_finger = page.evaluate(
        """() => {
            const { left, top, width, height } = document.querySelector("[data-send]").getBoundingClientRect();
            return Boolean(document.elementFromPoint(left + width / 2, top + height / 2)?.closest("[data-send]"));
        }"""
    )
    assert under_the_finger


PASTE_INTO = """(field, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


def test_three_hundred_people_are_folded_and_the_limit_is_named(sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.locator("#to").fill(", ".join(f"person{n}@client.example" for n in range(300)) + ",")
    expect(page.locator(".plan-sentence")).to_have_text(
        "Nobody will be tracked: a message to more than 10 people goes out untracked."
    )
    assert page.evaluate("document.documentElement.scrollHeight") < 2000
    page.get_by_role("button", name="Show 288 more recipients").click()
    expect(page.locator(".person")).to_have_count(300)


PASTED = {
    "\n".join(f"p{n}@x.example" for n in range(10)): [f"p{n}@x.example" for n in range(10)],
    "a@x.example\r\nb@x.example\r\n": ["a@x.example", "b@x.example"],
    "Anna Berg\ta@x.example\nBob\tSales\tb@x.example": ["a@x.example", "b@x.example"],
    'Anna <a@x.example>; "Berg, Bob" <b@x.example>': ["a@x.example", "b@x.example"],
    "a@x.example\tb@x.example": ["a@x.example", "b@x.example"],
}


def test_addresses_are_pasted_as_lists_and_tables_have_them(sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    for text, addresses in PASTED.items():
        page.locator("#to").evaluate(PASTE_INTO, text)
        expect(page.locator(".person")).to_have_count(len(addresses))
        chips = page.locator(".person").evaluate_all("chips => chips.map(chip => chip.dataset.address)")
        assert chips == addresses, text
        while page.locator(".person button").count():
            page.locator(".person button").first.click()


def test_wrong_addresses_are_named_all_and_a_slip_is_put_right(sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@gmial.com, anna.berg, bob@@x, lu")
    wrong = page.locator(".compose-plan .wrong")
    expect(wrong).to_have_text("Not addresses: anna.berg, bob@@x")
    expect(page.locator(".plan-slip")).to_contain_text("anna@gmial.com: did you mean anna@gmail.com?")
    page.get_by_role("button", name="Correct it").click()
    expect(page.locator(".person").first).to_have_attribute("data-address", "anna@gmail.com")
    expect(page.locator(".plan-slip")).to_have_count(0)
    page.locator("#subject").fill("Offer")
    expect(wrong).to_have_text("Not addresses: anna.berg, bob@@x, lu")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#to-wrong")).to_contain_text("“anna.berg”, “bob@@x”, “lu”")
