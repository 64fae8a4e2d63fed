"""What the queue hands over: each copy as consent, links and the server allow it at that moment."""

import quopri
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from sqlmodel import Session, select

from tests.fixtures.contexts import People
from tests.fixtures.counts import counted
from tests.outbound.test_queue import deliveries, held, message_of, send_all
from tests.servers import SmtpSink, smtp_sink, wait_until
from tracker.consent.preferences import set_policy
from tracker.consent.rules import ConsentState, Pack
from tracker.mail.addresses import Address
from tracker.mail.smtp_submission import Outcome
from tracker.models import Account, Attachment, Delivery, DeliveryStatus, MessageBody, TrackedLink, User
from tracker.outbound import claimed_copies
from tracker.outbound.claimed_copies import ClaimedCopies
from tracker.outbound.copies import Copy, ScannedMessage, make_copy, scan_message
from tracker.outbound.draft import Draft
from tracker.outbound.footer_text import footer_for
from tracker.outbound.mime_patch import Untouched
from tracker.outbound.outcomes import HandedOver, _write_outcomes
from tracker.outbound.queue import send_due
from tracker.outbound.rewriter.footer import Footer
from tracker.outbound.send import enqueue_composed
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def test_consent_withdrawn_while_waiting_means_an_untouched_copy(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    message = people.send(alice, "anna@client.example")
    people.consent("anna@client.example", ConsentState.WITHDRAWN)
    send_all(context)
    assert context.settings.tracking_url.encode() not in smtp_sink.accepted[0].content
    row = deliveries(context)["anna@client.example"]
    assert (row.opens_on, row.opens_rule, row.clicks_on, row.clicks_rule) == (False, "withdrawn", False, "withdrawn")
    assert message_of(context, message).opens_tracked == 0


def test_d18_when_rewriting_fails_the_original_goes_out_and_the_row_says_so(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    people.send(alice, "anna@client.example")
    without_keys = replace(context, tokens=None)  # type: ignore[arg-type]
    send_all(without_keys)
    assert b"shop.example/offer" in smtp_sink.accepted[0].content
    row = deliveries(context)["anna@client.example"]
    assert (row.status, row.opens_on, row.opens_rule) == ("accepted", False, "rewriting_failed")


def test_an_address_beyond_ascii_needs_a_server_that_takes_it(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(utf8=False) as sink:
        people.account(alice, sink)
        people.send(alice, "анна@client.example", "boris@client.example")
        send_all(context)
        rows = deliveries(context)
        assert rows["анна@client.example"].status == "rejected"
        assert "SMTPUTF8" in rows["анна@client.example"].reply
        assert rows["boris@client.example"].status == "rejected"  # its copy names анна@client.example, too
        assert "анна@client.example" in rows["boris@client.example"].reply


def test_a_message_larger_than_the_server_takes_is_refused_for_good(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(max_size=2000) as sink:
        people.account(alice, sink)
        message = people.send(alice, "anna@client.example", html="<p>" + "words " * 1000)
        send_all(context)
    assert deliveries(context)["anna@client.example"].status == "rejected"
    assert message_of(context, message).state == "failed"


def test_tracking_switched_off_while_waiting_is_the_rule_that_decided(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    people.send(alice, "anna@client.example")
    with context.database.session_scope() as session:
        set_policy(session, Pack.OFF, "")
    send_all(context)
    assert deliveries(context)["anna@client.example"].opens_rule == "policy_off"
    assert context.settings.tracking_url.encode() not in smtp_sink.accepted[0].content


def footer_of(session: Session, context: AppContext, delivery: Delivery, html: str) -> Footer | None:
    return footer_for(session, context, delivery, html, now().date())


def test_d12_the_server_gets_what_was_composed_and_sent_what_was_stored(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    message = people.send(alice, "anna@client.example", "luc@client.example")
    with context.database.reading() as session:
        clean = session.get_one(MessageBody, message.id).raw or b""
        links = session.exec(select(TrackedLink)).all()
        composed = {
            d.address: make_copy(context, clean, d, links, footer=partial(footer_of, session, context, d)).raw
            for d in deliveries(context).values()
        }
    send_all(context)
    assert {a.recipients[0]: a.content for a in smtp_sink.accepted} == composed
    assert composed["luc@client.example"] == clean != composed["anna@client.example"]
    with context.database.reading() as session:
        assert session.get_one(MessageBody, message.id).raw == clean


def test_d19_links_that_cannot_be_found_out_keep_no_message_from_being_sent(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    without_keys = replace(context, tokens=None)  # type: ignore[arg-type]
    draft = Draft(
        to=(Address("anna@client.example"),), html='<a href="https://x.example/c/token-token-token-token">x</a>'
    )
    with context.database.session_scope() as session:
        enqueue_composed(session, without_keys, session.get_one(User, alice.id), draft)
    send_all(context)
    assert b"https://x.example/c/token-token-token-token" in smtp_sink.accepted[0].content
    row = deliveries(context)["anna@client.example"]
    assert (row.status, row.opens_rule, row.clicks_rule) == ("accepted", "rewriting_failed", "rewriting_failed")


def test_consent_withdrawn_while_another_copy_of_the_turn_is_handed_over_is_asked_for_again(
    context: AppContext, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimed_copies, "FRESH_SECONDS", 0)
    alice, addresses = people.user(), ["anna@client.example", "boris@client.example"]
    with smtp_sink(delay={"MAIL": 60}) as sink:
        people.account(alice, sink)
        for address in addresses:
            people.grant(address)
            people.send(alice, address)
        turns: list[int] = []
        turn = threading.Thread(target=lambda: turns.append(send_due(context)))
        turn.start()
        wait_until(lambda: len(held(context)) == 2)
        people.consent("boris@client.example", ConsentState.WITHDRAWN)
        sink.rules.delay.clear()
        turn.join()
    tracked = {a.recipients[0]: context.settings.tracking_url.encode() in a.content for a in sink.accepted}
    assert tracked == {"anna@client.example": True, "boris@client.example": False}
    assert turns == [2]


COPIES = 20
URL = "https://shop.example/offer?a=1"


def test_a_copy_alone_costs_few_statements_and_one_transaction(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    for _ in range(COPIES):
        people.send(alice, "anna@client.example")
    with counted(context) as counts:
        assert send_due(context) == COPIES
    assert counts["statements"] / COPIES < (6 if context.database.is_sqlite else 8)
    assert counts["writing"] <= COPIES + 3


def test_outcomes_that_are_ready_together_share_their_statements(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    for number in range(COPIES):
        people.grant(f"r{number}@client.example")
        people.send(alice, f"r{number}@client.example", "anna@client.example")
    with context.database.reading() as session:
        account = session.exec(select(Account)).one()
    with ClaimedCopies(context, account) as claimed:
        assert claimed.claim(COPIES)
        accepted = Outcome(DeliveryStatus.ACCEPTED)
        group = [HandedOver(context, copy.lease, accepted, Copy(b"", None, False, 1, 2)) for copy in claimed.waiting]
        with counted(context) as counts:
            _write_outcomes(group)
        assert counts["statements"] <= 9
        assert counts["writing"] == 1
        claimed.leases.clear()
    assert Counter(delivery.status for delivery in deliveries_of(context)) == {"accepted": COPIES, "queued": COPIES}
    assert held(context) == set()


def test_the_files_of_a_message_go_with_its_last_copy_and_nobody_elses(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    waits = people.send(alice, "later@client.example", undo_seconds=3600)
    leaves = [people.send(alice, "anna@client.example") for _ in range(3)]
    with context.database.session_scope() as session:
        for message in (waits, *leaves[1:]):
            of_message = message.id or 0
            session.add(Attachment(message_id=of_message, filename="a", content_type="a/b", size=1, content=b"a"))
    assert send_due(context) == 3
    with context.database.reading() as session:
        assert session.exec(select(Attachment.message_id)).all() == [waits.id]


def test_the_copies_of_a_message_share_its_scan_and_no_token(
    context: AppContext, people: People, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[bytes] = []

    def counting(raw: bytes) -> ScannedMessage | Untouched:
        scans.append(raw)
        return scan_message(raw)

    monkeypatch.setattr(claimed_copies, "scan_message", counting)
    alice, addresses = people.user(), [f"r{number}@client.example" for number in range(3)]
    people.account(alice, smtp_sink)
    for address in addresses:
        people.grant(address)
    people.send(alice, *addresses, html=f'<p><a href="{URL}">offer</a></p>')
    people.send(alice, addresses[0], html=f'<p><a href="{URL}">another</a></p>')
    assert send_due(context) == 4
    assert len(scans) == 2
    tokens = [re.findall(rb"/c/([\w-]{40,})", quopri.decodestring(each.content)) for each in smtp_sink.accepted]
    read = [{context.tokens.read_click(token.decode()) for token in each} for each in tokens]
    names = {delivery.public_id for delivery in deliveries_of(context)}
    assert {claims.delivery for each in read for claims in each if claims} == names
    assert {claims.url for each in read for claims in each if claims} == {URL}


def deliveries_of(context: AppContext) -> Sequence[Delivery]:
    with context.database.reading() as session:
        return session.exec(select(Delivery)).all()
