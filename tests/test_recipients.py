"""Recipients: one row per person, whoever writes at once."""

import threading
from collections.abc import Callable

import pytest
from sqlmodel import select

from tracker.mail.addresses import AddressError
from tracker.models import Recipient
from tracker.recipients import find, find_or_make
from tracker.runtime.context import AppContext

ANNA = "anna@client.example"


def make(context: AppContext, address: str = ANNA, name: str = "") -> Recipient:
    with context.database.session_scope() as session:
        return find_or_make(session, address, name)


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


def test_one_person_has_one_row(context: AppContext) -> None:
    made = make(context, "Anna@Client.EXAMPLE")
    again = make(context, " anna@client.example ", name="Anna Weber")
    assert (again.id, again.address, again.lookup) == (made.id, "Anna@client.example", ANNA)
    assert make(context, ANNA, name="Somebody else").name == "Anna Weber"
    with context.database.reading() as session:
        assert [r.id for r in session.exec(select(Recipient))] == [made.id]
        recipient = find(session, "ANNA@client.example")
        assert recipient is not None
        assert recipient.id == made.id
        assert find(session, "luc@client.example") is None


def test_an_address_that_is_none_makes_nobody(context: AppContext) -> None:
    for address in ("anna", "anna@", "", "anna@client.example, luc@client.example"):
        with pytest.raises(AddressError):
            make(context, address)
    with context.database.reading() as session:
        assert session.exec(select(Recipient)).all() == []


def test_the_longest_address_and_name_find_room(context: AppContext) -> None:
    longest = f"{'l' * 64}@{'.'.join(['d' * 60] * 3)}.abcdef"
    made = make(context, longest, name="n" * 300)
    assert (made.lookup, made.name) == (longest, "n" * 200)
    with pytest.raises(AddressError):  # 64 octets, 96 in lower case: too long to be looked up
        make(context, f"{'İ' * 32}@client.example")


def test_the_same_recipient_made_twice_at_once(context: AppContext) -> None:
    made: list[int | None] = []
    assert at_once(6, lambda number: made.append(make(context, ANNA if number % 2 else ANNA.upper()).id)) == []
    assert len(set(made)) == 1
    with context.database.reading() as session:
        assert len(session.exec(select(Recipient)).all()) == 1


def test_who_comes_second_goes_on_in_the_same_transaction(context: AppContext) -> None:
    """Meeting somebody else's insert must not throw away what the transaction did before."""
    inserted, finish = threading.Event(), threading.Event()

    def first() -> None:
        with context.database.session_scope() as session:
            find_or_make(session, ANNA)
            inserted.set()
            finish.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    inserted.wait(10)
    threading.Timer(0.2, finish.set).start()
    with context.database.session_scope() as session:
        before = find_or_make(session, "luc@client.example")
        anna = find_or_make(session, ANNA)
        assert {before.lookup, anna.lookup} == {"luc@client.example", ANNA}
    thread.join()
    with context.database.reading() as session:
        assert {r.lookup for r in session.exec(select(Recipient))} == {"luc@client.example", ANNA}
