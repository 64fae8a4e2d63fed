"""What several lines submit at one moment is one transaction; what is wrong with one submission costs no other."""

from concurrent.futures import Future

import pytest
from sqlmodel import Session, col, func, select, update

from tests.fixtures.contexts import People
from tests.fixtures.counts import counted
from tests.outbound.mail_programs import token_of
from tests.outbound.submitted_mail import plain
from tests.servers import SmtpSink, wait_until
from tracker.models import ApiToken, Delivery, Message, SearchKind, User
from tracker.models.search_index import index_new
from tracker.models.search_query import finds
from tracker.outbound.gateway.access import GatewayLimits, Refused, Submitter, check_sender, sign_in, submit
from tracker.runtime.context import AppContext

LINES = 10
LIMITS = GatewayLimits()


def signed_in(context: AppContext, people: People, sink: SmtpSink, name: str = "Alice") -> Submitter:
    user = people.user(name)
    people.account(user, sink)
    submitter = sign_in(context, user.email, token_of(context, user), "127.0.0.1", LIMITS)
    assert submitter is not None
    return submitter


def submitted(context: AppContext, submitter: Submitter, number: int, name: str = "alice") -> Future[str]:
    raw = plain(f"Message-ID: <{number}@laptop.local>").replace(b"alice@seller", f"{name}@seller".encode())
    return submit(context, submitter, f"{name}@seller.example", ["anna@client.example"], raw)


def count(context: AppContext, model: type[Message | Delivery]) -> int:
    with context.database.reading() as session:
        return session.exec(select(func.count()).select_from(model)).one()


def hold(session: Session) -> None:
    """Whoever accepts a message waits until this transaction ends."""
    session.exec(select(User).with_for_update()).all()
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql("LOCK TABLE submission")


def test_a_message_alone_costs_one_transaction(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = signed_in(context, people, smtp_sink)
    submitted(context, alice, 0).result(20)
    with counted(context) as counts:
        check_sender(context, alice, "alice@seller.example")
        submitted(context, alice, 1).result(20)
    assert counts["writing"] == 1
    # one to plan on SQLite, where others wait for who writes; of three what is remembered was asked, should anything have changed
    assert counts["reading"] <= (1 if context.database.is_sqlite else 0) + 3
    assert counts["statements"] <= 11 + 4  # of four what is remembered was asked, should anything have changed


def test_what_lines_submit_while_one_commits_shares_the_next_commit(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = signed_in(context, people, smtp_sink)
    submitted(context, alice, LINES).result(20)
    with context.database.session_scope() as session:
        hold(session)
        with counted(context) as counts:
            futures = [submitted(context, alice, number) for number in range(LINES)]
            session.commit()
            ids = {future.result(20) for future in futures}
    assert len(ids) == LINES
    assert count(context, Message) == count(context, Delivery) == LINES + 1
    assert counts["writing"] <= 3
    assert counts["statements"] <= 3 * 10


def test_who_sits_at_the_gateway_is_asked_once_until_something_changes(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = signed_in(context, people, smtp_sink)

    def asks_only_for_the_hour() -> bool:
        with counted(context) as counts:
            check_sender(context, alice, "alice@seller.example")
        return counts["statements"] == 1

    wait_until(asks_only_for_the_hour)  # until other processes are heard anything may have changed
    with context.database.session_scope() as session:
        session.exec(update(ApiToken).values(revoked_at=func.now()))
    with pytest.raises(Refused, match="not valid any more"):
        check_sender(context, alice, "alice@seller.example")


def test_words_of_what_was_submitted_are_found_once_the_worker_has_looked(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    def matches() -> int:
        with context.database.reading() as session:
            conditions = finds(session, SearchKind.MESSAGE, Message.id, "anna", alice.user_id, Message.user_id)
            return len(session.exec(select(Message.id).where(*conditions)).all())

    alice = signed_in(context, people, smtp_sink)
    for number in range(3):
        submitted(context, alice, number).result(20)
    assert matches() == 0
    assert index_new(context.database) > 0
    assert index_new(context.database) == 0
    assert matches() == 3


def test_twins_of_one_group_are_one_message(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = signed_in(context, people, smtp_sink)
    with context.database.session_scope() as session:
        hold(session)
        futures = [submitted(context, alice, number) for number in (0, 1, 1, 2, 1)]
    ids = [future.result(20) for future in futures]
    assert ids[1] == ids[2] == ids[4]
    assert len(set(ids)) == count(context, Message) == 3


def test_a_token_that_was_revoked_meanwhile_refuses_its_own_message_alone(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice, bob = signed_in(context, people, smtp_sink), signed_in(context, people, smtp_sink, "Bob")
    with context.database.session_scope() as session:
        hold(session)
        futures = [submitted(context, alice, 0), submitted(context, alice, 1), submitted(context, bob, 2, "bob")]
        session.exec(update(ApiToken).where(col(ApiToken.id) == bob.token_id).values(revoked_at=func.now()))
    assert len({future.result(20) for future in futures[:2]}) == 2
    with pytest.raises(Refused, match="not valid any more"):
        futures[2].result(20)
    assert count(context, Message) == 2
