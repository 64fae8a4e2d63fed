"""The footer line: in tracked copies alone, in our own part, byte for byte reversible, and never quoted on."""

from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from tests.fixtures.contexts import HTML, People
from tests.outbound.edits import restore
from tests.outbound.test_rewrite_quoted import DATA, LEAVE, MARKS, PIXEL, read, tracked
from tests.servers import SmtpSink
from tracker.consent.preference_links import LinkKind, preference_links
from tracker.consent.preferences import set_preference
from tracker.consent.rules import Purpose
from tracker.models import Delivery, MessageBody, Recipient, User
from tracker.outbound.footer_text import language_of
from tracker.outbound.message_links import find_links, strip_own_tracking
from tracker.outbound.mime_patch import Untouched, find_html
from tracker.outbound.queue import send_due
from tracker.outbound.rewriter.footer import Footer, mark_of, put_footer, without_footers
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite, track
from tracker.runtime.context import AppContext

WORDS, LABEL = "The sender can see whether this is opened & read.", "Your <choice>"
MARK = mark_of(f"{WORDS} {LABEL}")
FOOTER = Footer(WORDS, LABEL, f"https://track.example/r/NEW-{MARK}")


def choice(url: str) -> str | None:
    return url.rpartition("-")[2] if url.startswith("https://track.example/r/") else None


def with_footer(html: str, pixel: str | None = PIXEL, footer: Footer | None = FOOTER) -> Rewritten:
    document = scan(html)
    links, edits, placed = track(document, tracked, pixel, LEAVE)
    edits += put_footer(document, footer, choice)
    return Rewritten(document.spliced(edits), links, edits, placed)


def cleaned(html: str) -> str:
    document = scan(html)
    return document.spliced(without_footers(document, choice))


def footer_block(rewritten: Rewritten) -> str:
    (edit,) = [edit for edit in rewritten.edits if FOOTER.url in edit.new]
    assert edit.start == edit.end
    return edit.new


def test_it_stands_at_the_end_of_the_body_with_words_and_link_escaped() -> None:
    html = with_footer(HTML).html
    block = footer_block(with_footer(HTML))
    assert html.endswith(block + "</body></html>")
    assert "is opened &amp; read. <a href=" in block
    assert "Your &lt;choice&gt;</a></div>" in block


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.html")))
@pytest.mark.parametrize("pixel", [PIXEL, None])
def test_b40_b41_twice_is_once_and_there_is_a_way_back(name: str, pixel: str | None) -> None:
    html = read(name)
    once = with_footer(html, pixel)
    assert with_footer(once.html, pixel).html is once.html
    assert restore(once, html) == html
    plain = rewrite(html, tracked, pixel, LEAVE).html
    assert once.html.replace(footer_block(once), "") == plain, "every other character is as without it"


@pytest.mark.parametrize("mark", MARKS)
def test_b38_it_stands_before_the_quote(mark: str) -> None:
    html = "<div>Hi</div>" + mark.format("<div>older</div>")
    result = with_footer(html).html
    assert result.index("</div><img") < result.index(FOOTER.url) < result.index("older")


@pytest.mark.parametrize("mark", MARKS)
def test_b39_the_footer_of_a_quoted_message_goes(mark: str) -> None:
    old = with_footer("<p>before</p>", None).html
    quoted = "<div>Anna, yes</div>" + mark.format(old)
    assert cleaned(quoted) == "<div>Anna, yes</div>" + mark.format("<p>before</p>")
    newer = Footer(WORDS, LABEL, f"https://track.example/r/NEWER-{MARK}")
    html = with_footer(quoted, PIXEL, newer).html
    assert html.count("/r/") == 1
    assert "/r/NEWER-" in html


def test_what_grew_into_an_old_one_stays_and_only_its_link_goes() -> None:
    old = with_footer("<p>before</p>", None).html
    edited = old.replace("The sender", "I do not want this! The sender")
    left = cleaned(edited)
    assert "I do not want this!" in left
    assert "/r/" not in left
    wrapped = old.replace('<div style="margin', '<p class=MsoNormal><span style="margin').replace(
        "</a></div>", "</a></span></p>"
    )
    assert "/r/" not in cleaned(wrapped)
    assert WORDS.replace("&", "&amp;") in cleaned(wrapped)


def test_links_of_others_named_alike_stay() -> None:
    html = '<div>See <a href="https://other.example/r/NEW-12345678">this</a></div>'
    assert cleaned(html) is html


