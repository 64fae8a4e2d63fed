"""The recipient's own page: what each link opens, what a GET, a scanner, a replay and an altered link change (nothing)."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from io import BytesIO
from zipfile import ZipFile

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from sqlmodel import col, select

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tests.web.browsing import OpenAs, signed_in_browser  # noqa: F401  (fixture)
from tests.web.conftest import ClientOf
from tests.web.mail_world import Seen, To, Written, agree, make_account, write
from tests.web.reading import every, only, text_at
from tracker.consent.ledger import broken_at, consent_of, ledger
from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_links
from tracker.consent.rules import MEASURED, ConsentState
from tracker.models import Delivery, Message, MessageBody, NoticeText, User
from tracker.outbound.queue import send_due
from tracker.privacy.erase import erase
from tracker.recipients import find
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ANNA = "anna@example.org"


@pytest.fixture
def sent(context: AppContext, alice: User, bob: User) -> list[Message]:
    """Anna agreed to both; Alice's and Bob's messages to her were measured."""
    agree(context, ANNA, name="Anna Petit")
    to = (To(ANNA, "Anna Petit"),)
    seen = (Seen("open", "human", 600, client="Thunderbird"), Seen("click", "security_scanner", 40, vendor="microsoft"))
    mine = write(context, alice, Written("Offer <b>12</b>", to, seen), account=make_account(context, alice))
    theirs = write(
        context, bob, Written("Bob's secret plan", to, seen), account=make_account(context, bob, "bob@sales.example")
    )
    return [*mine, *theirs]


def path_of(context: AppContext, kind: LinkKind = LinkKind.COPY, age: int = 0, which: int = 0) -> str:
    with context.database.reading() as session:
        anna = find(session, ANNA)
        copies = session.exec(select(Delivery).order_by(col(Delivery.id))).all()
    assert anna is not None
    link = PreferenceLink(
        kind, anna.public_id, copies[which].public_id if copies else "", now().date() - timedelta(days=age)
    )
    return f"/r/{preference_links(context).token(link)}"


def states(context: AppContext) -> list[ConsentState]:
    with context.database.reading() as session:
        anna = find(session, ANNA)
        assert anna is not None
        assert anna.id is not None
        assert broken_at(session, anna) is None
        return [consent_of(session, [anna.id])[anna.id][purpose] for purpose in MEASURED]


def chain(context: AppContext) -> int:
    with context.database.reading() as session:
        anna = find(session, ANNA)
        assert anna is not None
        return len(ledger(session, anna))


def value_on(page: httpx.Response) -> str:
    return str(only(page, "input[name=value]").attrs["value"])


BOTH_ON, BOTH_OFF = [ConsentState.GRANTED] * 2, [ConsentState.WITHDRAWN] * 2


# --- what a link shows


def test_the_footers_link_shows_its_own_copy_alone(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    page = visitor.get(path_of(context))
    assert page.status_code == 200
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    assert [" ".join(head.text.split()) for head in every(page, "h3")] == ["Offer <b>12</b>"], (
        "escaped, and nothing of Bob's"
    )
    assert "secret plan" not in page.text
    assert len(every(page, ".own-events li")) == 2
    assert "alice@sales.example" in page.text
    assert every(page, "script") == []
    assert all(box.attrs.get("checked") is not None for box in every(page, "input[type=checkbox]"))
    assert every(page, "input[name=value]") == [], "it opens no way to say yes"


def test_the_mailed_link_shows_everything_and_gives_the_file(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    url = path_of(context, LinkKind.OWN)
    assert "Bob&#39;s secret plan" in visitor.get(url).text
    with ZipFile(BytesIO(visitor.post(f"{url}/archive").content)) as packed:
        assert len(json.loads(packed.read("data.json"))["copies"]) == 2
    for other in (path_of(context), path_of(context, LinkKind.ASK), path_of(context, LinkKind.OWN, age=8)):
        assert visitor.post(f"{other}/archive").status_code == 403
        assert "secret plan" not in visitor.get(other).text


def test_it_speaks_the_readers_language_with_a_switch(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    url = path_of(context)
    russian = visitor.get(url, headers={"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"})
    assert 'lang="ru"' in russian.text
    assert text_at(russian, "h1") == "Что отслеживается в письмах вам"
    assert text_at(visitor.get(url, params={"lang": "ru"}), "h1") == text_at(russian, "h1")
    assert 'lang="en"' in visitor.get(url, params={"lang": "<x>"}).text
    answer = visitor.post(url, data={"do": "stop", "lang": "ru"})
    assert 'lang="ru"' in answer.text


# --- what changes something


def test_a_scanner_that_fetches_everything_changes_nothing(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    before = chain(context)
    for kind in LinkKind:
        url = path_of(context, kind)
        page = visitor.get(url)
        for place in {
            url,
            f"{url}/one-click",
            f"{url}/archive",
            f"{url}/mailed-link",
            *re.findall(r'(?:href|action)="([^"]+)"', page.text),
        }:
            if place.startswith("/"):
                visitor.get(place)
                visitor.head(place)
                visitor.options(place)
    assert chain(context) == before
    with context.database.reading() as session:
        assert len(session.exec(select(Message)).all()) == 2, "no mail was sent"


@pytest.mark.parametrize("kind", LinkKind)
def test_one_post_says_no_by_any_link_however_old(
    context: AppContext, sent: list[Message], visitor: httpx.Client, kind: LinkKind
) -> None:
    done = visitor.post(path_of(context, kind, age=2000), data={"do": "stop"})
    assert done.status_code == 200
    assert states(context) == BOTH_OFF
    again = visitor.post(path_of(context, kind), data={"do": "stop"})
    assert "it was like that already" in again.text
    assert chain(context) == 4


def test_one_switch_at_a_time(context: AppContext, sent: list[Message], visitor: httpx.Client) -> None:
    visitor.post(path_of(context), data={"do": "save", "opens": "on"})
    assert states(context) == [ConsentState.GRANTED, ConsentState.WITHDRAWN]
    page = visitor.get(path_of(context))
    boxes = {str(box.attrs["name"]): box.attrs for box in every(page, "input[type=checkbox]")}
    assert "disabled" in boxes["clicks"]
    assert "checked" in boxes["opens"]


def test_one_click_for_programs(context: AppContext, sent: list[Message], visitor: httpx.Client) -> None:
    answer = visitor.post(f"{path_of(context)}/one-click", data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, states(context)) == (200, BOTH_OFF)
    with context.database.reading() as session:
        anna = find(session, ANNA)
        assert anna is not None
        last = ledger(session, anna)[-1]
    assert (last.channel, last.actor, last.grade) == ("objection_header", "subject", "B")


def test_objection(context: AppContext, sent: list[Message], visitor: httpx.Client) -> None:
    visitor.post(path_of(context), data={"do": "object"})
    assert states(context) == [ConsentState.OBJECTED] * 2


def test_yes_is_never_taken_from_a_link_that_travels(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    visitor.post(path_of(context), data={"do": "stop"})
    own = visitor.get(path_of(context, LinkKind.OWN))
    refused = visitor.post(path_of(context), data={"do": "save", "opens": "on", "clicks": "on", "value": value_on(own)})
    assert refused.status_code == 409
    assert "say no at any time, but not yes" in text_at(refused, "[role=alert]")
    assert states(context) == BOTH_OFF


def test_yes_needs_the_page_and_leaves_whole_evidence(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    visitor.post(path_of(context), data={"do": "stop"})
    url = path_of(context, LinkKind.OWN)
    page = visitor.get(url, params={"lang": "ru"})
    value = value_on(page)
    for wrong in ("", value[:-2], "x" * 300):
        assert visitor.post(url, data={"do": "save", "opens": "on", "value": wrong}).status_code == 409
    assert states(context) == BOTH_OFF
    assert visitor.post(url, data={"do": "save", "opens": "on", "value": value, "lang": "ru"}).status_code == 200
    assert states(context) == [ConsentState.GRANTED, ConsentState.WITHDRAWN]
    with context.database.reading() as session:
        anna = find(session, ANNA)
        assert anna is not None
        entry = ledger(session, anna)[-1]
        shown = session.get_one(NoticeText, entry.notice_digest)
    assert (entry.grade, entry.actor, entry.notice, entry.notice_version, entry.notice_language, entry.double_opt_in) == (
        "A", "subject", "measuring", "2026-11", "ru", True,
    )  # fmt: skip
    assert all(" ".join(p.text.split()) in " ".join(shown.text.split()) for p in every(page, "section.card > p"))
    assert entry.control == "two unticked boxes and a button"


def test_a_replayed_answer_after_a_withdrawal_changes_nothing(
    context: AppContext, sent: list[Message], visitor: httpx.Client
) -> None:
    visitor.post(path_of(context), data={"do": "stop"})
    url = path_of(context, LinkKind.OWN)
    yes = {"do": "save", "opens": "on", "clicks": "on", "value": value_on(visitor.get(url))}
    assert visitor.post(url, data=yes).status_code == 200
    visitor.post(path_of(context), data={"do": "stop"})
    replayed = visitor.post(url, data=yes)
    assert replayed.status_code == 409
    assert "Nothing was changed" in text_at(replayed, "[role=alert]")
    assert states(context) == BOTH_OFF


def test_a_colleague_who_is_signed_in_cannot_agree_for_her(
    context: AppContext, sent: list[Message], visitor: httpx.Client, client_of: ClientOf, alice: User
) -> None:
    visitor.post(path_of(context), data={"do": "stop"})
    url = path_of(context, LinkKind.OWN)
    value = value_on(visitor.get(url))
    refused = client_of(alice).post(url, data={"do": "save", "opens": "on", "value": value})
    assert refused.status_code == 409
    assert states(context) == BOTH_OFF


def test_altered_strange_and_erased(context: AppContext, sent: list[Message], visitor: httpx.Client) -> None:
    url = path_of(context)
    for wrong in (url[:-1], url[:-3] + "abc", "/r/x", "/r/" + "a" * 80):
        assert visitor.get(wrong).status_code == 404
        assert visitor.post(wrong, data={"do": "stop"}).status_code == 404
    assert states(context) == BOTH_ON
    erase(context, ANNA, "system")
    page = visitor.get(url)
    assert page.status_code == 200
    assert "Everything about you was erased" in page.text
    assert "Petit" not in page.text
    assert visitor.post(url, data={"do": "stop"}).status_code == 200


def test_two_withdrawals_at_once_leave_a_ledger_that_verifies(
    context: AppContext, sent: list[Message], address: str
) -> None:
    url = path_of(context)
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: httpx.post(address + url, data={"do": "stop"}).status_code, range(6)))
    assert set(codes) <= {200, 409}
    assert states(context) == BOTH_OFF
    assert chain(context) == 4


def test_that_was_not_me(context: AppContext, sent: list[Message], visitor: httpx.Client) -> None:
    url = path_of(context, LinkKind.OWN)
    action = str(only(visitor.get(url), ".own-events form").attrs["action"])
    assert visitor.post(action.replace(url, path_of(context)), data={"note": "x"}).status_code == 403
    page = visitor.post(action, data={"note": "my assistant"})
    assert page.status_code == 200
    assert "my assistant" in page.text


# --- asking


@pytest.fixture
def asker(context: AppContext, alice: User, smtp_sink: SmtpSink) -> User:
    People(context).account(alice, smtp_sink)
    return alice


def deliver(context: AppContext, sink: SmtpSink) -> bytes:
    while send_due(context):
        pass
    content: bytes = sink.accepted[-1].content
    return content


def link_in(raw: bytes) -> str:
    """The one in the text and in the HTML, which say the same."""
    parsed = message_from_bytes(raw, policy=default)
    links = set()
    for kind in ("plain", "html"):
        part = parsed.get_body((kind,))
        assert part is not None
        links |= set(re.findall(r"/r/[A-Za-z0-9_-]{80}", part.get_content()))
    assert len(links) == 1
    return str(links.pop())


def test_asked_by_mail_and_answered_on_the_page(
    context: AppContext, asker: User, client_of: ClientOf, visitor: httpx.Client, smtp_sink: SmtpSink
) -> None:
    client = client_of(asker)
    assert "May we see it?" in client.get("/asking", params={"to": ANNA}).text
    assert client.post("/asking", data={"to": f"Anna Petit <{ANNA}>", "language": "en"}).status_code == 303
    raw = deliver(context, smtp_sink)
    assert b"/o/" not in raw
    assert b"/c/" not in raw
    assert states(context) == [ConsentState.ASKED] * 2
    url = link_in(raw)
    with context.database.reading() as session:
        message = session.exec(select(Message)).one()
        body = session.get_one(MessageBody, message.id)
        assert url.encode() not in (body.raw or b"") + (body.html or "").encode(), "whoever asked cannot answer"
    assert message.message_id.encode() in raw
    page = visitor.get(url)
    assert text_at(page, "h1") == "May we measure our messages to you?"
    assert all("checked" not in box.attrs for box in every(page, "input[type=checkbox]")), "unticked"
    assert states(context) == [ConsentState.ASKED] * 2
    visitor.post(url, data={"do": "save", "opens": "on", "value": value_on(page)})
    assert states(context) == [ConsentState.GRANTED, ConsentState.REFUSED]


def test_who_said_no_is_left_in_peace_and_who_agreed_is_not_asked(
    context: AppContext, asker: User, client_of: ClientOf, smtp_sink: SmtpSink
) -> None:
    agree(context, ANNA, ConsentState.REFUSED)
    agree(context, "kim@example.org")
    client = client_of(asker)
    client.post("/asking", data={"to": f"{ANNA}, kim@example.org, luc@example.org", "language": "ru"})
    page = client.get("/recipients").text
    assert "One question is on its way." in page
    assert "nobody is asked again for" in page
    assert "kim@example.org has agreed already" in page
    raw = deliver(context, smtp_sink)
    assert len(smtp_sink.accepted) == 1
    assert smtp_sink.accepted[0].recipients == ("luc@example.org",)
    assert link_in(raw)
    for wrong in ("", "anna", ",".join(f"a{n}@example.org" for n in range(21))):
        assert client.post("/asking", data={"to": wrong, "language": "en"}).status_code == 422


def test_the_link_to_everything_is_mailed_to_the_address_alone_and_once_an_hour(
    context: AppContext, asker: User, visitor: httpx.Client, smtp_sink: SmtpSink
) -> None:
    agree(context, ANNA, name="Anna")
    People(context).send(asker, ANNA, undo_seconds=0)
    deliver(context, smtp_sink)
    smtp_sink.clear()
    url = path_of(context)
    for _ in range(3):
        assert visitor.post(f"{url}/mailed-link").status_code == 200
    raw = deliver(context, smtp_sink)
    assert [letter.recipients for letter in smtp_sink.accepted] == [(ANNA,)]
    mailed = visitor.get(link_in(raw))
    assert "Everything that is held about you" in mailed.text
    assert every(mailed, "form[action$=archive]")


# --- for people


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_axe_finds_nothing_wide_and_narrow_without_scripts(
    context: AppContext, sent: list[Message], open_as: OpenAs, alice: User, locale: str
) -> None:
    for kind in LinkKind:
        for width in (1200, 360):
            page = open_as(alice, f"{path_of(context, kind)}?lang={locale}", viewport=(width, 800))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert Axe().run(page).response["violations"] == []
            page.close()
