"""Recipients and their ledger: one row per person, one whole chain, whoever writes at once."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select, update

from tests.houses import People
from tracker.addresses import AddressError
from tracker.consent import MoveError, Purpose, State
from tracker.house import House
from tracker.models import ConsentEntry, Recipient
from tracker.recipients import broken_link, consent_of, find, find_or_make, ledger, record_consent

ANNA = "anna@client.example"


def make(house: House, address: str = ANNA, name: str = "") -> Recipient:
    with house.database.session_scope() as session:
        return find_or_make(session, address, name)


def record(session: Session, recipient: Recipient, purpose: Purpose, state: State, **more: object) -> ConsentEntry:
    given = {"actor": "subject", "channel": "web_form", "note": "ticked the box"} | more
    return record_consent(session, recipient, purpose, state, **given)  # type: ignore[arg-type]


def chain_of(house: House, recipient: Recipient) -> Sequence[ConsentEntry]:
    with house.database.reading() as session:
        return ledger(session, recipient)


def at_once(count: int, work: Callable[[int], None]) -> list[Exception]:
    """Runs `work(0)`, `work(1)`, … in threads that start together; what they raised."""
    start = threading.Barrier(count)
    raised: list[Exception] = []

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_one_person_has_one_row(house: House) -> None:
    made = make(house, "Anna@Client.EXAMPLE")
    again = make(house, " anna@client.example ", name="Anna Weber")
    assert (again.id, again.address, again.lookup) == (made.id, "Anna@client.example", ANNA)
    assert make(house, ANNA, name="Somebody else").name == "Anna Weber"
    with house.database.reading() as session:
        assert [r.id for r in session.exec(select(Recipient))] == [made.id]
        found = find(session, "ANNA@client.example")
        assert found is not None
        assert found.id == made.id
        assert find(session, "luc@client.example") is None


def test_an_address_that_is_none_makes_nobody(house: House) -> None:
    for address in ("anna", "anna@", "", "anna@client.example, luc@client.example"):
        with pytest.raises(AddressError):
            make(house, address)
    with house.database.reading() as session:
        assert session.exec(select(Recipient)).all() == []


def test_the_longest_address_and_name_find_room(house: House) -> None:
    longest = f"{'l' * 64}@{'.'.join(['d' * 60] * 3)}.abcdef"
    made = make(house, longest, name="n" * 300)
    assert (made.lookup, made.name) == (longest, "n" * 200)
    with pytest.raises(AddressError):  # 64 octets, 96 in lower case: too long to be looked up
        make(house, f"{'İ' * 32}@client.example")


def test_the_same_recipient_made_twice_at_once(house: House) -> None:
    made: list[int | None] = []
    assert at_once(6, lambda number: made.append(make(house, ANNA if number % 2 else ANNA.upper()).id)) == []
    assert len(set(made)) == 1
    with house.database.reading() as session:
        assert len(session.exec(select(Recipient)).all()) == 1


def test_who_comes_second_goes_on_in_the_same_transaction(house: House) -> None:
    """Meeting somebody else's insert must not throw away what the transaction did before."""
    inserted, finish = threading.Event(), threading.Event()

    def first() -> None:
        with house.database.session_scope() as session:
            find_or_make(session, ANNA)
            inserted.set()
            finish.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    inserted.wait(10)
    threading.Timer(0.2, finish.set).start()
    with house.database.session_scope() as session:
        before = find_or_make(session, "luc@client.example")
        anna = find_or_make(session, ANNA)
        assert {before.lookup, anna.lookup} == {"luc@client.example", ANNA}
    thread.join()
    with house.database.reading() as session:
        assert {r.lookup for r in session.exec(select(Recipient))} == {"luc@client.example", ANNA}


def test_nothing_recorded_is_unknown(house: House) -> None:
    anna, luc = make(house), make(house, "luc@client.example")
    assert anna.id is not None
    assert luc.id is not None
    with house.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, State.GRANTED)
        record(session, anna, Purpose.OPENS, State.WITHDRAWN)
        record(session, anna, Purpose.CLICKS, State.GRANTED)
    with house.database.reading() as session:
        states = consent_of(session, [anna.id, luc.id])
        assert states[anna.id] == {Purpose.OPENS: State.WITHDRAWN, Purpose.CLICKS: State.GRANTED}
        assert states[luc.id] == {Purpose.OPENS: State.UNKNOWN, Purpose.CLICKS: State.UNKNOWN}
        assert consent_of(session, []) == {}


def test_the_ledger_chains(house: House) -> None:
    anna = make(house)
    tokyo = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with house.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, State.GRANTED, at=tokyo, note="  „да“ — ß \n", notice="en-1")
        record(session, anna, Purpose.CLICKS, State.ASKED, actor="user:1", channel="phone_note")
        record(session, anna, Purpose.OPENS, State.WITHDRAWN, note="", channel="list_unsubscribe")
    chain = chain_of(house, anna)
    assert [(e.number, e.purpose, e.state) for e in chain] == [
        (1, "opens", "granted"),
        (2, "clicks", "asked"),
        (3, "opens", "withdrawn"),
    ]
    assert (chain[0].at, chain[0].note, chain[0].grade) == (tokyo.astimezone(UTC), "„да“ — ß", "B")
    assert [e.previous_digest for e in chain] == ["0" * 64, chain[0].digest, chain[1].digest]
    assert broken_link(chain) is None
    assert broken_link([]) is None


