"""``/customers``: who buys, so that letters find them. Everybody of the workspace sees and changes them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Annotated

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
    find_customer,
    merge_customers,
    put_customer,
)
from tracker.crm.records import Id, named_record
from tracker.mail.addresses import lookup_or_none
from tracker.mail.fields import RequestModel, ResponseModel
from tracker.models import Customer, CustomerAddress, CustomerSource, SearchKind, Shop, User
from tracker.models.search_query import finds
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged, page
from tracker.web.crm.responses import CustomerResponse, ExternalIdInPath, customer_shapes

customers = router("Customers")
MOST_CSV = 40 * 1024 * 1024
"""Bytes of a file to import."""


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
def list_customers(call: Caller, query: Annotated[CustomerQuery, Query()]) -> Listing[CustomerResponse]:
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
        rows, after = page(session, wanted, Customer, query)
        return Listing(items=customer_shapes(session, rows), next=after)


@customers.post("/customers", response_model=CustomerResponse, status_code=201)
def post_customer(call: Caller, new: NewCustomer) -> Response:
    """Makes a customer."""
    return idempotent(
        call, lambda session: _shape(session, create_customer(session, new, call.user, CustomerSource.API)), status=201
    )


@customers.get("/customers/{id}", response_model=CustomerResponse)
def get_customer(call: Caller, id: str) -> CustomerResponse:
    """One customer."""
    with call.reading() as session:
        return _shape(session, find_customer(session, id))


@customers.patch("/customers/{id}", response_model=CustomerResponse)
def patch_customer(call: Caller, id: str, change: CustomerChange) -> Response:
    """Changes what is given; ``addresses`` are all of them."""

    def work(session: Session) -> CustomerResponse:
        customer = find_customer(session, id)
        change_customer(session, customer, change, call.user)
        return _shape(session, customer)

    return idempotent(call, work)


@customers.delete("/customers/{id}", status_code=204, response_class=Response)
def remove_customer(call: Caller, id: str) -> Response:
    """Forgets a customer. Orders and letters stay, without one."""
    return idempotent(call, lambda session: delete_customer(session, find_customer(session, id)), status=204)


@customers.put(
    "/customers/by-external-id/{external_id:path}",
    response_model=CustomerResponse,
    responses={201: {"model": CustomerResponse}},
)
def put_customer_by_external_id(call: Caller, external_id: ExternalIdInPath, change: CustomerChange) -> Response:
    """Makes the customer that another program knows by this id (201), or changes it (200). What is left out stays."""
    with call.writing() as session:
        customer, is_new = put_customer(session, external_id, change, call.user)
        body = _shape(session, customer).model_dump_json()
    return Response(body, 201 if is_new else 200, media_type="application/json")


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


@customers.post("/customers/{id}/merge", response_model=CustomerResponse)
def post_merge(call: Caller, id: str, request: MergeRequest) -> Response:
    """Takes over everything of another customer, which is gone then."""

    def work(session: Session) -> CustomerResponse:
        customer = find_customer(session, id)
        other = named_record(session, Customer, request.customer, "customer")
        assert other is not None
        merge_customers(session, customer, other)
        return _shape(session, customer)

    return idempotent(call, work)


def _shape(session: Session, customer: Customer) -> CustomerResponse:
    session.flush()
    return customer_shapes(session, [customer])[0]
