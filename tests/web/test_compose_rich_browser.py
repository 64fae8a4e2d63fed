"""In a real browser: pictures pasted and dropped, progress and stopping, a link left alone, templates, signatures per account."""

import re
from base64 import b64encode

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import FilePayload, Page, Route, expect
from sqlmodel import select

from tests.servers import wait_until
from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import MakeUser
from tests.web.mail_world import agree, make_account
from tests.web.test_compose_pictures import PNG
from tracker.models import Attachment, Message, MessageBody, Template, User
from tracker.runtime.context import AppContext

__all__ = ["signed_in_browser"]
pytestmark = pytest.mark.browser

GIVE = """async ([kind, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)), data = new DataTransfer();
    data.items.add(new File([bytes], "logo.png", { type: "image/png" }));
    const place = document.querySelector("[data-editor]");
    if (kind === "paste")
        place.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    else {
        const over = { dataTransfer: data, bubbles: true, cancelable: true };
        const drag = (name) => place.firstElementChild.dispatchEvent(new DragEvent(name, over));
        drag("dragenter");
        while (!document.querySelector(".is-dropping")) {  // a browser says so again and again while a hand is still
            await new Promise((done) => setTimeout(done, 50));
            drag("dragover");
        }
        drag("drop");
    }
}"""
UPLOADS = re.compile("part=files")
LOOKS = (("en", "light", (1200, 800)), ("ru", "dark", (360, 740)))


@pytest.fixture
def sender(context: AppContext, make_user: MakeUser) -> User:
    alice = make_user("alice@example.com", "Alice", undo_seconds=30, signature="<b>Alice</b>")
    make_account(context, alice)
    agree(context, "anna@example.org", name="Anna")
    return alice


def saved(page: Page) -> None:
    expect(page.locator("[data-saved]")).to_have_text(re.compile("Saved at"))


def html_of(context: AppContext) -> str:
    with context.database.reading() as session:
        return session.exec(select(MessageBody)).one().html or ""


def _never_answered(_route: Route) -> None:
    """The upload is on its way until it is stopped."""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_given_to_the_text_becomes_part_of_it(
    context: AppContext, sender: User, open_as: OpenAs, kind: str
) -> None:
    page = open_as(sender, "/compose")
    page.locator("[data-editor]").click()
    page.evaluate(GIVE, [kind, b64encode(PNG).decode()])
    image = page.locator("[data-editor] img")
    expect(image).to_have_attribute("src", re.compile("/compose/.+/pictures/"))
    expect(image).to_have_js_property("naturalWidth", 1)
    saved(page)
    wait_until(lambda: 'src="cid:' in html_of(context))
    expect(page.locator(".compose-files li")).to_have_count(0)
    with context.database.reading() as session:
        assert session.exec(select(Attachment)).one().content == PNG
    page.reload()
    expect(image).to_have_js_property("naturalWidth", 1)


