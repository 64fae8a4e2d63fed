"""The consent ledger: one whole chain per person, whoever writes at once and whatever is erased."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select, update

from tests.fixtures.contexts import People
from tests.test_recipients import ANNA, at_once, make
from tracker.consent.audit import broken_chains, lapse, retire_notice
from tracker.consent.ledger import broken_at, consent_of, erase_proof, ledger, record_consent
from tracker.consent.rules import MEASURED, ConsentError, ConsentState, Proof, Purpose
from tracker.models import ConsentEntry, NoticeText, Recipient
from tracker.runtime.context import AppContext


def record(
    session: Session, recipient: Recipient, purpose: Purpose, state: ConsentState, **more: object
) -> ConsentEntry:
    proof = Proof(note=str(more.pop("note", "ticked the box")))
    details = {"actor": "subject", "channel": "web_form", "proof": proof} | more
    return record_consent(session, recipient, purpose, state, **details)  # type: ignore[arg-type]


def chain_of(context: AppContext, recipient: Recipient) -> Sequence[ConsentEntry]:
    with context.database.reading() as session:
        return ledger(session, recipient)


def broken(context: AppContext, recipient: Recipient) -> int | None:
    with context.database.reading() as session:
        return broken_at(session, recipient)


def test_nothing_recorded_is_unknown(context: AppContext) -> None:
    anna, luc = make(context), make(context, "luc@client.example")
    assert anna.id is not None
    assert luc.id is not None
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED)
        record(session, anna, Purpose.OPENS, ConsentState.WITHDRAWN)
        record(session, anna, Purpose.CLICKS, ConsentState.GRANTED)
    with context.database.reading() as session:
        states = consent_of(session, [anna.id, luc.id])
        assert states[anna.id] == {
            Purpose.OPENS: ConsentState.WITHDRAWN,
            Purpose.CLICKS: ConsentState.GRANTED,
            Purpose.DOCUMENTS: ConsentState.UNKNOWN,
        }
        assert states[luc.id] == dict.fromkeys(Purpose, ConsentState.UNKNOWN)
        assert consent_of(session, []) == {}


def test_the_ledger_chains(context: AppContext) -> None:
    anna = make(context)
    tokyo = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with context.database.session_scope() as session:
        record(
            session,
            anna,
            Purpose.OPENS,
            ConsentState.GRANTED,
            at=tokyo,
            proof=Proof(note="  „да“ — ß \n", notice="en-1"),
        )
        record(session, anna, Purpose.CLICKS, ConsentState.ASKED, actor="user:1", channel="phone_note")
        record(session, anna, Purpose.OPENS, ConsentState.WITHDRAWN, note="", channel="list_unsubscribe")
    chain = chain_of(context, anna)
    assert [(e.number, e.purpose, e.state) for e in chain] == [
        (1, "opens", "granted"),
        (2, "clicks", "asked"),
        (3, "opens", "withdrawn"),
    ]
    assert (chain[0].at, chain[0].note, chain[0].grade) == (tokyo.astimezone(UTC), "„да“ — ß", "B")
    assert [e.previous_digest for e in chain] == ["0" * 64, chain[0].digest, chain[1].digest]
    assert broken(context, anna) is None
    assert broken(context, make(context, "luc@client.example")) is None


def _filled(context: AppContext) -> Recipient:
    anna = make(context)
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.REFUSED)
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED)
        record(session, anna, Purpose.CLICKS, ConsentState.REFUSED)
    assert broken(context, anna) is None
    return anna


TAMPERING: dict[str, object] = {
    "public_id": "x" * 11,
    "purpose": "clicks",
    "state": "granted",
    "at": datetime(2020, 1, 1, tzinfo=UTC),
    "recorded_at": datetime(2020, 1, 1, tzinfo=UTC),
    "actor": "user:7",
    "channel": "contract",
    "grade": "A",
    "notice": "en-2",
    "notice_version": "2",
    "notice_language": "ru",
    "notice_digest": "f" * 64,
    "double_opt_in": True,
    "confirmed_at": datetime(2020, 1, 1, tzinfo=UTC),
    "jurisdiction": "US",
    "pack": "notice",
    "pack_version": "another",
    "valid_until": datetime(2090, 1, 1, tzinfo=UTC),
    "note": "ticked the box ",
    "question": "May we?",
    "control": "a ticked box",
    "reference": "contract 8",
    "source_url": "https://other.example/",
    "request_message_id": "<other@seller.example>",
    "attachment_digest": "f" * 64,
    "evidence": {"form": 7},
    "salt": "0" * 32,
    "proof_digest": "f" * 64,
    "previous_digest": "f" * 64,
    "digest": "f" * 64,
}


def test_tampering_is_found(context: AppContext) -> None:
    anna = _filled(context)
    first = (col(ConsentEntry.recipient_id) == anna.id) & (col(ConsentEntry.number) == 1)
    for column, value in TAMPERING.items():
        with context.database.session_scope() as session:
            assert session.exec(update(ConsentEntry).where(first).values({column: value})).rowcount == 1
            assert broken_at(session, anna) == 1, column
            session.rollback()
    kept_out = {"id", "recipient_id", "number", "erased_at"}
    assert set(ConsentEntry.model_fields) == set(TAMPERING) | kept_out, (
        "say of every column whether the digest covers it"
    )


def test_a_missing_entry_is_found(context: AppContext) -> None:
    anna = _filled(context)
    with context.database.session_scope() as session:
        session.execute(text("DELETE FROM consent_entry WHERE number = 2"))
    assert broken(context, anna) == 2
    with context.database.session_scope() as session:
        session.execute(text("UPDATE consent_entry SET number = 2 WHERE number = 3"))
    assert broken(context, anna) == 2


def test_one_persons_chain_does_not_fit_another(context: AppContext) -> None:
    anna, luc = _filled(context), make(context, "luc@client.example")
    with context.database.session_scope() as session:
        session.exec(update(ConsentEntry).values(recipient_id=luc.id))
    assert broken(context, luc) == 1
    assert chain_of(context, anna) == []


def test_what_may_not_be_recorded_leaves_no_trace(context: AppContext) -> None:
    anna = make(context)
    wrong: list[tuple[ConsentState, dict[str, object], str]] = [
        (ConsentState.WITHDRAWN, {}, "state"),
        (ConsentState.GRANTED, {"channel": "phone_note", "note": " "}, "note"),
        (ConsentState.GRANTED, {"channel": "hearsay"}, "channel"),
        (ConsentState.GRANTED, {"at": datetime.now(UTC) + timedelta(days=1)}, "at"),
    ]
    with context.database.session_scope() as session:
        for state, more, field in wrong:
            with pytest.raises(ConsentError) as refused:
                record(session, anna, Purpose.OPENS, state, **more)
            assert refused.value.field == field
    assert chain_of(context, anna) == []


def test_a_consent_found_late_does_not_undo_a_withdrawal(context: AppContext, people: People) -> None:
    anna = make(context)
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED, at=datetime(2026, 1, 1, tzinfo=UTC))
        record(session, anna, Purpose.OPENS, ConsentState.WITHDRAWN, at=datetime(2026, 2, 1, tzinfo=UTC))
        with pytest.raises(ConsentError, match="an older word cannot undo a newer one"):
            record(session, anna, Purpose.OPENS, ConsentState.GRANTED, at=datetime(2026, 1, 15, tzinfo=UTC))
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED, at=datetime(2026, 3, 1, tzinfo=UTC))
    people.consent(ANNA, ConsentState.WITHDRAWN, Purpose.OPENS)
    assert [e.state for e in chain_of(context, anna)] == ["granted", "withdrawn", "granted", "withdrawn"]


def test_the_purposes_move_apart(context: AppContext) -> None:
    anna = make(context)
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.BLOCKED)
        record(session, anna, Purpose.CLICKS, ConsentState.GRANTED)
        with pytest.raises(ConsentError):
            record(session, anna, Purpose.OPENS, ConsentState.GRANTED)


def test_events_at_once_leave_a_whole_chain(context: AppContext) -> None:
    anna = make(context)

    def grant(number: int) -> None:
        with context.database.session_scope() as session:
            person = session.get_one(Recipient, anna.id)
            purpose = MEASURED[number % 2]
            record(session, person, purpose, ConsentState.GRANTED, note=f"form {number}")

    assert at_once(8, grant) == []
    chain = chain_of(context, anna)
    assert [e.number for e in chain] == list(range(1, 9))
    assert broken(context, anna) is None
    assert {e.note for e in chain} == {f"form {number}" for number in range(8)}


def test_two_answers_at_once_are_judged_one_after_the_other(context: AppContext) -> None:
    """Of two withdrawals the second finds it withdrawn already, whichever it is."""
    anna = make(context)
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED)

    def withdraw(_number: int) -> None:
        with context.database.session_scope() as session:
            record(session, session.get_one(Recipient, anna.id), Purpose.OPENS, ConsentState.WITHDRAWN)

    raised = at_once(3, withdraw)
    assert [type(error) for error in raised] == [ConsentError, ConsentError]
    assert [e.state for e in chain_of(context, anna)] == ["granted", "withdrawn"]


def test_the_end_of_a_chain_cannot_be_cut_off(context: AppContext) -> None:
    """The withdrawal is what somebody might like to see gone."""
    anna = make(context)
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED)
        record(session, anna, Purpose.OPENS, ConsentState.WITHDRAWN)
    with context.database.session_scope() as session:
        session.execute(text("DELETE FROM consent_entry WHERE number = 2"))
    assert broken(context, anna) == 2
    with context.database.session_scope() as session:
        session.execute(text("DELETE FROM consent_entry"))
    assert broken(context, anna) == 1
    with context.database.reading() as session:
        assert list(broken_chains(session)) == [(anna.public_id, 1)]


def test_the_whole_evidence_is_kept(context: AppContext) -> None:
    anna = make(context)
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    evidence = Proof(
        note="two ticks",
        notice="footer",
        notice_version="3",
        notice_language="en",
        shown="We would like to see whether you read this.",
        question="May we?",
        control="two unticked boxes",
        reference="form 12",
        source_url="https://user:pass@shop.example/contact?mail=anna#x",
        request_message_id="<1@seller.example>",
        double_opt_in=True,
        confirmed_at=moment + timedelta(hours=1),
        attachment_digest="AB" * 32,
        more={"boxes": [True, True]},
    )
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED, at=moment, proof=evidence)
        record(session, anna, Purpose.CLICKS, ConsentState.GRANTED, at=moment, proof=evidence)
    entry = chain_of(context, anna)[0]
    assert (entry.grade, entry.source_url, entry.attachment_digest) == ("A", "https://shop.example/contact", "ab" * 32)
    assert (entry.jurisdiction, entry.pack, entry.pack_version) == (None, "strict", "EEA-2024-10-07")
    assert (entry.notice, entry.notice_version, entry.notice_language) == ("footer", "3", "en")
    assert entry.valid_until == datetime(2028, 3, 1, 9, 30, tzinfo=UTC)
    with context.database.reading() as session:
        shown = session.exec(select(NoticeText)).one()
    assert (shown.digest, shown.text) == (entry.notice_digest, evidence.shown)
    assert broken(context, anna) is None


@pytest.mark.parametrize(
    ("proof", "field"),
    [
        (Proof(note="x", source_url="shop.example"), "source_url"),
        (Proof(note="x", source_url="javascript:alert(1)"), "source_url"),
        (Proof(note="x", attachment_digest="abc"), "attachment_digest"),
        (Proof(note="x", shown="one", notice_digest="0" * 64), "notice_digest"),
        (Proof(note="x", double_opt_in=True), "confirmed_at"),
        (Proof(note="x", double_opt_in=True, confirmed_at=datetime(2199, 1, 1, tzinfo=UTC)), "confirmed_at"),
        (Proof(note="x" * 4001), "note"),
        (Proof(note="x\0"), "note"),
    ],
)
def test_evidence_that_cannot_be(context: AppContext, proof: Proof, field: str) -> None:
    anna = make(context)
    with context.database.session_scope() as session, pytest.raises(ConsentError) as refused:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED, proof=proof)
    assert refused.value.field == field
    assert chain_of(context, anna) == []


def test_after_erasure_the_words_are_gone_and_the_chain_still_fits(context: AppContext) -> None:
    anna = _filled(context)
    before = [entry.digest for entry in chain_of(context, anna)]
    with context.database.session_scope() as session:
        assert erase_proof(session, anna) == 3
        session.exec(update(Recipient).values(address="erased", lookup="erased", name=""))
    chain = chain_of(context, anna)
    assert [entry.digest for entry in chain] == before
    assert {(entry.note, entry.salt, entry.evidence) for entry in chain} == {("", None, None)}
    assert broken(context, anna) is None
    with context.database.session_scope() as session:
        session.exec(update(ConsentEntry).where(col(ConsentEntry.number) == 2).values(note="agreed to everything"))
    assert broken(context, anna) == 2, "nothing can be put in place of what was erased"


def _long_ago(context: AppContext, recipient: Recipient) -> None:
    with context.database.session_scope() as session:
        record(session, recipient, Purpose.OPENS, ConsentState.GRANTED, at=datetime(2020, 2, 29, tzinfo=UTC))
        record(session, recipient, Purpose.CLICKS, ConsentState.GRANTED)


def test_a_consent_lapses_by_itself_and_it_is_written_down(context: AppContext) -> None:
    anna = make(context)
    _long_ago(context, anna)
    assert anna.id is not None
    with context.database.reading() as session:
        assert consent_of(session, [anna.id])[anna.id][Purpose.OPENS] == ConsentState.LAPSED, "from the moment on"
    assert (lapse(context), lapse(context)) == (1, 0)
    last = chain_of(context, anna)[-1]
    assert (last.purpose, last.state, last.actor, last.at) == (
        "opens",
        "lapsed",
        "system",
        datetime(2022, 2, 28, tzinfo=UTC),
    )
    assert broken(context, anna) is None


def test_what_was_renewed_does_not_lapse(context: AppContext) -> None:
    anna = make(context)
    _long_ago(context, anna)
    with context.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, ConsentState.GRANTED)
    assert lapse(context) == 0
    assert [entry.state for entry in chain_of(context, anna)] == ["granted"] * 3


def test_a_notice_that_was_replaced(context: AppContext) -> None:
    anna, luc = make(context), make(context, "luc@client.example")
    with context.database.session_scope() as session:
        for person, version in ((anna, "1"), (luc, "2")):
            for purpose in MEASURED:
                proof = Proof(note="two ticks", notice="order-form", notice_version=version)
                record(session, person, purpose, ConsentState.GRANTED, proof=proof)
        record(session, anna, Purpose.CLICKS, ConsentState.WITHDRAWN)
    assert (retire_notice(context, "order-form", "2"), retire_notice(context, "order-form", "2")) == (1, 0)
    assert [entry.state for entry in chain_of(context, anna)] == ["granted", "granted", "withdrawn", "lapsed"]
    assert [entry.state for entry in chain_of(context, luc)] == ["granted", "granted"]
    assert (broken(context, anna), broken(context, luc)) == (None, None)


def test_two_workers_write_a_lapse_down_once(context: AppContext) -> None:
    anna = make(context)
    _long_ago(context, anna)
    assert at_once(4, lambda _number: print(lapse(context))) == []
    assert [entry.state for entry in chain_of(context, anna)].count("lapsed") == 1
    assert broken(context, anna) is None
