"""Imports that the worker takes in: their progress, what is refused, and that they go on behind the last row that was taken."""

import pytest
from sqlmodel import select

from tests.crm.shop_world import ShopWorld
from tests.fixtures.leases import hold, other_process
from tracker.crm import file_import
from tracker.crm.file_import import begin_import, continue_imports, find_import
from tracker.models import CustomerImport, CustomerImportPart, Notification
from tracker.privacy.erase import erase
from tracker.runtime.localized_text import ActionError, restored

HEAD = "external_id,name,addresses,manager\n"


def hand_in(shop: ShopWorld, *rows: str, head: str = HEAD) -> str:
    with shop.context.database.session_scope() as session:
        return begin_import(session, shop.olga, "customers.csv", (head + "\n".join(rows)).encode()).public_id


def progress(shop: ShopWorld, number: str) -> CustomerImport:
    with shop.context.database.reading() as session:
        return find_import(session, shop.olga, number)


def people(count: int, first: int = 0) -> list[str]:
    return [f"n{n},Anna {n},a{n}@client.example," for n in range(first, first + count)]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows in a transaction, one transaction in a stretch."""
    monkeypatch.setattr(file_import, "AT_ONCE", 10)
    monkeypatch.setattr(file_import, "STRETCH", 0.0)


def test_a_file_is_taken_in_row_by_row_and_then_gone(shop: ShopWorld) -> None:
    number = hand_in(
        shop, *people(3), "n1,Anna 1,a1@client.example,", "n9,Bad,no address,", "n8,X,x@client.example,nobody"
    )
    assert (progress(shop, number).done, progress(shop, number).total) == (0, 6)
    assert continue_imports(shop.context) == 6
    row = progress(shop, number)
    assert (row.done, row.created, row.changed, row.unchanged, row.refused) == (6, 3, 0, 1, 2)
    assert [(line, restored(problem)) for line, problem in row.refusals][1] == (7, "“nobody” is not known here.")
    assert row.finished_at is not None
    with shop.context.database.reading() as session:
        assert session.exec(select(CustomerImportPart)).all() == []
    assert continue_imports(shop.context) == 0


def test_an_import_that_was_broken_off_goes_on_behind_the_last_row(shop: ShopWorld, small_batches: None) -> None:
    number = hand_in(shop, *people(25))
    assert continue_imports(shop.context) == 10
    assert progress(shop, number).done == 10
    another = other_process(shop.context)  # the first one has died
    assert [continue_imports(another) for _ in range(4)] == [10, 5, 0, 0]
    row = progress(shop, number)
    assert (row.created, row.unchanged, len(shop.customers())) == (25, 0, 25)


def test_two_workers_never_take_the_same_import(shop: ShopWorld) -> None:
    row = progress(shop, hand_in(shop, *people(10)))
    hold(shop.context, file_import.LEASE, row.id)
    assert continue_imports(shop.context) == 0
    hold(shop.context, file_import.LEASE, row.id, seconds=-1)
    assert continue_imports(shop.context) == 10


def test_who_lost_an_import_writes_nothing_more_of_it(shop: ShopWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    number = hand_in(shop, *people(5))
    monkeypatch.setattr(shop.context.leases, "holds", lambda *_: False)
    assert continue_imports(shop.context) == 0
    assert (progress(shop, number).done, shop.customers()) == (0, [])


def test_managers_are_told_once_at_the_end(shop: ShopWorld, small_batches: None) -> None:
    max_ = shop.person("Max")
    hand_in(shop, *(f"n{n},A,a{n}@client.example,{max_.email}" for n in range(15)))
    while continue_imports(shop.context):
        pass
    continue_imports(shop.context)
    with shop.context.database.reading() as session:
        (line,) = session.exec(select(Notification).where(Notification.user_id == max_.id)).all()
    assert str(line.detail) == "15 customers are yours after an import"


def test_whoever_is_erased_is_in_no_row_that_waits_and_does_not_come_back(shop: ShopWorld) -> None:
    rows = people(3)
    rows += [
        "n7,Bo Erased,BO@Client.example,",
        'n8,"Cy\nwho knows bo@client.example",c@client.example,',
        "n9,Bo Erased,d@x.example,",
    ]
    number = hand_in(shop, *rows)
    receipt = erase(shop.context, "bo@client.example", f"user:{shop.olga.id}")
    assert receipt.done["row of an import"] == 2
    with shop.context.database.reading() as session:
        left = [cells for part in session.exec(select(CustomerImportPart)) for _, cells, _ in part.rows]
    assert left[3:] == [[], [], ["n9", "Bo Erased", "d@x.example", ""]]
    assert continue_imports(shop.context) == 6
    row = progress(shop, number)
    assert (row.done, row.created, row.refused) == (6, 4, 2)
    assert [(line, restored(problem)) for line, problem in row.refusals] == [
        (5, "This person was erased."),
        (6, "This person was erased."),
    ]
    assert {customer.external_id for customer in shop.customers()} == {"n0", "n1", "n2", "n9"}


def test_a_line_that_cannot_be_read_refuses_the_file_before_any_row_is_taken(shop: ShopWorld) -> None:
    with pytest.raises(ActionError, match="Line 3 cannot be read"):
        hand_in(shop, *people(1), "n1," + "A" * 200_000 + ",a@client.example,")


@pytest.mark.parametrize("head", ["", "name,phone\n", "\x00\n"])
def test_a_file_without_a_usable_first_line_is_refused_at_once(shop: ShopWorld, head: str) -> None:
    with pytest.raises(ActionError):
        hand_in(shop, head=head)
    with shop.context.database.reading() as session:
        assert session.exec(select(CustomerImport)).all() == []


def test_nobody_sees_the_import_of_somebody_else(shop: ShopWorld) -> None:
    number = hand_in(shop, *people(1))
    with shop.context.database.reading() as session, pytest.raises(ActionError, match="no such import"):
        find_import(session, shop.person("Max"), number)
