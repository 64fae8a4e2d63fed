"""The message page: recipients, links, the timeline, and what may be done about it."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select, update

from tests.web.conftest import ClientOf
from tests.web.mail_world import ANNA, GALLERY, KEN, LUC, Seen, To, Written, queued, the_offer, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.models import Account, TrackedLink, User
from tracker.models.counting.counters import recount
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


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
    lines = [words(element) for element in every(page, ".event .event-title")]
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
    tones = [attribute(event, "class") for event in events]
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
    (message,) = write(context, alice, Written("x", (ANNA,), (seen,)))
    line = only(client.get(f"/mail/{message.public_id}"), ".event")
    assert text_at(line, ".event-title").startswith(title)
    assert attribute(line, "class") == f"event {tone}"


def test_the_reasons_are_sentences(context: AppContext, client: httpx.Client, alice: User) -> None:
    seen = Seen(
        "click",
        "security_scanner",
        43,
        reasons=(("scanner_network", {"name": "Barracuda"}), ("of a later rule set", {})),
    )
    (message,) = write(context, alice, Written("x", (ANNA,), (seen,)))
    reasons = text_at(client.get(f"/mail/{message.public_id}"), ".event-reasons")
    assert (
        reasons == "The address belongs to the mail protection of Barracuda · of a later rule set · 43 s after sending"
    )


def test_recipients_with_policy_and_the_servers_words(context: AppContext, client: httpx.Client, alice: User) -> None:
    refused = write(context, alice, GALLERY[5])[0]
    people = text_at(client.get(f"/mail/{refused.public_id}"), ".message-people")
    assert "550 5.1.1 <info@old-address.example>: Recipient address rejected: User unknown" in people
    offer = text_at(client.get(f"/mail/{the_offer(context, alice).public_id}"), ".message-people")
    assert "Luc Moreau" in offer
    assert "not tracked: was never asked" in offer
    assert offer.partition("Luc Moreau")[2].count("never asked") == 1, "said once"


def test_a_copy_of_a_paused_account_says_until_when_it_waits_and_why(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    message = queued(context, alice)
    why = LocalizedText("At most %(count)s messages a minute leave from this address.", count=30)

    def shown(**facts: Any) -> str:
        with context.database.session_scope() as session:
            account = session.get_one(Account, message.account_id)
            session.add(account.sqlmodel_update({"pause_reason": why, **facts}))
        return text_at(client.get(f"/mail/{message.public_id}"), ".message-people")

    waiting = shown(paused_until=now() + timedelta(minutes=1))
    assert "Waits until" in waiting
    assert "At most 30 messages a minute leave from this address." in waiting
    assert "Waits until" not in shown(paused_until=now() - timedelta(minutes=1)), "the pause is over"
    later = queued(context, alice, send_at=now() + timedelta(days=1))
    shown(paused_until=now() + timedelta(minutes=1))
    page = text_at(client.get(f"/mail/{later.public_id}"), ".message-people")
    assert "Waits until" not in page, "it leaves later in any case"


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
    assert f"Opened ({how}) · Anna" in [words(element) for element in every(page, ".event .event-title")]
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


# --- what may be done


def test_g33_g34_the_timeline_says_at_least_and_who_may_hold_the_copy(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    page = client.get(f"/mail/{the_offer(context, alice).public_id}").text
    assert "There may have been more opens" in page
    assert "If the message was forwarded, its new reader counts as this recipient." in page


def at_noon(context: AppContext, user: User) -> None:
    """They live where it is about noon, so that nothing of the last hours was yesterday."""
    hours_behind = now().hour - 12
    with context.database.session_scope() as session:
        session.exec(update(User).where(col(User.id) == user.id).values(timezone=f"Etc/GMT{hours_behind:+d}"))


def test_machines_right_after_one_another_are_one_line_to_unfold(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    at_noon(context, alice)
    (message,) = write(context, alice, GALLERY[0])
    page = client.get(f"/mail/{message.public_id}")
    (fold,) = every(page, ".event-fold")
    assert words(every(fold, "summary")[0]).startswith("2 machine checks")
    assert len(every(fold, ".event.machine")) == 2
    assert len(every(page, ".message-timeline > ol > .event")) == len(every(page, ".event")) - 2


def test_what_reads_the_same_is_one_line_that_unfolds(context: AppContext, client: httpx.Client, alice: User) -> None:
    seen = (
        Seen("open", "human", 600, client="Gmail"),
        Seen("open", "human", 601, client="Gmail"),
        Seen("open", "human", 602, client="Gmail"),
        Seen("open", "human", 603, client="Thunderbird"),
    )
    at_noon(context, alice)
    (message,) = write(context, alice, Written("Offer", (ANNA,), seen, timedelta(days=3)))
    page = client.get(f"/mail/{message.public_id}")
    (fold,) = every(page, ".event-fold")
    assert words(every(fold, "summary")[0]).startswith("Opened · Anna Petit · 3 times")
    assert len(every(fold, "form")) == 3, "each keeps its verdict"
    assert len(every(page, ".message-timeline > ol > .event")) == 2, "another program, and the sending"


def test_a_day_on_which_people_did_much_begins_with_a_line_of_it(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    """Older days are that line, and unfold; a day with one fact, and days of machines, have none."""
    day = 86_400.0
    seen = (
        *(Seen("open", "human", minute * 60.0) for minute in (10, 30, 50)),
        Seen("open", "security_scanner", 5),
        Seen("open", "human", 55 * 60.0, who=1),
        Seen("click", "human", 56 * 60.0, who=1, link=0),
        Seen("open", "human", 2 * day),
        Seen("open", "human", 4 * day),
        Seen("reply", "human", 4 * day + 600, who=1),
    )
    noon = now().replace(hour=12, minute=0, second=0, microsecond=0)  # nothing crosses midnight
    written = Written(
        "Offer", (ANNA, KEN), seen, now() - (noon - timedelta(days=8)), links=(("https://a.example", "a"),)
    )
    (message,) = write(context, alice, written)
    page = client.get(f"/mail/{message.public_id}")
    newest, oldest = every(page, ".event-day")
    assert words(newest).endswith("· Anna Petit: opened once; Ken Watanabe: one reply")
    assert words(only(oldest, "summary")).endswith(
        "· Anna Petit: opened 3 times; Ken Watanabe: opened once, clicked once"
    )
    assert len(every(oldest, ".event")) == 6
    assert len(every(page, ".message-timeline > ol > [data-last]")) == 1, "what a phone shows"
    assert len(every(page, ".message-timeline > ol > .event")) == 4, "two of the last day, one between, the sending"
    with context.database.session_scope() as session:
        session.get_one(User, alice.id).locale = "ru"
    assert "открыто 3 раза" in words(every(client.get(f"/mail/{message.public_id}"), ".event-day summary")[0])


def test_a_phone_shows_the_line_of_the_day_that_holds_the_last_thing_people_did(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    seen = (Seen("open", "human", 60), Seen("open", "human", 900), Seen("open", "security_scanner", 3 * 86_400.0))
    noon = now().replace(hour=12, minute=0, second=0, microsecond=0)
    (message,) = write(context, alice, Written("Offer", (ANNA,), seen, now() - (noon - timedelta(days=8))))
    page = client.get(f"/mail/{message.public_id}")
    assert text_at(page, ".event-day[data-last] summary").endswith("· Anna Petit: opened 2 times")


def test_links_stand_by_their_clicks_and_lead_to_what_happened(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    offer = the_offer(context, alice)
    with context.database.session_scope() as session:
        links = session.exec(select(TrackedLink).where(TrackedLink.message_id == offer.id)).all()
        links[-1].tracked, links[-1].clicks = True, 9
        urls = [links[-1].url, links[0].url]
        most = {links[-1].position: 9, links[0].position: links[0].clicks}
    page = client.get(f"/mail/{offer.public_id}")
    assert [attribute(link, "title") for link in every(page, ".message-links .message-url")][:1] == urls[:1]
    shown = [words(link) for link in every(page, ".message-clicks a")]
    assert shown == [
        f"{count} click{'s' if count > 1 else ''}" for count in sorted(most.values(), reverse=True) if count
    ]
    assert {attribute(link, "href") for link in every(page, ".message-clicks a")} == {"#timeline"}
    shares = [attribute(bar, "width") for bar in every(page, ".message-links .share rect")]
    assert shares[0] == "100.0%"
    assert shares == sorted(shares, key=lambda share: -float(share[:-1]))
