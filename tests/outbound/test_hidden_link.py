"""The hidden link: placed so that machines meet it and people cannot, byte for byte reversible, and never quoted on."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from pixel.tokens import TRAP_LINK, TrapClaims
from tests.engagement.edge_by_hand import Edge, bell, ingest_hits, message_of, settle
from tests.fixtures.contexts import People
from tests.outbound.edits import restore
from tests.servers import SmtpSink
from tracker.consent.preferences import set_preference
from tracker.consent.rules import Purpose
from tracker.models import Delivery, Message, TrackedLink, User
from tracker.outbound.mime_patch import Untouched, find_html
from tracker.outbound.queue import send_due
from tracker.outbound.rewriter.hidden_link import hide, is_styled, without_traps
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite, track
from tracker.runtime.context import AppContext

HOST = "https://track.example"
TRAP = f"{HOST}/c/trap-new"
PIXEL = f"{HOST}/o/p.gif"
STYLED = """<html><body style="font-family:sans-serif"><p>Dear client, here is
<a href="https://shop.example/offer?a=1&amp;b=2">the offer</a>, <a href='https://shop.example/terms'>the terms</a>
and <a href=https://shop.example/map>the way</a>.</p></body></html>"""


def is_trap(url: str) -> bool:
    return url.startswith(f"{HOST}/c/trap-")


def tracked(url: str, index: int) -> str | None:
    return f"{HOST}/c/{index}"


def hidden(html: str, trap: str | None = TRAP, link: Callable[[str, int], str | None] = tracked) -> Rewritten:
    leave = Leave(own_hosts=frozenset({"track.example"}), is_own_pixel=lambda url: url == PIXEL)
    document = scan(html)
    links, edits, pixel = track(document, link, PIXEL, leave)
    edits += hide(document, links, trap, is_trap)
    return Rewritten(document.spliced(edits), links, edits, pixel)


def cleaned(html: str) -> str:
    document = scan(html)
    return document.spliced(without_traps(document, is_trap))


def test_it_stands_behind_the_first_tracked_link_and_before_the_last() -> None:
    html = hidden(STYLED).html
    first, trap, last = html.index(f"{HOST}/c/0"), html.index(TRAP), html.index(f"{HOST}/c/2")
    assert first < trap < last
    assert html.count(TRAP) == 1


def test_nobody_sees_or_reaches_it() -> None:
    rewritten = hidden(STYLED)
    (edit,) = [edit for edit in rewritten.edits if TRAP in edit.new]
    assert edit.start == edit.end
    assert 'aria-hidden="true"' in edit.new
    assert 'tabindex="-1"' in edit.new
    assert edit.new.endswith("></a>"), "no text, no space"
    assert edit.new.strip() == edit.new
    assert "the offer</a><a href=" in rewritten.html


def test_everything_else_is_as_without_it_and_restore_is_exact() -> None:
    leave = Leave(own_hosts=frozenset({"track.example"}), is_own_pixel=lambda url: url == PIXEL)
    plain, rewritten = rewrite(STYLED, tracked, PIXEL, leave), hidden(STYLED)
    (edit,) = [edit for edit in rewritten.edits if TRAP in edit.new]
    assert rewritten.html.replace(edit.new, "") == plain.html
    assert rewritten.links == plain.links
    assert restore(rewritten, STYLED) == STYLED


def test_the_only_link_is_followed_by_it() -> None:
    html = '<p style="x">See <a href="https://shop.example/">the shop</a>.</p>'
    assert "the shop</a><a href=" in hidden(html).html
    assert restore(hidden(html), html) == html


@pytest.mark.parametrize(
    "html",
    [
        "<p>Nothing to follow, but <b style='color:red'>styled</b>.</p>",
        '<p style="x"><a href="mailto:anna@client.example">write</a></p>',
        '<!--[if mso]><v:roundrect href="https://shop.example/" style="x">Buy</v:roundrect><![endif]-->',
        '<!--[if mso]><a style="x" href="https://shop.example/">Buy</a><![endif]-->',
        '<img usemap="#m"><map name="m"><area href="https://shop.example/" style="x"></map>',
        '<p style="x"><a href="https://shop.example/">never closed',
    ],
)
def test_where_there_is_no_place_nothing_is_placed(html: str) -> None:
    assert TRAP not in hidden(html).html
    assert restore(hidden(html), html) == html


def test_what_outlook_alone_reads_is_passed_over() -> None:
    html = (
        '<!--[if mso]><a style="x" href="https://shop.example/1">Buy</a><![endif]-->'
        '<a href="https://shop.example/2">Buy</a> <a href="https://shop.example/3">Terms</a>'
    )
    assert "https://track.example/c/1" in hidden(html).html.partition(TRAP)[0]


