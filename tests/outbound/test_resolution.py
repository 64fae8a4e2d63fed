"""The most restrictive wins, brought to real messages: operator, workspace, role, account, person; now and when a hit comes in."""

import dataclasses

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.consent.ledger import record_consent
from tracker.consent.preferences import change_rule, operator_ceiling, set_policy
from tracker.consent.rules import ConsentState, Pack, Proof, Purpose
from tracker.models import Account, Delivery, Message, PolicyChange, Recipient, User
from tracker.outbound.draft import SendError
from tracker.outbound.policy import recheck_consent
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError

ANNA = "anna@client.example"


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    user = people.user()
    people.account(user, smtp_sink)
    people.grant(ANNA)
    return user


def under(people: People, *words: str) -> People:
    """The same context with a ceiling."""
    settings = dataclasses.replace(people.context.settings, tracking_ceiling=frozenset(words))
    return People(dataclasses.replace(people.context, settings=settings))


def rules_of(context: AppContext, message: Message) -> tuple[str, str]:
    with context.database.reading() as session:
        copy = session.exec(select(Delivery).where(Delivery.message_id == message.id)).one()
        return copy.opens_rule, copy.clicks_rule


def test_what_is_above_the_ceiling_is_refused_and_not_quietly_lowered(people: People, alice: User) -> None:
    low = under(people, "strict", "clicks")
    with pytest.raises(SendError, match="does not allow tracking opens") as refused:
        low.send(alice, ANNA, track_opens=True)
    assert (refused.value.field, refused.value.code) == ("track.opens", "above_ceiling")
    assert rules_of(people.context, low.send(alice, ANNA, track_opens=False, track_links=True)) == (
        "ceiling",
        "granted",
    )
    assert rules_of(people.context, low.send(alice, ANNA)) == ("ceiling", "granted"), "a default is no wish"
    with (
        people.context.database.session_scope() as session,
        pytest.raises(ActionError, match="INKLING_TRACKING_CEILING"),
    ):
        set_policy(session, Pack.NOTICE, "our customers know us", ceiling=operator_ceiling(low.context))


def test_a_ceiling_that_came_later_lowers_the_policy(people: People, alice: User) -> None:
    with people.context.database.session_scope() as session:
        set_policy(session, Pack.NOTICE, "our customers know us")
    assert rules_of(people.context, people.send(alice, "bob@client.us")) == ("notice", "notice")
    assert rules_of(people.context, under(people, "strict").send(alice, "bob@client.us")) == ("unknown", "unknown")
    assert rules_of(people.context, under(people, "off").send(alice, ANNA)) == ("ceiling", "ceiling")


def test_role_and_account_say_what_may_be_measured(people: People, alice: User) -> None:
    with people.context.database.session_scope() as session:
        account = session.exec(select(Account)).one()
        account.measure_clicks = False
    assert rules_of(people.context, people.send(alice, ANNA)) == ("granted", "account")
    with people.context.database.session_scope() as session:
        change_rule(session, "role_rules", {"member": ["clicks"]})
    assert rules_of(people.context, people.send(alice, ANNA)) == ("role", "account")


def test_a_jurisdiction_by_the_country_code_of_the_domain(people: People, alice: User) -> None:
    with people.context.database.session_scope() as session:
        set_policy(session, Pack.NOTICE, "our customers know us")
    message = people.send(alice, "bob@client.us", "luc@client.fr", "eve@client.com")
    with people.context.database.reading() as session:
        copies = session.exec(select(Delivery).where(Delivery.message_id == message.id)).all()
    assert {copy.address.partition(".")[2]: copy.opens_rule for copy in copies} == {
        "us": "notice",
        "fr": "unknown",
        "com": "unknown",
    }
    assert {copy.pack_version for copy in copies} == {"", "FR-2026-042", "EEA-2024-10-07"}


@pytest.mark.parametrize("what", ["role", "account", "ceiling", "weak_evidence"])
def test_what_was_allowed_is_looked_at_again_before_it_goes_out(people: People, alice: User, what: str) -> None:
    _agreed_on_the_telephone(people.context)
    message = people.send(alice, "luc@client.fr" if what == "weak_evidence" else ANNA)
    assert rules_of(people.context, message) == ("granted", "granted")
    context = under(people, "opens").context if what == "ceiling" else people.context
    with context.database.session_scope() as session:
        if what == "role":
            change_rule(session, "role_rules", {"member": ["opens"]})
        elif what == "account":
            session.exec(select(Account)).one().measure_clicks = False
        elif what == "weak_evidence":
            change_rule(session, "accepted_grades", "C")
    with context.database.session_scope() as session:
        recheck_consent(session, context, session.exec(select(Delivery).where(Delivery.message_id == message.id)).all())
    assert rules_of(people.context, message)[1] == what


def _agreed_on_the_telephone(context: AppContext) -> None:
    """Luc agreed on the telephone, which counts for now."""
    with context.database.session_scope() as session:
        change_rule(session, "accepted_grades", "D")
        luc = Recipient(address="luc@client.fr", lookup="luc@client.fr")
        session.add(luc)
        session.flush()
        for purpose in (Purpose.OPENS, Purpose.CLICKS):
            record_consent(
                session,
                luc,
                purpose,
                ConsentState.GRANTED,
                actor="user:1",
                channel="phone_note",
                proof=Proof(note="“yes”"),
            )


def test_every_change_of_the_rules_is_in_the_history(context: AppContext) -> None:
    with context.database.session_scope() as session:
        set_policy(session, Pack.NOTICE, "our customers know us")
        set_policy(session, Pack.NOTICE, "our customers know us")
        set_policy(session, Pack.STRICT, "")
        change_rule(session, "accepted_grades", "D")
        change_rule(session, "accepted_grades", "D")
    with context.database.reading() as session:
        rows = session.exec(select(PolicyChange).order_by(PolicyChange.id)).all()  # type: ignore[arg-type]
    assert [(row.name, row.before, row.after, row.reason) for row in rows] == [
        ("policy", "strict", "notice", "our customers know us"),
        ("policy", "notice", "strict", ""),
        ("accepted_grades", "C", "D", ""),
    ]