def test_an_upload_shows_its_progress_and_can_be_stopped(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.route(UPLOADS, _never_answered)
    file = FilePayload(name="big.bin", mimeType="a/b", buffer=b"x" * 300_000)
    page.set_input_files("[data-file]", file)
    expect(page.locator(".is-uploading progress")).to_be_visible()
    page.get_by_role("button", name="Stop attaching big.bin").click()
    expect(page.locator(".is-uploading")).to_have_count(0)
    expect(page.locator(".compose-files .wrong")).to_have_count(0)
    page.unroute(UPLOADS)
    page.set_input_files("[data-file]", file)
    expect(page.locator(".compose-files li[data-size]")).to_contain_text("big.bin")
    with context.database.reading() as session:
        assert [attachment.filename for attachment in session.exec(select(Attachment))] == ["big.bin"]


def test_a_link_is_left_alone_by_its_button_and_by_keys(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@example.org,")
    page.locator("[data-editor]").click()
    page.keyboard.type("oak")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Control+k")
    expect(page.locator("[data-link-url]")).to_be_focused()
    page.keyboard.type("sales.example/oak")
    expect(page.locator("[data-link-words]")).to_have_value(re.compile("oak"))
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+k")  # once more: its address and text are there to be changed
    expect(page.locator("[data-link-url]")).to_have_value("https://sales.example/oak")
    page.locator("[data-link-words]").fill("oak desks")
    page.keyboard.press("Enter")
    expect(page.locator("[data-editor] a")).to_have_text("oak desks")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(page.locator("[data-link-bubble]")).to_be_hidden()
    button = page.get_by_role("button", name="Do not track this link")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-editor] a[data-no-track]")).to_have_count(1)
    page.locator(".plan-links summary").click()
    expect(page.locator(".plan-left")).to_contain_text("you excluded it")
    page.locator("[data-editor]").focus()
    page.keyboard.press("Control+Shift+K")
    expect(page.locator("[data-editor] a[data-no-track]")).to_have_count(0)


def test_a_template_is_chosen_filled_and_sent(context: AppContext, sender: User, open_as: OpenAs) -> None:
    with context.database.session_scope() as session:
        session.add(
            Template(user_id=sender.id or 0, name="Offer", subject="For {{company}}", html="<p>Dear {{first_name}}</p>")
        )
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@example.org,")
    page.locator(".compose-templates summary").click()
    page.get_by_role("button", name="Offer").click()
    page.wait_for_url("**/compose/*")
    expect(page.locator("[data-editor]")).to_contain_text("Dear {{first_name}}")
    expect(page.locator("#subject")).to_have_value("For {{company}}")
    company = page.get_by_label("Company of the recipient")
    company.click()
    page.keyboard.type("Petit & Fils", delay=40)
    expect(company).to_have_value("Petit & Fils")
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url("**/mail/*")
    with context.database.reading() as session:
        assert session.exec(select(Message)).one().subject == "For Petit & Fils"
    assert "Dear Anna" in html_of(context)


def test_another_account_signs_in_its_own_way(context: AppContext, sender: User, open_as: OpenAs) -> None:
    make_account(context, sender, "sales@sales.example", signature="<i>Sales team</i>")
    page = open_as(sender, "/compose")
    expect(page.locator("[data-editor] .signature")).to_contain_text("Alice")
    page.locator("#account").select_option(label="Alice · sales@sales.example")
    expect(page.locator("[data-editor] .signature i")).to_have_text("Sales team")
    page.locator("#account").select_option(index=0)
    expect(page.locator("[data-editor] .signature")).to_contain_text("-- ")
    expect(page.locator("[data-editor] .signature b")).to_have_text("Alice")


def test_a_template_is_written_with_buttons_for_placeholders(
    context: AppContext, sender: User, open_as: OpenAs
) -> None:
    page = open_as(sender, "/settings/templates/new")
    page.get_by_label("Name", exact=True).fill("Hello")
    page.locator("[data-editor]").click()
    page.keyboard.type("Dear ")
    page.get_by_role("button", name="{{first_name}}").click()
    page.keyboard.type("!")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/settings/templates")
    with context.database.reading() as session:
        assert "{{first_name}}!" in session.exec(select(Template)).one().html


@pytest.mark.parametrize(("language", "scheme", "window"), LOOKS, ids=["wide", "narrow"])
def test_pages_are_for_everybody_and_fit(
    context: AppContext, sender: User, open_as: OpenAs, language: str, scheme: str, window: tuple[int, int]
) -> None:
    with context.database.session_scope() as session:
        user = session.get_one(User, sender.id)
        user.locale, user.theme = language, scheme
        template = Template(user_id=sender.id or 0, name="Offer", subject="S", html="<p>{{company}}</p>", shared=True)
        session.add(template)
    paths = ("/settings/templates", f"/settings/templates/{template.public_id}", "/settings/signatures")
    for path in (*paths, f"/compose?template={template.public_id}&to=anna@example.org"):
        page = open_as(sender, path, viewport=window)
        report = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert report.violations_count == 0, f"{path}: {report.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_message_is_written_and_sent_by_keyboard_alone(context: AppContext, sender: User, open_as: OpenAs) -> None:
    page = open_as(sender, "/compose")
    page.keyboard.type("anna@example.org,")
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "subject":
            break
    page.keyboard.type("Offer")
    page.keyboard.press("Tab")  # the toolbar is one stop
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Remove formatting")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("Hello Anna")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Remove formatting")).to_be_focused()
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/mail/*")
    with context.database.reading() as session:
        assert session.exec(select(Message)).one().subject == "Offer"
    assert "Hello Anna" in html_of(context)
