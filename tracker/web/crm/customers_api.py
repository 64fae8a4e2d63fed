"""``/customers``: who buys, so that letters find them. Everybody of the workspace sees and changes them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, col, select
from starlette.responses import Response, StreamingResponse

from tracker.crm.csv_import import RowResult, import_customers
from tracker.crm.customers import (
    CustomerChange,
    NewCustomer,
    change_customer,
    create_customer,
    delete_customer,
    merge_customers,
    put_customer,
)
from tracker.crm.records import Id, find_record, named_record
from tracker.mail.addresses import lookup_or_none
from tracker.mail.fields import RequestModel, ResponseModel
from tracker.models import Customer, CustomerAddress, CustomerSource, SearchKind, Shop, User
from tracker.models.search_query import finds
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.paging import Listing, Paged, page
from tracker.web.api.resource import Resource
from tracker.web.crm.responses import CustomerResponse, customer_shapes

customers = router("Customers")
MOST_CSV = 40 * 1024 * 1024
"""Bytes of a file to import."""


def _save(session: Session, call: RequestContext, customer: Customer | None, change: CustomerChange) -> Customer:
    if customer is None:
        return create_customer(session, change, call.user, CustomerSource.API)
    change_customer(session, customer, change, call.user)
    return customer


CUSTOMERS = Resource(
    plural="customers",
    singular="customer",
    model=Customer,
    new=NewCustomer,
    change=CustomerChange,
    response=CustomerResponse,
    show=lambda session, call, rows: customer_shapes(session, rows),
    find=lambda session, call, id: find_record(session, Customer, id),
    save=_save,
    remove=lambda session, call, row: delete_customer(session, row),
    texts=(
        "",
        "One customer.",
        "Makes a customer.",
        "Changes what is given; ``addresses`` are all of them.",
        "Forgets a customer. Orders and letters stay, without one.",
    ),
)


class CustomerQuery(Paged):
    """Which customers; all of them unless something is asked for."""

    q: Annotated[str, Field(max_length=200, description="Beginnings of words of name, address or external id.")] = ""
    address: Annotated[str, Field(max_length=254, description="An e-mail address of the customer.")] = ""
    manager: Annotated[str, Field(max_length=16, description="The id of a person.")] = ""
    shop: Annotated[str, Field(max_length=16, description="The id of a shop.")] = ""


class MergeRequest(RequestModel):
    """The customer whose addresses, orders and letters are taken over; it is gone afterwards."""

    customer: Id


@customers.get("/customers", response_model=Listing[CustomerResponse])
def list_customers(call: Caller, query: Annotated[CustomerQuery, Query()]) -> Any:
    """Customers, the newest first."""
    with call.reading() as session:
        wanted = select(Customer).where(*finds(session, SearchKind.CUSTOMER, Customer.id, query.q))
        if query.address:
            same = select(CustomerAddress.customer_id).where(
                CustomerAddress.lookup == (lookup_or_none(query.address) or "")
            )
            wanted = wanted.where(col(Customer.id).in_(same))
        if query.manager:
            manager = named_record(session, User, query.manager, "manager")
            wanted = wanted.where(Customer.manager_id == (manager.id if manager else None))
        if query.shop:
            shop = named_record(session, Shop, query.shop, "shop")
            wanted = wanted.where(Customer.shop_id == (shop.id if shop else None))
        return CUSTOMERS.listed(session, call, *page(session, wanted, Customer, query))


class ImportLine(ResponseModel):
    """What became of one row: created, changed, unchanged or refused."""

    line: int
    status: str
    customer: str | None
    code: str
    problem: str


class ImportResponse(ResponseModel):
    """Every row with its result, in the order of the file, and how many of each there are."""

    items: list[ImportLine]
    created: int
    changed: int
    unchanged: int
    refused: int


@customers.post("/customers/import", response_model=ImportResponse, openapi_extra={"x-largest-body": MOST_CSV})
def post_import(call: Caller) -> Response:
    """Takes in a CSV file (``Content-Type: text/csv``): its first line names the columns external_id, name, addresses, manager,
    shop, tags. The answer comes as the rows are taken in; the same file again changes nothing, so one that was broken off is
    given again."""
    results = import_customers(call.context, call.body, call.user)
    first = next(results, None)  # a file that cannot be read at all is refused with a status
    return StreamingResponse(_as_json(first, results), media_type="application/json")


def _as_json(first: RowResult | None, results: Iterator[RowResult]) -> Iterator[str]:
    counts = dict.fromkeys(("created", "changed", "unchanged", "refused"), 0)
    yield '{"items": ['
    for number, result in enumerate(chain([first] if first else [], results)):
        counts[result.status] += 1
        yield (", " if number else "") + ImportLine(**asdict(result)).model_dump_json()
    yield "], " + json.dumps(counts)[1:]


CUSTOMERS.add_to(customers, with_list=False)
CUSTOMERS.add_put(
    customers, lambda session, call, external_id, change: put_customer(session, external_id, change, call.user)
)


@customers.post("/customers/{id}/merge", response_model=CustomerResponse)
def post_merge(call: Caller, id: str, request: MergeRequest) -> Response:
    """Takes over everything of another customer, which is gone then."""

    def merge(session: Session, customer: Customer) -> None:
        other = named_record(session, Customer, request.customer, "customer")
        assert other is not None
        merge_customers(session, customer, other)

    return CUSTOMERS.act(call, id, merge)
