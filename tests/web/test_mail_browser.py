"""The list in a real browser: pointing, keys, touch, endless scrolling, and following what happens."""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.mail_world import ANNA, GALLERY, Seen, Written, write
from tracker.models import Message, User
from tracker.notifications.notify import announce
from tracker.runtime.context import AppContext

__all__ = ["signed_in_browser"]
pytestmark = pytest.mark.browser


def test_pointing_at_the_eye_tells_and_leaving_hides(context: AppContext, alice: User, open_as: OpenAs) -> None:
    write(context, alice, GALLERY[0])
    page = open_as(alice, "/mail")
    eye = page.locator(".mark").first
    tip = page.locator(".activity-tip")
    eye.hover()
    expect(tip).to_contain_text("Checked by Microsoft mail protection")
    assert eye.get_attribute("aria-describedby") == "activity-tip"
    page.locator("h1").hover()
    expect(tip).to_be_hidden()
    eye.focus()
    expect(tip).to_contain_text("Gmail, Apple Mail")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_what_the_eye_tells_catches_no_pointer(context: AppContext, alice: User, open_as: OpenAs) -> None:
    write(context, alice, *GALLERY)
    page = open_as(alice, "/mail")
    page.locator(".mark").first.hover()
    expect(page.locator(".activity-tip")).to_be_visible()
    caught = """() => [...document.querySelectorAll(".mail-row .mark")].filter(mark => {
        const box = mark.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
        const hit = document.elementFromPoint(x, y);
        return y < innerHeight && !mark.closest(".mail-row").contains(hit);
    }).length"""
    assert page.evaluate(caught) == 0, "every eye and link below can be pointed at"


def test_keys_move_open_and_answer(context: AppContext, alice: User, open_as: OpenAs) -> None:
    older, newer = write(
        context,
        alice,
        Written("older", (ANNA,), ago=timedelta(hours=2)),
        Written("newer", (ANNA,), ago=timedelta(hours=1)),
    )
    page = open_as(alice, "/mail")
    focused = page.locator(".mail-open:focus")
    page.keyboard.press("j")
    expect(focused).to_contain_text("newer")
    page.keyboard.press("j")
    expect(focused).to_contain_text("older")
    page.keyboard.press("k")
    expect(focused).to_contain_text("newer")
    page.keyboard.press("o")
    page.wait_for_url(f"**/mail/{newer.public_id}")
    page.go_back()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.wait_for_url(f"**/compose?reply={older.public_id}")


def test_x_and_shift_select_rows_that_stay_so_when_the_list_is_renewed(
    context: AppContext, alice: User, open_as: OpenAs
) -> None:
    written = write(context, alice, *(Written(f"Offer {n}", (ANNA,), ago=timedelta(hours=n)) for n in range(5)))
    page = open_as(alice, "/mail")
    boxes, bar, count = (
        page.locator("[data-select]"),
        page.locator("[data-selection]"),
        page.locator(".selection-count"),
    )
    expect(bar).to_be_hidden()
    for key in "jjx":
        page.keyboard.press(key)
    expect(count).to_have_text("Selected: 1")
    boxes.nth(3).click(modifiers=["Shift"])
    expect(count).to_have_text("Selected: 3")
    page.keyboard.press("j")
    page.keyboard.press("x")
    with context.database.session_scope() as session:
        session.merge(written[0]).subject = "Renamed"
        announce(session, alice.id or 0, "message", written[0].public_id)
    expect(page.locator(".mail-rows")).to_contain_text("Renamed")
    expect(count).to_have_text("Selected: 4")
    expect(page.locator("[data-select]:checked")).to_have_count(4)
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()


def test_f_opens_the_filter_and_its_address_is_short(context: AppContext, alice: User, open_as: OpenAs) -> None:
    write(context, alice, *GALLERY)
    page = open_as(alice, "/mail")
    page.keyboard.press("f")
    opened = page.locator("label:has([value=opened])")
    expect(opened).to_have_text(re.compile(r"Opened\d+"))
    (count,) = re.findall(r"\d+", opened.inner_text())
    opened.click()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/mail?state=opened")
    expect(page.locator(".mail-sentence")).to_have_text("Mail: opened.")
    expect(page.locator(".mail-row")).to_have_count(int(count))
    expect(page.locator(".figures")).to_be_visible()


