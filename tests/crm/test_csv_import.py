"""Customers from CSV files: traps I1–I9."""

import csv
import io
from collections import Counter
from threading import Thread

import pytest
from sqlmodel import select

from tests.crm.shop_world import ShopWorld
from tracker.crm.csv_import import RowResult, import_customers
from tracker.crm.customers import CustomerChange, put_customer
from tracker.models import Customer, User, WebhookEvent
from tracker.runtime.localized_text import ActionError
from tracker.web.crm.csv_pages import _rows
from tracker.web.http.csv_export import harmless


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
    assert [(one.status, one.code) for one in results] == [("created", ""), ("refused", "undecodable")]


def test_i3_an_empty_cell_keeps_and_a_dash_clears(shop: ShopWorld) -> None:
    take(shop, 'external_id,name,addresses,tags\nx,Anna,a@client.example,"vip, new"\n')
    take(shop, "external_id,name,tags\nx,,\n")
    assert [(one.name, one.tags) for one in shop.customers()] == [("Anna", ["vip", "new"])]
    take(shop, "external_id,name,tags\nx,-,-\n")
    assert [(one.name, one.tags) for one in shop.customers()] == [("", [])]
    assert shop.addresses(shop.customers()[0]) == ["a@client.example"]


def test_i5_one_bad_row_of_a_thousand_is_refused_with_its_line(shop: ShopWorld) -> None:
    rows = [f'"Name\n{n}",c{n}@client.example' if n == 3 else f"Name {n},c{n}@client.example" for n in range(1000)]
    rows[3] = '"Two words",c3@client.example'
    rows[4] = '"note","c4@client.example,\nd4@client.example"'
    rows[499] = "Bad,not an address"
    results = take(shop, "name,addresses\n" + "\n".join(rows) + "\n")
    refused = [one for one in results if one.status == "refused"]
    assert statuses(results) == {"created": 999, "refused": 1}
    assert [one.line for one in refused] == [502], "the head, 499 rows before it, and one line break inside a cell"


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
    assert [(one.name, one.version) for one in shop.customers()] == [("Ivan", 1)]
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
    assert [one.status for one in take(shop, file)] == ["refused", "refused", "created"]
    with shop.context.database.reading() as session:
        assert len(session.exec(select(Customer)).all()) == 1
