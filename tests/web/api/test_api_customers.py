"""Customers and orders as another program keeps them: by its own ids, again and again, whatever stands in them."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.web.api.conftest import Caller, World
from tracker.models import User


def put(caller: Caller, kind: str, external_id: str, body: Any) -> Any:
    return caller.call("PUT", f"/{kind}/by-external-id/{quote(external_id, safe='')}", body)


@pytest.mark.parametrize(
    "external_id", ["c1", "INV/2025/001", "a b", "ёж", "100%", "a?b#c", "x" * 200, "a//b", "+7 (9)", "a%2Fb"]
)
def test_any_id_of_another_program_is_one(bob: Caller, external_id: str) -> None:
    made = put(bob, "customers", external_id, {"name": "Anna"})
    assert made.status_code == 201, made.text
    assert made.json()["external_id"] == external_id
    assert put(bob, "customers", external_id, {"name": "Anna"}).status_code == 200
    number = "".join(sign for sign in external_id if sign.isalnum())[:32]
    order = put(bob, "orders", external_id, {"number": number, "customer": made.json()["id"]})
    assert order.status_code == 201, order.text
    assert order.json()["external_id"] == external_id


@pytest.mark.parametrize("external_id", ["x" * 201, "a\x00b", "a\nb", " "])
@pytest.mark.parametrize("kind", ["customers", "orders"])
def test_what_can_be_no_id_is_refused(bob: Caller, kind: str, external_id: str) -> None:
    answer = put(bob, kind, external_id, {"number": "1"} if kind == "orders" else {"name": "A"})
    assert answer.status_code in (404, 422), answer.text


def test_a_body_without_the_id_or_with_none_leaves_it(bob: Caller) -> None:
    for body in ({"name": "A"}, {"name": "A", "external_id": None}, {"name": "A", "external_id": "k"}):
        assert put(bob, "customers", "k", body).json()["external_id"] == "k"
        order = {"number": "1", **{name: value for name, value in body.items() if name == "external_id"}}
        assert put(bob, "orders", "k", order).json()["external_id"] == "k"
    assert put(bob, "customers", "k", {"external_id": "other"}).status_code == 422


def test_a_manager_who_was_disabled_stays_where_nothing_changes(world: World, bob: Caller) -> None:
    charlie = world.charlie.user
    body = {"name": "Anna", "addresses": ["anna@x.example"], "manager": charlie.public_id}
    assert put(bob, "customers", "m1", body).status_code == 201
    assert put(bob, "orders", "m1", {"number": "M-1", "manager": charlie.public_id}).status_code == 201
    disable(world, charlie)
    again = put(bob, "customers", "m1", {**body, "name": "Anna B."})
    assert (again.status_code, again.json()["manager"]) == (200, charlie.public_id)
    order = put(bob, "orders", "m1", {"status": "paid", "manager": charlie.public_id})
    assert (order.status_code, order.json()["status"]) == (200, "paid")
    other = put(bob, "customers", "m2", {"name": "B", "manager": charlie.public_id})
    assert (other.status_code, "manager" in other.text) == (422, True)
    lines = f"external_id,manager,tags\nm1,{charlie.email},old\nm9,{charlie.email},\nm1,{charlie.email},old\n"
    answer = bob.raw("POST", "/customers/import", lines.encode(), "text/csv").json()
    assert [line["status"] for line in answer["items"]] == ["changed", "refused", "unchanged"]


def disable(world: World, user: User) -> None:
    with world.context.database.session_scope() as session:
        session.get_one(User, user.id).active = False
