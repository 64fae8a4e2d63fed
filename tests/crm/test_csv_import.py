"""Customers from CSV files: traps I1–I9."""

import csv
import io
import json
from collections import Counter
from threading import Thread

import pytest
from sqlalchemy import event
from sqlmodel import select

from tests.crm.shop_world import ShopWorld
from tracker.crm.csv_import import RowResult, import_customers
from tracker.crm.customers import CustomerChange, put_customer
from tracker.models import Customer, SearchKind, User, WebhookEndpoint, WebhookEvent
from tracker.models.search_query import finds
from tracker.runtime.localized_text import ActionError
from tracker.web.crm.csv_pages import _rows
from tracker.web.http.download import harmless


def take(shop: ShopWorld, file: str | bytes) -> list[RowResult]:
    with shop.context.database.reading() as session:
        olga = session.get_one(User, shop.olga.id)
    return list(import_customers(shop.context, file if isinstance(file, bytes) else file.encode(), olga))


def statuses(results: list[RowResult]) -> dict[str, int]:
    return dict(Counter(result.status for result in results))


def exported(shop: ShopWorld) -> bytes:
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(["external_id", "name", "addresses", "manager", "shop", "tags"])
    for row in _rows(shop.context):
        writer.writerow([harmless(cell) for cell in row])
    return text.getvalue().encode()


def test_i1_an_export_read_back_changes_nothing(shop: ShopWorld) -> None:
    max_, chairs = shop.person("Max"), shop.shop("Chairs")
    shop.customer("a@client.example", "b@client.example", name="Anna, “A”", tags=["x", "y"], manager=max_.public_id)
    shop.customer(
        "c@client.example", external_id="00123", shop=chairs.public_id, name="Иван\nПетров".replace("\n", " ")
    )
    shop.customer(name="Only a name", external_id="n-1")
    assert statuses(take(shop, exported(shop))) == {"unchanged": 3}


def test_i2_semicolons_and_windows_1251_and_a_byte_that_fits_nothing(shop: ShopWorld) -> None:
    file = "name;addresses\nИван;ivan@client.example\n".encode("windows-1251")
    assert statuses(take(shop, file)) == {"created": 1}
    assert [customer.name for customer in shop.customers()] == ["Иван"]
    bad = "name;addresses\nОльга;olga@client.example\nX".encode() + b"\xff;x@client.example\n"
    results = take(shop, bad)
    assert [(result.status, result.code) for result in results] == [("created", ""), ("refused", "undecodable")]


def test_i3_an_empty_cell_keeps_and_a_dash_clears(shop: ShopWorld) -> None:
    take(shop, 'external_id,name,addresses,tags\nx,Anna,a@client.example,"vip, new"\n')
    take(shop, "external_id,name,tags\nx,,\n")
    assert [(customer.name, customer.tags) for customer in shop.customers()] == [("Anna", ["vip", "new"])]
    take(shop, "external_id,name,tags\nx,-,-\n")
    assert [(customer.name, customer.tags) for customer in shop.customers()] == [("", [])]
    assert shop.addresses(shop.customers()[0]) == ["a@client.example"]


def test_i5_one_bad_row_of_a_thousand_is_refused_with_its_line(shop: ShopWorld) -> None:
    rows = [f'"Name\n{n}",c{n}@client.example' if n == 3 else f"Name {n},c{n}@client.example" for n in range(1000)]
    rows[3] = '"Two words",c3@client.example'
    rows[4] = '"note","c4@client.example,\nd4@client.example"'
    rows[499] = "Bad,not an address"
    results = take(shop, "name,addresses\n" + "\n".join(rows) + "\n")
    refused = [result for result in results if result.status == "refused"]
    assert statuses(results) == {"created": 999, "refused": 1}
    assert [item.line for item in refused] == [502], "the head, 499 rows before it, and one line break inside a cell"


@pytest.mark.parametrize("number", ["1,00E+05", "1E+05", "1.23E+11"])
def test_i6_what_a_spreadsheet_made_of_a_number_is_refused(shop: ShopWorld, number: str) -> None:
    (result,) = take(shop, f'external_id,name\n"{number}",X\n')
    assert (result.status, result.code) == ("refused", "spreadsheet_number")


def test_i6_leading_zeros_are_kept(shop: ShopWorld) -> None:
    take(shop, "external_id,name\n00123,X\n")
    assert [customer.external_id for customer in shop.customers()] == ["00123"]


def test_i7_twenty_puts_at_once_make_one_record_and_one_event(shop: ShopWorld) -> None:
    made = []

    def put() -> None:
        with shop.context.database.session_scope() as session:
            change = CustomerChange(name="Ivan", addresses=["ivan@client.example"])
            made.append(put_customer(session, "x-1", change, None)[1])

    calls = [Thread(target=put) for _ in range(20)]
    for call in calls:
        call.start()
    for call in calls:
        call.join(60)
    assert Counter(made) == {True: 1, False: 19}
    assert [(customer.name, customer.version) for customer in shop.customers()] == [("Ivan", 1)]
    with shop.context.database.reading() as session:
        assert session.exec(select(WebhookEvent)).all() == []


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+7 912", "@home", "-x"])
def test_i8_a_formula_is_guarded_in_the_export_and_comes_back_as_it_was(shop: ShopWorld, name: str) -> None:
    shop.customer("a@client.example", name=name)
    file = exported(shop)
    assert f"'{name}".encode() in file
    assert statuses(take(shop, file)) == {"unchanged": 1}