def _filled(house: House) -> Recipient:
    anna = make(house)
    with house.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, State.REFUSED)
        record(session, anna, Purpose.OPENS, State.GRANTED)
        record(session, anna, Purpose.CLICKS, State.REFUSED)
    assert broken_link(chain_of(house, anna)) is None
    return anna


TAMPERING: dict[str, object] = {
    "purpose": "clicks",
    "state": "granted",
    "at": datetime(2020, 1, 1, tzinfo=UTC),
    "recorded_at": datetime(2020, 1, 1, tzinfo=UTC),
    "actor": "user:7",
    "channel": "contract",
    "grade": "A",
    "note": "ticked the box ",
    "notice": "en-2",
    "evidence": {"form": 7},
    "previous_digest": "f" * 64,
    "digest": "f" * 64,
}


def test_tampering_is_found(house: House) -> None:
    anna = _filled(house)
    first = (col(ConsentEntry.recipient_id) == anna.id) & (col(ConsentEntry.number) == 1)
    for column, value in TAMPERING.items():
        with house.database.session_scope() as session:
            assert session.exec(update(ConsentEntry).where(first).values({column: value})).rowcount == 1
            assert broken_link(ledger(session, anna)) == 1, column
            session.rollback()
    kept_out = {"id", "public_id", "recipient_id", "number"}
    assert set(ConsentEntry.model_fields) == set(TAMPERING) | kept_out, (
        "say of every column whether the digest covers it"
    )


def test_a_missing_entry_is_found(house: House) -> None:
    anna = _filled(house)
    with house.database.session_scope() as session:
        session.execute(text("DELETE FROM consent_entry WHERE number = 2"))
    assert broken_link(chain_of(house, anna)) == 2
    with house.database.session_scope() as session:
        session.execute(text("UPDATE consent_entry SET number = 2 WHERE number = 3"))
    assert broken_link(chain_of(house, anna)) == 2


def test_one_persons_chain_does_not_fit_another(house: House) -> None:
    anna, luc = _filled(house), make(house, "luc@client.example")
    with house.database.session_scope() as session:
        session.exec(update(ConsentEntry).values(recipient_id=luc.id))
    assert broken_link(chain_of(house, luc)) == 1
    assert chain_of(house, anna) == []


def test_what_may_not_be_recorded_leaves_no_trace(house: House) -> None:
    anna = make(house)
    wrong: list[tuple[State, dict[str, object], str]] = [
        (State.WITHDRAWN, {}, "state"),
        (State.GRANTED, {"channel": "phone_note", "note": " "}, "note"),
        (State.GRANTED, {"channel": "hearsay"}, "channel"),
        (State.GRANTED, {"at": datetime.now(UTC) + timedelta(days=1)}, "at"),
    ]
    with house.database.session_scope() as session:
        for state, more, field in wrong:
            with pytest.raises(MoveError) as refused:
                record(session, anna, Purpose.OPENS, state, **more)
            assert refused.value.field == field
    assert chain_of(house, anna) == []


def test_a_consent_found_late_does_not_undo_a_withdrawal(house: House, people: People) -> None:
    anna = make(house)
    with house.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, State.GRANTED, at=datetime(2026, 1, 1, tzinfo=UTC))
        record(session, anna, Purpose.OPENS, State.WITHDRAWN, at=datetime(2026, 2, 1, tzinfo=UTC))
        with pytest.raises(MoveError, match="an older word cannot undo a newer one"):
            record(session, anna, Purpose.OPENS, State.GRANTED, at=datetime(2026, 1, 15, tzinfo=UTC))
        record(session, anna, Purpose.OPENS, State.GRANTED, at=datetime(2026, 3, 1, tzinfo=UTC))
    people.consent(ANNA, State.WITHDRAWN, Purpose.OPENS)
    assert [e.state for e in chain_of(house, anna)] == ["granted", "withdrawn", "granted", "withdrawn"]


def test_the_purposes_move_apart(house: House) -> None:
    anna = make(house)
    with house.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, State.BLOCKED)
        record(session, anna, Purpose.CLICKS, State.GRANTED)
        with pytest.raises(MoveError):
            record(session, anna, Purpose.OPENS, State.GRANTED)


def test_events_at_once_leave_a_whole_chain(house: House) -> None:
    anna = make(house)

    def grant(number: int) -> None:
        with house.database.session_scope() as session:
            person = session.get_one(Recipient, anna.id)
            purpose = list(Purpose)[number % 2]
            record(session, person, purpose, State.GRANTED, note=f"form {number}")

    assert at_once(8, grant) == []
    chain = chain_of(house, anna)
    assert [e.number for e in chain] == list(range(1, 9))
    assert broken_link(chain) is None
    assert {e.note for e in chain} == {f"form {number}" for number in range(8)}


def test_two_answers_at_once_are_judged_one_after_the_other(house: House) -> None:
    """Of two withdrawals the second finds it withdrawn already, whichever it is."""
    anna = make(house)
    with house.database.session_scope() as session:
        record(session, anna, Purpose.OPENS, State.GRANTED)

    def withdraw(_number: int) -> None:
        with house.database.session_scope() as session:
            record(session, session.get_one(Recipient, anna.id), Purpose.OPENS, State.WITHDRAWN)

    raised = at_once(3, withdraw)
    assert [type(error) for error in raised] == [MoveError, MoveError]
    assert [e.state for e in chain_of(house, anna)] == ["granted", "withdrawn"]