@pytest.mark.parametrize(
    ("html", "styled"),
    [
        ("<p>Hello <b>Anna</b>,<br><a href='https://x.example'>link</a></p><ul><li>one</li></ul>", False),
        ('<div dir="ltr">Hello<div><br></div><div class="signature">Alice</div></div>', False),
        ("<p>style=color:red is only a word here</p>", False),
        ('<p style="">Hello</p>', False),
        ('<p style="margin:0">Hello</p>', True),
        ("<head><style>p{}</style></head><p>Hello</p>", True),
        ("<table><tr><td>Hello</td></tr></table>", True),
        ('<body bgcolor="#fff">Hello', True),
        ('<font color="red">Hello</font>', True),
        ("", False),
    ],
)
def test_plain_writing_has_no_styling(html: str, styled: bool) -> None:
    assert is_styled(html) is styled


def test_plain_mail_never_carries_one() -> None:
    html = '<p>Hello <a href="https://a.example/">a</a> and <a href="https://b.example/">b</a></p>'
    assert TRAP not in hidden(html).html


def test_a_second_pass_changes_nothing() -> None:
    once = hidden(STYLED).html
    assert hidden(once).html == once


OLD = f"{HOST}/c/trap-old"
QUOTED = f"""<p style="x">Anna, see <a href="https://shop.example/new">the new one</a>.</p>
<blockquote>You wrote: <a href="https://shop.example/old">old</a><a href="{OLD}" aria-hidden="true" tabindex="-1"
 style="font-size:0"></a> of last week</blockquote>"""


def test_quoted_history_loses_our_old_ones() -> None:
    rewritten = hidden(QUOTED)
    assert OLD not in rewritten.html
    assert rewritten.html.count(TRAP) == 1
    assert '<a href="https://shop.example/old">old</a> of last week' in rewritten.html
    assert restore(rewritten, QUOTED) == QUOTED
    assert OLD not in hidden(QUOTED, trap=None).html, "also where the switch is off by now"
    clean = cleaned(QUOTED)
    assert ">old</a> of last week" in clean
    assert OLD not in clean


def test_one_that_a_mail_program_has_filled_keeps_its_words_and_leads_nowhere() -> None:
    html = f'<p style="x">a <A STYLE=x HREF={OLD}>grown in</A> b <a href="{OLD}">until here'
    clean = cleaned(html)
    assert OLD not in clean
    assert "grown in" in clean
    assert "until here" in clean


def test_a_document_without_one_is_the_very_object() -> None:
    assert cleaned(STYLED) is STYLED


PIECES = st.sampled_from(
    [
        "<p>", "</p>", '<p style="x">', "<!--", "-->", "<!--[if mso]>", "<![endif]-->", "<table><tr><td>", "</td></tr></table>",
        '<a href="https://a.example/1">one</a>', "<a href=https://a.example/2>two", "</a>", "</A >", "<area href='https://a.example/3'>",
        f'<a href="{OLD}"></a>', f"<A x='<a' HREF={OLD}>", "&amp", "<", "&#", "text", "\r\n", "<blockquote>", "</blockquote>", "é",
        "<script>", "</script>", "<style>", "</style>", "</body>", "<body>",
    ]
)  # fmt: skip


def test_a_tag_within_the_tag_is_not_taken_for_its_beginning() -> None:
    html = f"<A x='<a' HREF={OLD}></a><p style='x'>and what follows</p>"
    assert cleaned(html) == "<p style='x'>and what follows</p>"


def test_another_link_inside_an_old_one_is_not_lost() -> None:
    html = f"<A x='<a' HREF={OLD}><area href='https://a.example/3'></a>"
    rewritten = hidden(html)
    assert f"{HOST}/c/1" in rewritten.html
    assert restore(rewritten, html) == html


@given(st.lists(PIECES, max_size=12).map("".join))
def test_whatever_the_document_restore_is_exact_and_no_old_one_stays_live(html: str) -> None:
    rewritten = hidden(html)
    assert restore(rewritten, html) == html
    assert rewritten.html.count(TRAP) <= 1
    again = rewrite(rewritten.html, lambda url, _: None, None)
    assert not [link for link in again.links if link.url == OLD]


# --- a workspace that sends


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink)
    return alice


def switch_on(context: AppContext) -> None:
    with context.database.session_scope() as session:
        set_preference(session, "hidden_link", True)


def sent_html(context: AppContext, sink: SmtpSink) -> dict[str, str]:
    while send_due(context):
        pass
    parts = {}
    for letter in sink.accepted:
        part = find_html(letter.content)
        assert not isinstance(part, Untouched)
        parts[letter.recipients[0]] = part.html
    return parts


def traps_in(context: AppContext, html: str) -> list[TrapClaims]:
    links = rewrite(html, lambda url, _: None, None).links
    return [claims for link in links if (claims := context.tokens.read_trap(link.url.rpartition("/")[2])) is not None]


