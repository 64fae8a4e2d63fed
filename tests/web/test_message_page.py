"""The message page: the mail in its frame, recipients, links, the timeline, and what may be done about it."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import Session, col, select

from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import ANNA, GALLERY, LUC, OFFER, Seen, To, Written, make_account, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.mail.addresses import Mailbox
from tracker.models import Delivery, Event, Message, MessageBody, MessageState, Notification, User, Verdict
from tracker.models.counting.counters import recount
from tracker.notifications.notify import notify
from tracker.outbound.draft import Draft, OutgoingFile
from tracker.outbound.gateway.submitted import enqueue_submitted
from tracker.outbound.send import enqueue_composed
from tracker.runtime.context import AppContext

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def the_offer(context: AppContext, alice: User) -> Message:
    return write(context, alice, GALLERY[0])[0]


PATHS = ["", "/content", "/files/0", "?part=live"]
DEEDS = ["/cancellation", "/mute", "/tracking-end", "/reading", "/events/x/verdict"]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_else_sees_it(context: AppContext, alice: User, bob: User, client_of: ClientOf, path: str) -> None:
    offer = the_offer(context, alice)
    assert client_of(bob).get(f"/mail/{offer.public_id}{path}").status_code == 404
    assert client_of(alice).get("/mail/nothing-here").status_code == 404


@pytest.mark.parametrize("deed", DEEDS)
def test_nobody_else_does_anything_to_it(
    context: AppContext, alice: User, bob: User, client_of: ClientOf, deed: str
) -> None:
    offer = the_offer(context, alice)
    assert (
        client_of(bob).post(f"/mail/{offer.public_id}{deed}", data={"human": "yes", "muted": "yes"}).status_code == 404
    )
    assert client_of(bob).get(f"/mail/{offer.public_id}{deed}").status_code in (404, 405)


def test_the_timeline_tells_people_from_machines_and_folds_repeats(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    page = client.get(f"/mail/{the_offer(context, alice).public_id}")
    lines = [words(one) for one in every(page, ".event .event-title")]
    assert lines == [
        "Reply arrived · Anna Petit",
        "Opened · Anna Petit · Apple Mail",
        "Clicked · Anna Petit · Chrome",
        "Probably opened · Anna Petit · Gmail",
        "Link checked by Microsoft mail protection · Anna Petit",
        "Checked by Microsoft mail protection · Anna Petit",
        "Sent",
    ]
    events = every(page, ".event")
    tones = [attribute(one, "class") for one in events]
    assert tones == ["event person"] * 4 + ["event machine"] * 2 + ["event start"]
    assert "repeated once" in events[3].text
    assert "43 s after sending" in events[5].text


@pytest.mark.parametrize(
    ("seen", "title", "tone"),
    [
        (Seen("open", "privacy_prefetch", 5), "Delivered to Apple Mail; whether it was read cannot be known", "unsure"),
        (Seen("click", "security_scanner", 5, vendor="barracuda"), "Link checked by Barracuda", "machine"),
        (Seen("open", "security_scanner", 5), "Checked by mail protection", "machine"),
        (Seen("click", "link_preview", 5, client="Slack"), "Shared in Slack", "machine"),
        (Seen("open", "sender_self", 5), "Opened by yourself; not counted", "machine"),
        (Seen("open", "crawler", 5), "Fetched by a robot", "machine"),
        (Seen("open", "unknown", 5), "Fetched, but it is not clear by whom", "unsure"),
        (
            Seen("open", "mail_proxy", 5, client="Gmail", reasons=(("proxy_early", {"seconds": 5}),)),
            "Picture fetched by Gmail right after sending",
            "machine",
        ),
        (Seen("auto_reply", "human", 5), "Automatic reply", "machine"),
        (Seen("bounce", "human", 5), "Came back undelivered", "trouble"),
        (Seen("open", "a class of later days", 5), "Fetched, but it is not clear by whom", "unsure"),
    ],
)
def test_every_class_has_honest_words(
    context: AppContext, client: httpx.Client, alice: User, seen: Seen, title: str, tone: str
) -> None:
    (one,) = write(context, alice, Written("x", (ANNA,), (seen,)))
    line = only(client.get(f"/mail/{one.public_id}"), ".event")
    assert text_at(line, ".event-title").startswith(title)
    assert attribute(line, "class") == f"event {tone}"


def test_the_reasons_are_sentences(context: AppContext, client: httpx.Client, alice: User) -> None:
    seen = Seen(
        "click",
        "security_scanner",
        43,
        reasons=(("scanner_network", {"name": "Barracuda"}), ("of a later rule set", {})),
    )
    (one,) = write(context, alice, Written("x", (ANNA,), (seen,)))
    told = text_at(client.get(f"/mail/{one.public_id}"), ".event-reasons")
    assert told == "The address belongs to the mail protection of Barracuda · of a later rule set · 43 s after sending"


def test_recipients_with_policy_and_the_servers_words(context: AppContext, client: httpx.Client, alice: User) -> None:
    refused = write(context, alice, GALLERY[5])[0]
    people = text_at(client.get(f"/mail/{refused.public_id}"), ".message-people")
    assert "550 5.1.1 <info@old-address.example>: Recipient address rejected: User unknown" in people
    offer = text_at(client.get(f"/mail/{the_offer(context, alice).public_id}"), ".message-people")
    assert "Luc Moreau" in offer
    assert "not tracked: was never asked" in offer


def test_a_copy_that_came_back_says_so_beside_its_recipient(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    accepted = Written("Came back", (To("anna@client.example", "Anna"), LUC), (Seen("bounce", "human", 3),))
    (message,) = write(context, alice, accepted)
    people = client.get(f"/mail/{message.public_id}").text.split('class="message-person"')[1:]
    assert ["came back" in person.partition("</section>")[0] for person in people] == [True, False]


@pytest.mark.parametrize(
    ("seen", "how"),
    [
        ((Seen("reply", "human", 60),), "inferred from the reply"),
        ((Seen("click", "human", 60),), "inferred from a click"),
        ((Seen("reply", "human", 60), Seen("click", "human", 90)), "inferred from the reply"),
        ((Seen("click", "human", 60), Seen("reply", "human", 90)), "inferred from a click"),
        ((Seen("open", "privacy_prefetch", 5), Seen("reply", "human", 60)), "inferred from the reply"),
    ],
)
def test_an_inferred_open_is_a_line_that_says_from_what(
    context: AppContext, client: httpx.Client, alice: User, seen: tuple[Seen, ...], how: str
) -> None:
    (message,) = write(context, alice, Written("Offer", (To("anna@client.example", "Anna"),), seen))
    with context.database.session_scope() as session:
        recount(session, [message.id or 0])
    page = client.get(f"/mail/{message.public_id}")
    assert f"Opened ({how}) · Anna" in [words(one) for one in every(page, ".event .event-title")]
    assert how in text_at(client.get(f"/mail/{message.public_id}/activity/opens"), ".activity")


def test_an_open_that_was_seen_is_no_inferred_one(context: AppContext, client: httpx.Client, alice: User) -> None:
    seen = (Seen("open", "human", 5), Seen("click", "human", 60))
    (message,) = write(context, alice, Written("Offer", (To("anna@client.example", "Anna"),), seen))
    with context.database.session_scope() as session:
        recount(session, [message.id or 0])
    assert "inferred" not in text_at(client.get(f"/mail/{message.public_id}"), ".message-timeline")


def test_what_a_server_refused_is_a_line_with_its_words(context: AppContext, client: httpx.Client, alice: User) -> None:
    refused = write(context, alice, GALLERY[5])[0]
    line = every(client.get(f"/mail/{refused.public_id}"), ".event.trouble")[-1]
    assert words(line).startswith("Refused by the server · ")
    assert "550 5.1.1 <info@old-address.example>: Recipient address rejected: User unknown" in words(line)


def test_a_link_with_a_password_is_shown_without_it(context: AppContext, client: httpx.Client, alice: User) -> None:
    written = Written(
        "x", (ANNA,), (Seen("click", "human", 9, link=0),), links=(("https://u:secret@x.example/a", "a"),)
    )
    page = client.get(f"/mail/{write(context, alice, written)[0].public_id}").text
    assert "https://x.example/a" in page
    assert "secret" not in page


def test_hostile_words_are_words(context: AppContext, client: httpx.Client, alice: User) -> None:
    seen = Seen("click", "human", 9, client=HOSTILE, vendor=HOSTILE, link=0, reasons=((HOSTILE, {HOSTILE: HOSTILE}),))
    to = To("eve@example.org", HOSTILE, reply=HOSTILE, status="deferred")
    written = Written(HOSTILE, (to,), (seen,), links=((f"https://x.example/{HOSTILE}", HOSTILE),), snippet=HOSTILE)
    page = client.get(f"/mail/{write(context, alice, written)[0].public_id}")
    assert not [script for script in every(page, "script") if "src" not in script.attrs]
    assert not every(page, "main img")


# --- the mail in its frame


def content(client: httpx.Client, message: Message, query: str = "") -> httpx.Response:
    return client.get(f"/mail/{message.public_id}/content{query}")


def test_the_frame_runs_nothing_and_loads_nothing(context: AppContext, client: httpx.Client, alice: User) -> None:
    html = f"<p onclick=alert(1)>Hi {HOSTILE}<iframe src=//x></iframe><form action=/x><input></form><a href=javascript:1>j</a>"
    html += '<a href="https://x.example/?a=1&amp;b=2">link</a><img src="https://x.example/p.png"><style>p{color:red}</style>'
    (one,) = write(context, alice, Written("x", (ANNA,), html=html))
    answer = content(client, one)
    assert not every(answer, "script, iframe, form, input, base[href], meta[http-equiv]")
    assert not [e for e in every(answer, "*") if any(name.startswith("on") for name in e.attrs)]
    links = {a.text: a.attrs for a in every(answer, "a")}
    assert "href" not in links["j"]
    assert links["link"]["href"] == "https://x.example/?a=1&b=2"
    assert links["link"]["target"] == "_blank"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    assert "script-src" not in policy
    assert re.search(r"sandbox (?!.*allow-scripts)(?!.*allow-forms)", policy)


def test_pictures_from_elsewhere_only_when_asked_for(context: AppContext, client: httpx.Client, alice: User) -> None:
    (one,) = write(context, alice, Written("x", (ANNA,), html='<p>x<img src="https://x.example/p.png"></p>'))
    assert "Show pictures" in client.get(f"/mail/{one.public_id}").text
    asked = client.get(f"/mail/{one.public_id}?images=1")
    frame = only(asked, "iframe")
    assert frame.attrs["src"] == f"/mail/{one.public_id}/content?images=1"
    assert "allow-scripts" not in attribute(frame, "sandbox")
    assert "img-src data: https: http:" in content(client, one, "?images=1").headers["content-security-policy"]


def test_our_own_pixel_and_redirects_are_taken_out_of_what_is_quoted(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    delivery = "abcdefghijk"
    redirect, pixel = context.click_url(delivery, 0, "https://x.example/a"), context.pixel_url(delivery)
    html = f'<p>see <a href="{redirect}">a</a><img src="{pixel}" width="1" height="1"></p>'
    (one,) = write(context, alice, Written("x", (ANNA,), html=html))
    shown = content(client, one).text
    assert 'href="https://x.example/a"' in shown
    assert "/o/" not in shown
    assert "/c/" not in shown


def test_plain_text_is_text(context: AppContext, client: httpx.Client, alice: User) -> None:
    (one,) = write(context, alice, Written("x", (ANNA,)))
    with context.database.session_scope() as session:
        body = session.get_one(MessageBody, one.id)
        body.html, body.text = None, f"Hello\n  {HOSTILE}"
        session.add(body)
    page = client.get(f"/mail/{one.public_id}")
    assert not every(page, "iframe")
    assert only(page, ".message-text").text == f"Hello\n  {HOSTILE}"


def queued(context: AppContext, alice: User, **facts: object) -> Message:
    """A message accepted by the real thing."""
    if not _accounts(context):
        make_account(context, alice)
    given: dict[str, object] = {
        "to": (Mailbox("anna@example.org", "Anna"),),
        "subject": "Offer",
        "html": '<p>Hi <img src="cid:logo"></p>',
        **facts,
    }
    with context.database.session_scope() as session:
        return enqueue_composed(session, context, session.get_one(User, alice.id), Draft(**given))  # type: ignore[arg-type]


def _accounts(context: AppContext) -> bool:
    from tracker.models import Account

    with context.database.reading() as session:
        return session.exec(select(Account)).first() is not None


def test_attachments_come_down_as_files_never_as_pages(context: AppContext, client: httpx.Client, alice: User) -> None:
    message = queued(context, alice, attachments=(OutgoingFile("цена <1>.html", "text/html", b"<script>1</script>"),))
    page = client.get(f"/mail/{message.public_id}")
    assert "цена <1>.html" in text_at(page, ".message-files")
    answer = client.get(f"/mail/{message.public_id}/files/0")
    assert answer.content == b"<script>1</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''%D1%86" in answer.headers["content-disposition"]
    assert client.get(f"/mail/{message.public_id}/files/1").status_code == 404


SUBMITTED = b"""\
From: alice@sales.example\r\nTo: anna@example.org\r\nSubject: Files\r\nMIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=m\r\n\r
--m\r\nContent-Type: text/html\r\n\r\n<p>See <img src="cid:logo@x"></p>\r
--m\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline; filename=logo.png\r\n\r\nPNG\r
--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: application/zip; name=in.zip\r\n\r\nPK\r
--m\r\nContent-Type: application/pdf; name="=?utf-8?q?=D1=86?=.pdf"\r\nContent-ID: <1@x>\r\n\r\n%PDF\r
--m--\r
"""


def test_a_submitted_message_lists_what_is_attached_and_no_picture_of_its_text(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    account = make_account(context, alice)
    with context.database.session_scope() as session:
        raw = SUBMITTED.replace(b"alice@sales.example", account.address.encode())
        message = enqueue_submitted(session, context, alice, account.address, ["anna@example.org"], raw)
    assert message.has_attachments
    page = client.get(f"/mail/{message.public_id}")
    assert [words(one) for one in every(page, ".message-files span")] == ["file-1", "ц.pdf"]
    assert client.get(f"/mail/{message.public_id}/files/0").content.startswith(b"Subject: inner")
    assert client.get(f"/mail/{message.public_id}/files/1").content == b"%PDF"


# --- what may be done


def test_undo_makes_it_a_draft_again(context: AppContext, client: httpx.Client, alice: User) -> None:
    message = queued(context, alice, undo_seconds=30)
    assert "Undo sending" in client.get(f"/mail/{message.public_id}").text
    answer = client.post(f"/mail/{message.public_id}/cancellation")
    assert answer.headers["location"] == f"/compose/{message.public_id}"
    assert "anna@example.org" in attribute(only(client.get(answer.headers["location"]), "#to"), "value")


def test_too_late_to_undo_is_said(context: AppContext, client: httpx.Client, alice: User) -> None:
    offer = the_offer(context, alice)
    answer = client.post(f"/mail/{offer.public_id}/cancellation")
    assert answer.headers["location"] == f"/mail/{offer.public_id}"
    assert "Too late" in text_at(client.get(answer.headers["location"]), ".flash")
    with context.database.reading() as session:
        assert session.get_one(Message, offer.id).state == MessageState.SENT


def test_stop_tracking_stops_every_copy_and_keeps_what_is_known(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    offer = the_offer(context, alice)
    client.post(f"/mail/{offer.public_id}/tracking-end")
    with context.database.reading() as session:
        copies = session.exec(
            select(Delivery).where(Delivery.message_id == offer.id).order_by(col(Delivery.position))
        ).all()
        assert [(c.opens_on, c.clicks_on, c.opens_rule) for c in copies] == [
            (False, False, "switched_off"),
            (False, False, "unknown"),
        ]
        assert session.get_one(Message, offer.id).opens == 2
    assert "Stop tracking" not in client.get(f"/mail/{offer.public_id}").text


def test_mute_and_unmute(context: AppContext, client: httpx.Client, alice: User) -> None:
    offer = the_offer(context, alice)
    for muted, wanted in (("yes", True), ("no", False)):
        client.post(f"/mail/{offer.public_id}/mute", data={"muted": muted})
        with context.database.reading() as session:
            assert session.get_one(Message, offer.id).muted is wanted


def test_looking_reads_the_bell_but_a_get_changes_nothing(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    offer = the_offer(context, alice)
    with context.database.session_scope() as session:
        notify(session, alice.id or 0, "delivery:1", "open", offer.listed_at, message_id=offer.id)

    def unread() -> bool:
        with context.database.reading() as session:
            return session.exec(select(Notification)).one().read_at is None

    client.get(f"/mail/{offer.public_id}")
    assert unread()
    assert client.post(f"/mail/{offer.public_id}/reading").status_code == 204
    assert not unread()


def verdicts(session: Session, event: Event) -> list[str]:
    rows = session.exec(select(Verdict).where(Verdict.event_id == event.id).order_by(col(Verdict.version)))
    return [row.klass for row in rows]


def test_the_user_knows_better(context: AppContext, client: httpx.Client, alice: User) -> None:
    (one,) = write(
        context, alice, Written("x", (ANNA,), (Seen("open", "human", 90, client="Outlook"),), ago=timedelta(hours=1))
    )
    form = only(client.get(f"/mail/{one.public_id}"), ".event-why form")
    assert "This was not a person" in form.text
    client.post(attribute(form, "action"), data={"human": "no"})
    with context.database.reading() as session:
        event = session.exec(select(Event)).one()
        assert event.overruled
        assert verdicts(session, event)[-1] == "unknown"
        assert session.get_one(Message, one.id).opens == 0
    again = only(client.get(f"/mail/{one.public_id}"), ".event")
    assert "your own verdict" in again.text
    assert "This was a person" in again.text


def test_a_verdict_on_somebody_elses_event_is_not_there(
    context: AppContext, alice: User, bob: User, client_of: ClientOf
) -> None:
    write(context, alice, Written("of Alice", (ANNA,), (Seen("open", "human", 90),)))
    (mine,) = write(context, bob, Written("of Bob", (LUC,), links=OFFER))
    with context.database.reading() as session:
        event = session.exec(select(Event)).one()
    answer = client_of(bob).post(f"/mail/{mine.public_id}/events/{event.public_id}/verdict", data={"human": "no"})
    assert answer.status_code == 404


def test_g33_g34_the_timeline_says_at_least_and_who_may_hold_the_copy(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    page = client.get(f"/mail/{the_offer(context, alice).public_id}").text
    assert "Opens are counted at least" in page
    assert "Whoever has this copy counts as its recipient, also after forwarding." in page


def test_a_reminder_is_set_changed_and_taken_back(
    context: AppContext, client: httpx.Client, alice: User, bob: User, client_of: ClientOf
) -> None:
    (one,) = write(context, alice, GALLERY[2])
    path = f"/mail/{one.public_id}"
    client.post(f"{path}/reminder", data={"days": "3"})
    assert "You will be reminded" in text_at(client.get(path), ".message-people")
    assert client_of(bob).post(f"{path}/reminder", data={"days": "3"}).status_code == 404
    for nonsense in ("", "-1", "x", "366", "99999999999999999999"):
        assert client.post(f"{path}/reminder", data={"days": nonsense}).status_code == 422
    client.post(f"{path}/reminder", data={"days": "0"})
    assert "You will be reminded" not in text_at(client.get(path), ".message-people")


def test_machines_right_after_one_another_are_one_line_to_unfold(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    (message,) = write(context, alice, GALLERY[0])
    page = client.get(f"/mail/{message.public_id}")
    (fold,) = every(page, ".event-fold")
    assert words(every(fold, "summary")[0]).startswith("2 machine checks")
    assert len(every(fold, ".event.machine")) == 2
    assert len(every(page, ".message-timeline > ol > .event")) == len(every(page, ".event")) - 2


def test_the_first_button_follows_up_or_answers_the_newest_letter(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    (message,) = write(context, alice, Written("offer", (ANNA,)))
    first = only(client.get(f"/mail/{message.public_id}"), ".message-actions > a")
    assert (words(first), attribute(first, "href")) == ("Follow up", f"/compose?reply={message.public_id}")
    facts: dict[str, Any] = {"columns": {"in_reply_to_message_id": message.id}}
    _older, newer, _automatic = receive(
        context,
        make_mailbox(context, alice),
        Came("Re: offer", ago=timedelta(hours=2), **facts),
        Came("Re: offer!", ago=timedelta(hours=1), **facts),
        Came("Out of office", ago=timedelta(minutes=1), category="auto_reply", **facts),
    )
    first = only(client.get(f"/mail/{message.public_id}"), ".message-actions > a")
    assert (words(first), attribute(first, "href")) == ("Reply", f"/compose?letter={newer.public_id}")
