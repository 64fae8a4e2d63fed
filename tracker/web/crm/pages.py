"""Customers and their orders: the list with its search, one customer, one order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import select as columns
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.customers import (
    CustomerChange,
    NewCustomer,
    addresses_of,
    change_customer,
    create_customer,
    delete_customer,
    merge_customers,
)
from tracker.crm.orders import NewOrder, OrderChange, delete_order, save_order
from tracker.crm.records import find_record
from tracker.locale import _
from tracker.mail.addresses import AddressError, lookup_or_none, parse_list
from tracker.models import Customer, CustomerAddress, Order, SearchKind, Shop, User
from tracker.models.search_query import finds
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.paging import Cursor, read_page
from tracker.web.crm.letter_panel import colleagues
from tracker.web.http.actions import changing, perform
from tracker.web.http.forms import errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.recipients.person import person_of_customer
from tracker.web.recipients.story_page import story_page

routes = Routes()
BASE_PATH = "/customers"
_BLANK = dict.fromkeys(("name", "addresses", "manager", "shop", "tags", "external_id"), "")
Schema = TypeVar("Schema", bound=BaseModel)


@dataclass(frozen=True)
class CustomerLine:
    """A customer as the list shows it."""

    customer: Customer
    addresses: Sequence[CustomerAddress]
    manager: User | None
    orders: Sequence[Order]


@routes.page(BASE_PATH)
def customers(request: Request, user: User) -> Response:
    """The newest first; ``q`` are beginnings of words, or an order number."""
    words, cursor = text_of(request, "q"), request.query_params.get("cursor", "")
    with context_of(request).database.reading() as session:
        order = (
            session.exec(select(Order).where(Order.number == words.strip("[]#")).limit(1)).first() if words else None
        )
        query = select(Customer).where(*finds(session, SearchKind.CUSTOMER, Customer.id, words))
        place = Cursor.parse(cursor) if cursor else None
        rows, last = read_page(session, query, (Customer.created_at, Customer.id), place)
        context = {
            "lines": customer_lines(session, rows),
            "q": words,
            "order": order,
            "more": str(Cursor(*last)) if last else "",
            "first_page": not cursor,
        }
    return render(request, "crm/customers.html", context)


def text_of(request: Request, name: str) -> str:
    return request.query_params.get(name, "").strip()[:200]


def customer_lines(session: Session, rows: Sequence[Customer]) -> list[CustomerLine]:
    """In as many queries however many they are."""
    ids = [row.id for row in rows]
    addresses = addresses_of(session, ids)
    people: dict[int | None, User] = {user.id: user for user in session.exec(select(User))}
    orders: dict[int, list[Order]] = {}
    newest = select(Order).where(col(Order.customer_id).in_(ids)).order_by(col(Order.created_at).desc()).limit(500)
    for order in session.exec(newest) if ids else ():
        orders.setdefault(order.customer_id or 0, []).append(order)
    return [
        CustomerLine(row, addresses.get(row.id, []), people.get(row.manager_id), orders.get(row.id, [])[:3])
        for row in rows
    ]


@routes.page(f"{BASE_PATH}/new")
def new(request: Request, user: User) -> Response:
    typed = {"addresses": request.query_params.get("address", "")}
    return _form(request, user, None, typed, {})


@routes.action(BASE_PATH)
def add(request: Request, user: User, form: FormData) -> Response:
    with changing(request, lambda error: _form(request, user, None, dict(form), errors_of(error), 422)) as session:
        choices = _read(NewCustomer, form)
        customer = create_customer(session, choices, user)
    return redirect(f"{BASE_PATH}/{customer.public_id}", _("Saved."))


@routes.page(f"{BASE_PATH}/{{id}}")
def customer(request: Request, user: User) -> Response:
    """Their story: the same as that of the recipient with one of their addresses."""
    with context_of(request).database.reading() as session:
        person = person_of_customer(session, request.path_params["id"])
        return story_page(request, session, user, person, of_customer=True)


@routes.page(f"{BASE_PATH}/{{id}}/details")
def details(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        row = find_record(session, Customer, request.path_params["id"])
        typed = _typed(session, row)
    return _form(request, user, row, typed, {})


@routes.action(f"{BASE_PATH}/{{id}}")
def save(request: Request, user: User, form: FormData) -> Response:
    context = context_of(request)
    with context.database.reading() as session:
        row = find_record(session, Customer, request.path_params["id"])
    with changing(request, lambda error: _form(request, user, row, dict(form), errors_of(error), 422)) as session:
        choices = _read(CustomerChange, form)
        change_customer(session, find_record(session, Customer, row.public_id), choices, user)
    return redirect(f"{BASE_PATH}/{row.public_id}", _("Saved."))


@routes.action(f"{BASE_PATH}/{{id}}/removal")
def removal(request: Request, user: User, _form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        delete_customer(session, find_record(session, Customer, request.path_params["id"]))
    return redirect(BASE_PATH, _("The customer is deleted. Orders and letters stay."))


@routes.action(f"{BASE_PATH}/{{id}}/merge")
def merge(request: Request, user: User, form: FormData) -> Response:
    """Takes over everything of the customer with the address ``other``."""
    there = f"{BASE_PATH}/{request.path_params['id']}"
    with context_of(request).database.session_scope() as session:
        remaining = find_record(session, Customer, request.path_params["id"])
        same = select(CustomerAddress.customer_id).where(
            CustomerAddress.lookup == (lookup_or_none(text(form, "other")) or ""),
            CustomerAddress.customer_id != remaining.id,
        )
        number = session.exec(same.limit(1)).first()
        if number is None:
            return redirect(there, _("No other customer has this address."), kind="problem")
        merge_customers(session, remaining, session.get_one(Customer, number))
    return redirect(there, _("The two are one customer now."))


@routes.action(f"{BASE_PATH}/{{id}}/orders")
def add_order(request: Request, user: User, form: FormData) -> Response:
    customer_id = request.path_params["id"]

    def work(session: Session) -> None:
        find_record(session, Customer, customer_id)
        save_order(session, None, parse(NewOrder, {**form, "customer": customer_id}))

    return perform(request, f"{BASE_PATH}/{customer_id}", work, _("Saved."))


@routes.page("/orders/{id}")
def order(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        row = find_record(session, Order, request.path_params["id"])
    return _order_form(request, row, {}, {})


@routes.action("/orders/{id}")
def change_order(request: Request, user: User, form: FormData) -> Response:
    """``owner`` is an address of the customer; empty for none."""
    context = context_of(request)
    with context.database.reading() as session:
        row = find_record(session, Order, request.path_params["id"])
    with changing(request, lambda error: _order_form(request, row, dict(form), errors_of(error), 422)) as session:
        values = {**form, "customer": _owner(session, text(form, "owner"))}
        save_order(session, find_record(session, Order, row.public_id), parse(OrderChange, values))
    return redirect(f"/orders/{row.public_id}", _("Saved."))


@routes.action("/orders/{id}/removal")
def order_removal(request: Request, user: User, _form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        delete_order(session, find_record(session, Order, request.path_params["id"]))
    return redirect(BASE_PATH, _("The order is deleted. Its letters stay with the customer."))


def _owner(session: Session, words: str) -> str | None:
    if not words:
        return None
    same = select(Customer).join(CustomerAddress, col(CustomerAddress.customer_id) == col(Customer.id))
    named = (col(CustomerAddress.lookup) == (lookup_or_none(words) or "")) | (col(Customer.public_id) == words)
    row = session.exec(same.where(named).order_by(col(Customer.id))).first()
    if row is None:
        raise ActionError("invalid", LocalizedText("There is no customer with this address."), "owner")
    return row.public_id


def _read(schema: type[Schema], form: FormData) -> Schema:
    """Addresses stand one a line or divided by commas, tags by commas."""
    tags = [tag.strip() for tag in text(form, "tags", 5000).split(",") if tag.strip()]
    try:
        people = parse_list(text(form, "addresses", 20_000).replace("\n", ","))
    except AddressError as error:
        raise ActionError("invalid", error.sentence, "addresses") from None
    addresses = [person.address for person in people]
    return parse(schema, {**form, "addresses": addresses, "tags": tags})


def _typed(session: Session, customer: Customer) -> dict[str, Any]:
    rows = addresses_of(session, [customer.id]).get(customer.id, [])
    manager = select(User.public_id).where(User.id == customer.manager_id).scalar_subquery()
    shop = select(Shop.public_id).where(Shop.id == customer.shop_id).scalar_subquery()
    manager_id, shop_id = session.connection().execute(columns(manager, shop)).one()
    return {
        "name": customer.name,
        "addresses": "\n".join(row.address for row in rows),
        "manager": manager_id or "",
        "shop": shop_id or "",
        "tags": ", ".join(customer.tags),
        "external_id": customer.external_id or "",
    }


def _form(
    request: Request,
    user: User,
    customer: Customer | None,
    typed: Mapping[str, Any],
    wrong: Mapping[str, str],
    status: int = 200,
) -> Response:
    with context_of(request).database.reading() as session:
        context: dict[str, Any] = {
            "customer": customer,
            "typed": {**_BLANK, **typed},
            "wrong": wrong,
            **_choices(session),
        }
        if customer is not None:
            orders = select(Order).where(Order.customer_id == customer.id).order_by(col(Order.created_at).desc())
            context |= {
                "orders": session.exec(orders.limit(100)).all(),
                "person": person_of_customer(session, customer.public_id),
                "tab": "details",
                "of_customer": True,
            }
    return render(request, "crm/customer.html", context, status)


def _order_form(
    request: Request, order: Order, typed: Mapping[str, Any], wrong: Mapping[str, str], status: int = 200
) -> Response:
    with context_of(request).database.reading() as session:
        customer = session.get(Customer, order.customer_id) if order.customer_id else None
        rows = addresses_of(session, [customer.id]).get(customer.id, []) if customer else []
        manager = session.get(User, order.manager_id) if order.manager_id else None
        shop = session.get(Shop, order.shop_id) if order.shop_id else None
        shown = {
            "number": order.number,
            "status": order.status,
            "owner": rows[0].address if rows else customer.public_id if customer else "",
            "manager": manager.public_id if manager else "",
            "shop": shop.public_id if shop else "",
            "external_id": order.external_id or "",
        }
        context = {
            "order": order,
            "customer": customer,
            "typed": {**shown, **typed},
            "wrong": wrong,
            **_choices(session),
        }
    return render(request, "crm/order.html", context, status)


def _choices(session: Session) -> dict[str, Any]:
    people = [(user.public_id, user.name) for user in colleagues(session)]
    shops = [(shop.public_id, shop.name) for shop in session.exec(select(Shop).order_by(Shop.name))]
    return {"people": [("", _("nobody")), *people], "shops": [("", _("none")), *shops]}