def test_off_by_default(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> None:
    people.grant("anna@client.example")
    people.send(alice, "anna@client.example", html=STYLED)
    assert traps_in(context, sent_html(context, smtp_sink)["anna@client.example"]) == []


def test_switched_on_every_tracked_copy_has_its_own_and_no_row_shows_it(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    switch_on(context)
    people.grant("anna@client.example")
    people.grant("kim@client.example")
    people.grant("opens@client.example", Purpose.OPENS)
    message: Message = people.send(
        alice, "anna@client.example", "kim@client.example", "opens@client.example", "luc@client.example", html=STYLED
    )
    html = sent_html(context, smtp_sink)
    with context.database.reading() as session:
        copies = {d.address: d.public_id for d in session.exec(select(Delivery))}
        rows = session.exec(select(TrackedLink).where(TrackedLink.message_id == message.id)).all()
    for address in ("anna@client.example", "kim@client.example"):
        assert traps_in(context, html[address]) == [TrapClaims(copies[address])]
    assert traps_in(context, html["opens@client.example"]) == [], "without tracked links there is nothing to guard"
    assert html["luc@client.example"].replace("\r\n", "\n").rstrip() == STYLED, "untracked is untouched"
    assert [row.url for row in rows] == [
        "https://shop.example/offer?a=1&b=2",
        "https://shop.example/terms",
        "https://shop.example/map",
    ]


def test_plain_mail_goes_without(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> None:
    switch_on(context)
    people.grant("anna@client.example")
    people.send(alice, "anna@client.example")
    html = sent_html(context, smtp_sink)["anna@client.example"]
    assert "/c/" in html
    assert traps_in(context, html) == []


def test_an_answer_that_quotes_an_old_one_carries_only_its_own(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    switch_on(context)
    people.grant("anna@client.example")
    people.send(alice, "anna@client.example", html=STYLED)
    first = sent_html(context, smtp_sink)["anna@client.example"]
    smtp_sink.clear()
    quote = f'<p style="x">Anna, <a href="https://shop.example/x">x</a>!</p><blockquote>{first}</blockquote>'
    people.send(alice, "anna@client.example", html=quote)
    with context.database.reading() as session:
        newest = session.exec(select(Delivery).order_by(col(Delivery.id).desc())).first()
        rows = session.exec(select(TrackedLink.url).where(TrackedLink.message_id == newest.message_id)).all()  # type: ignore[union-attr]
    assert newest is not None
    assert traps_in(context, sent_html(context, smtp_sink)["anna@client.example"]) == [TrapClaims(newest.public_id)]
    assert not [url for url in rows if context.tokens.read_trap(url.rpartition("/")[2])]


# --- what the judge makes of it


def one_styled_copy(context: AppContext, people: People, alice: User) -> Delivery:
    switch_on(context)
    people.grant("anna@client.example", name="Anna")
    people.send(alice, "anna@client.example", html=STYLED)
    while send_due(context):
        pass
    with context.database.reading() as session:
        return session.exec(select(Delivery)).one()


def test_who_follows_it_is_a_machine_and_so_is_what_came_with_it(
    context: AppContext, people: People, alice: User
) -> None:
    copy, edge = one_styled_copy(context, people, alice), Edge()
    edge.hit(copy, "click", link=0, after=600)
    ingest_hits(context, edge)
    settle(context)
    assert [(line.kind, line.clicks) for line in bell(context, alice)] == [("click", 1)]
    edge.hit(copy, "click", link=TRAP_LINK, after=600.2)
    events = ingest_hits(context, edge)
    assert [event.klass for event in events] == ["security_scanner"] * 2
    assert [event.counted for event in events] == [False, False]
    assert [reason["code"] for reason in events[1].reasons] == ["honeypot"]
    (line,) = bell(context, alice)
    assert (line.kind, line.clicks, line.machine) == ("corrected", 0, "security_scanner")
    assert message_of(context).clicks == 0


def test_a_person_who_clicks_an_hour_later_counts(context: AppContext, people: People, alice: User) -> None:
    copy, edge = one_styled_copy(context, people, alice), Edge()
    edge.hit(copy, "click", link=TRAP_LINK, after=40, client="198.51.100.9")
    edge.hit(copy, "click", link=1, after=4000)
    events = ingest_hits(context, edge)
    settle(context)
    assert [(event.klass, event.counted) for event in events] == [("security_scanner", False), ("human", True)]
    assert [(line.kind, line.clicks) for line in bell(context, alice)] == [("click", 1)]


def test_alone_it_never_counts_and_never_rings(context: AppContext, people: People, alice: User) -> None:
    copy, edge = one_styled_copy(context, people, alice), Edge()
    edge.hit(copy, "click", link=TRAP_LINK, after=90_000)
    ingest_hits(context, edge)
    settle(context)
    assert bell(context, alice) == []
    assert (message_of(context).clicks, message_of(context).opens, message_of(context).machine) == (0, 0, 1)