def test_i9_each_manager_gets_one_summary(shop: ShopWorld) -> None:
    max_, nina = shop.person("Max"), shop.person("Nina")
    rows = [f"c{n}@client.example,{'max' if n % 2 else 'nina'}@shop.example" for n in range(450)]
    take(shop, "addresses,manager\n" + "\n".join(rows))
    assert (shop.bell(max_), shop.bell(nina)) == (["customer_assigned"], ["customer_assigned"])
    assert shop.notices(max_) == []


@pytest.mark.parametrize("file", [b"", b"foo,bar\n1,2\n", b"\x00\x01"])
def test_a_file_without_a_head_that_can_be_used_is_refused(shop: ShopWorld, file: bytes) -> None:
    with pytest.raises(ActionError) as refusal:
        take(shop, file)
    assert refusal.value.field == "file"


def test_unknown_managers_and_too_many_cells_are_refused_alone(shop: ShopWorld) -> None:
    file = "addresses,manager\na@c.example,nobody\nb@c.example,,more\nc@c.example,\n"
    assert [item.status for item in take(shop, file)] == ["refused", "refused", "created"]
    with shop.context.database.reading() as session:
        assert len(session.exec(select(Customer)).all()) == 1


def test_rows_of_one_file_that_name_a_customer_twice_are_taken_in_their_order(shop: ShopWorld) -> None:
    file = (
        "external_id,name,addresses,tags\n"
        "a,Anna,anna@client.example,\n"
        ",Anna B.,ANNA@client.example,vip\n"
        'b,Boris,"boris@client.example, anna@client.example",\n'
        "a,-,,-\n"
        "c,Boris too,boris@client.example,\n"
        ",Boris of b,boris@client.example,\n"
        ",Nobody,,\n,Nobody,,\n"
    )
    assert [item.status for item in take(shop, file)] == [
        *("created", "changed", "created", "changed", "created", "changed", "created", "created"),
    ]
    notices = [
        (customer.external_id, customer.name, customer.tags, shop.addresses(customer)) for customer in shop.customers()
    ]
    assert notices == [
        ("a", "", [], ["anna@client.example"]),
        ("b", "Boris of b", [], ["boris@client.example"]),
        ("c", "Boris too", [], ["boris@client.example"]), (None, "Nobody", [], []), (None, "Nobody", [], []),
    ]  # fmt: skip


def test_what_an_import_makes_is_found_told_of_and_has_a_version(shop: ShopWorld) -> None:
    ben = shop.person("Ben")
    with shop.context.database.session_scope() as session:
        kinds = ["customer.created", "customer.assigned"]
        session.add(WebhookEndpoint(user_id=ben.id or 0, url="https://hook.example", kinds=kinds, secret=b""))
    head = "external_id,name,addresses,manager\n"
    take(shop, head + "a,Anna Berg,anna@client.example,\nb,Boris,boris@client.example,ben@shop.example\n")
    take(shop, head + "a,Anna Stein,,ben@shop.example\nb,Boris,,\n")
    with shop.context.database.reading() as session:
        events = [
            (webhook_event.kind, json.loads(webhook_event.body)["data"])
            for webhook_event in session.exec(select(WebhookEvent).order_by("id"))
        ]
        for words, ids in {"stein": ["a"], "berg": [], "bor": ["b"], "client.example": ["a", "b"], "a": ["a"]}.items():
            query = select(Customer).where(*finds(session, SearchKind.CUSTOMER, Customer.id, words))
            rows = session.exec(query.order_by("id")).all()
            assert [row.external_id for row in rows] == ids, words
    assert [(kind, data["external_id"], data["version"]) for kind, data in events] == [
        ("customer.created", "a", 1), ("customer.created", "b", 1), ("customer.assigned", "b", 1), ("customer.assigned", "a", 2),
    ]  # fmt: skip
    assert (events[3][1]["addresses"], events[3][1]["manager"]) == (["anna@client.example"], ben.public_id)
    assert [customer.version for customer in shop.customers()] == [2, 1]


def test_the_same_file_given_by_several_at_once_makes_each_customer_once(shop: ShopWorld) -> None:
    file = "external_id,name,addresses\n" + "".join(f"x{n},Name {n},c{n}@client.example\n" for n in range(60))
    results: list[list[RowResult]] = []
    calls = [Thread(target=lambda: results.append(take(shop, file))) for _ in range(4)]
    for call in calls:
        call.start()
    for call in calls:
        call.join(60)
    assert sum((Counter(item.status for item in result) for result in results), Counter()) == {
        "created": 60, "unchanged": 180,
    }  # fmt: skip
    assert len(shop.customers()) == 60


def test_an_import_asks_as_often_for_a_thousand_rows_as_for_ten(shop: ShopWorld) -> None:
    counts = []
    for number, rows in enumerate((10, 1000)):
        file = "external_id,name,addresses\n" + "".join(
            f"{number}-{n},Name {n},c{number}-{n}@client.example\n" for n in range(rows)
        )
        for text in (file, file, file.replace("Name", "Another name")):
            statements: list[str] = []

            def note(
                _connection: object, _cursor: object, statement: str, *_: object, to: list[str] = statements
            ) -> None:
                to.append(statement)

            event.listen(shop.context.database.engine, "before_cursor_execute", note)
            assert len(take(shop, text)) == rows
            event.remove(shop.context.database.engine, "before_cursor_execute", note)
            counts.append(len(statements))
    assert counts[:3] == counts[3:]