@pytest.mark.parametrize(
    "html", ["<frameset><frame src=x></frameset>", '<p>See <a href="https://x.example/">never closed']
)
def test_where_there_is_no_safe_place_it_is_put_first_or_nowhere(html: str) -> None:
    result = with_footer(html)
    assert restore(result, html) == html
    assert result.html.count(FOOTER.url) == (0 if "frameset" in html else 1)


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<div>", "</div>", "text ", "<b", ">", "<!--", "-->", "</body>", "<blockquote>", "\r\n"]
        )
    )
)
def test_any_markup_comes_back(pieces: list[str]) -> None:
    html = "".join(pieces)
    once = with_footer(html)
    assert restore(once, html) == html
    assert with_footer(once.html).html == once.html


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<p>Hello</p>", "en"),
        ("<p style='font-family:Helvetica'>Здравствуйте, Анна</p>", "ru"),
        ("<p>Hello, Анна</p>", "en"),
        ("", "en"),
    ],
)
def test_it_speaks_the_language_of_the_message(html: str, language: str) -> None:
    assert language_of(html) == language


# --- in the copies that leave


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    user = people.user()
    people.account(user, smtp_sink)
    return user


def sent(context: AppContext, sink: SmtpSink) -> dict[str, bytes]:
    while send_due(context):
        pass
    return {letter.recipients[0]: letter.content for letter in sink.accepted}


def html_of(raw: bytes) -> str:
    part = find_html(raw)
    assert not isinstance(part, Untouched)
    return part.html


def test_tracked_copies_have_it_and_untracked_ones_have_nothing(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    people.grant("anna@client.example")
    people.grant("kim@client.example", Purpose.CLICKS)
    message = people.send(alice, "anna@client.example", "kim@client.example", "luc@client.example")
    copies = sent(context, smtp_sink)
    with context.database.reading() as session:
        body = session.get_one(MessageBody, message.id)
        ids = {d.address: d.public_id for d in session.exec(select(Delivery))}
        persons = {r.address: r.public_id for r in session.exec(select(Recipient))}
    assert b"/r/" not in (body.raw or b""), "the clean copy is as written"
    assert b"/r/" not in copies["luc@client.example"], "untracked is untouched"
    assert "is opened and which of its links" in html_of(copies["anna@client.example"])
    assert "see which links of this message are followed" in html_of(copies["kim@client.example"])
    for address in ("anna@client.example", "kim@client.example"):
        url = html_of(copies[address]).partition("/r/")[2].partition('"')[0]
        link = preference_links(context).read(url)
        assert link is not None
        assert (link.kind, link.recipient, link.copy) == (LinkKind.COPY, persons[address], ids[address])
        assert address not in url
    texts = [message_from_bytes(copies[a], policy=default).get_body(("plain",)).get_content() for a in copies]  # type: ignore[union-attr]
    assert len(set(texts)) == 1, "D1: the text part is the same in every copy"


def test_switched_off_there_is_none_and_an_own_sentence_takes_its_place(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    people.grant("anna@client.example")
    with context.database.session_scope() as session:
        set_preference(session, "footer_words", {"ru": "Видно, открыто ли письмо."})
    people.send(alice, "anna@client.example", html="<p>Здравствуйте, Анна!</p>")
    html = html_of(sent(context, smtp_sink)["anna@client.example"])
    assert "Видно, открыто ли письмо. <a" in html
    with context.database.session_scope() as session:
        set_preference(session, "footer", False)
    smtp_sink.clear()
    people.send(alice, "anna@client.example")
    assert "/r/" not in html_of(sent(context, smtp_sink)["anna@client.example"])


def test_an_answer_to_an_answer_carries_only_its_own(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    people.grant("anna@client.example")
    people.send(alice, "anna@client.example")
    first = html_of(sent(context, smtp_sink)["anna@client.example"])
    smtp_sink.clear()
    quoting = f"<p>Anna, yes.</p><blockquote>{first}</blockquote>"
    people.send(alice, "anna@client.example", html=quoting)
    second = html_of(sent(context, smtp_sink)["anna@client.example"])
    assert second.count("/r/") == 1
    assert second.index("/r/") < second.index("<blockquote")
    with context.database.reading() as session:
        assert not [link for link in find_links(session, context, quoting, frozenset()) if "/r/" in link.url]
    assert "/r/" not in (strip_own_tracking(context, second) or "")