def test_older_mail_comes_by_itself(context: AppContext, alice: User, open_as: OpenAs) -> None:
    write(context, alice, *(Written(f"number {n}", (ANNA,), ago=timedelta(minutes=n)) for n in range(120)))
    page = open_as(alice, "/mail")
    for count in (50, 100, 120):
        expect(page.locator(".mail-row")).to_have_count(count)
        page.locator(".mail-row").last.scroll_into_view_if_needed()
    expect(page.locator("[data-more]")).to_have_count(0)


def test_without_scripts_older_mail_is_a_link(context: AppContext, alice: User, open_as: OpenAs) -> None:
    write(context, alice, *(Written(f"number {n}", (ANNA,), ago=timedelta(minutes=n)) for n in range(60)))
    page = open_as(alice, "/mail", scripts=False)
    page.get_by_role("link", name="Older mail").click()
    expect(page.locator(".mail-row")).to_have_count(10)


def test_what_happens_shows_itself_and_the_focus_stays(context: AppContext, alice: User, open_as: OpenAs) -> None:
    first, _second = write(
        context,
        alice,
        Written("first", (ANNA,), ago=timedelta(hours=1)),
        Written("second", (ANNA,), ago=timedelta(hours=2)),
    )
    page = open_as(alice, "/mail")
    page.keyboard.press("j")
    page.keyboard.press("j")
    happens(context, first, opens=4)
    expect(page.locator(".mark.solid")).to_have_text("4")
    expect(page.locator(".mail-open:focus")).to_contain_text("second")


def test_what_is_unfolded_or_being_picked_on_a_message_stays(context: AppContext, alice: User, open_as: OpenAs) -> None:
    seen = (Seen("open", "human", 60),)
    (message,) = write(context, alice, Written("x", (ANNA,), seen=seen))
    page = open_as(alice, f"/mail/{message.public_id}")
    page.get_by_text("Why we think so").click()
    happens(context, message, muted=True)
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    expect(page.locator("summary:focus")).to_have_text("Why we think so")
    expect(page.get_by_role("button", name="This was not a person")).to_be_visible()
    page.get_by_text("Remind me").first.click()
    page.get_by_label("Remind me if there is no reply").focus()
    page.get_by_label("Remind me if there is no reply").select_option("7")
    happens(context, message, muted=False)
    page.wait_for_timeout(1000)
    expect(page.get_by_label("Remind me if there is no reply")).to_have_value("7")


def happens(context: AppContext, message: Message, **changes: Any) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(Message, message.id)
        row.sqlmodel_update(changes)
        session.add(row)
        announce(session, row.user_id, "message", row.public_id)


def test_the_frame_is_as_tall_as_its_mail_and_runs_nothing(context: AppContext, alice: User, open_as: OpenAs) -> None:
    html = (
        "<p>line</p>" * 60
        + "<script>parent.document.title='owned'</script><img src=x onerror=\"parent.document.title='owned'\">"
    )
    (message,) = write(context, alice, Written("x", (ANNA,), html=html))
    page = open_as(alice, f"/mail/{message.public_id}")
    frame = page.locator("iframe")
    expect(page.frame_locator("iframe").locator("p").last).to_be_visible()
    page.wait_for_function("document.querySelector('iframe').clientHeight > 1500")
    inside = "document.querySelector('iframe').contentDocument.documentElement.scrollHeight"
    assert frame.evaluate("frame => frame.clientHeight") >= page.evaluate(inside)
    assert "owned" not in page.title()


def test_at_360_pixels_nothing_sticks_out(context: AppContext, alice: User, open_as: OpenAs) -> None:
    messages = write(context, alice, *GALLERY)
    page = open_as(alice, "/mail", viewport=(360, 740))
    for path in ("/mail", f"/mail/{messages[0].public_id}", f"/compose?reply={messages[7].public_id}", "/recipients"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
