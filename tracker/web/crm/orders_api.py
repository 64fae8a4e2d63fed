"""``/orders``, ``/shops``, ``/groups`` and ``/users``."""

from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, col, select
from starlette.responses import Response

from tracker.crm.orders import NewOrder, OrderChange, change_order, create_order, delete_order, find_order, put_order
from tracker.crm.records import find_record, named_record
from tracker.crm.shops import (
    GroupChange,
    NewGroup,
    NewShop,
    ShopChange,
    change_group,
    change_shop,
    create_group,
    create_shop,
    delete_group,
    delete_shop,
)
from tracker.models import Customer, ManagerGroup, Order, Shop, User
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged, PageQuery, page
from tracker.web.crm.responses import (
    ColleagueResponse,
    ExternalIdInPath,
    GroupResponse,
    OrderResponse,
    ShopResponse,
    colleague_shape,
    group_shapes,
    order_shapes,
    shop_shape,
)

orders = router("Orders")


class OrderQuery(Paged):
    """Which orders; all of them unless something is asked for."""

    number: Annotated[str, Field(max_length=32, description="The whole number.")] = ""
    customer: Annotated[str, Field(max_length=16, description="The id of a customer.")] = ""
    shop: Annotated[str, Field(max_length=16, description="The id of a shop.")] = ""


@orders.get("/orders", response_model=Listing[OrderResponse])
def list_orders(call: Caller, query: Annotated[OrderQuery, Query()]) -> Listing[OrderResponse]:
    """Orders, the newest first."""
    with call.reading() as session:
        wanted = select(Order)
        if query.number:
            wanted = wanted.where(Order.number == query.number)
        if query.customer:
            customer = named_record(session, Customer, query.customer, "customer")
            wanted = wanted.where(Order.customer_id == (customer.id if customer else None))
        if query.shop:
            shop = named_record(session, Shop, query.shop, "shop")
            wanted = wanted.where(Order.shop_id == (shop.id if shop else None))
        rows, after = page(session, wanted, Order, query)
        return Listing(items=order_shapes(session, rows), next=after)


@orders.post("/orders", response_model=OrderResponse, status_code=201)
def post_order(call: Caller, new: NewOrder) -> Response:
    """Makes an order."""
    return idempotent(call, lambda session: _order(session, create_order(session, new)), status=201)


@orders.get("/orders/{id}", response_model=OrderResponse)
def get_order(call: Caller, id: str) -> OrderResponse:
    """One order."""
    with call.reading() as session:
        return _order(session, find_order(session, id))


@orders.patch("/orders/{id}", response_model=OrderResponse)
def patch_order(call: Caller, id: str, change: OrderChange) -> Response:
    """Changes what is given. Letters of the order follow it to another customer."""

    def work(session: Session) -> OrderResponse:
        order = find_order(session, id)
        change_order(session, order, change)
        return _order(session, order)

    return idempotent(call, work)


@orders.delete("/orders/{id}", status_code=204, response_class=Response)
def remove_order(call: Caller, id: str) -> Response:
    """Forgets an order. Its letters stay with the customer."""
    return idempotent(call, lambda session: delete_order(session, find_order(session, id)), status=204)


@orders.put(
    "/orders/by-external-id/{external_id:path}", response_model=OrderResponse, responses={201: {"model": OrderResponse}}
)
def put_order_by_external_id(call: Caller, external_id: ExternalIdInPath, change: OrderChange) -> Response:
    """Makes the order that another program knows by this id (201), or changes it (200). What is left out stays."""
    with call.writing() as session:
        order, is_new = put_order(session, external_id, change)
        body = _order(session, order).model_dump_json()
    return Response(body, 201 if is_new else 200, media_type="application/json")


def _order(session: Session, order: Order) -> OrderResponse:
    session.flush()
    return order_shapes(session, [order])[0]


@orders.get("/shops", response_model=Listing[ShopResponse])
def list_shops(call: Caller, paged: PageQuery) -> Listing[ShopResponse]:
    """Shops, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, select(Shop), Shop, paged, newest_first=False)
        return Listing(items=[shop_shape(row) for row in rows], next=after)


@orders.post("/shops", response_model=ShopResponse, status_code=201)
def post_shop(call: Caller, new: NewShop) -> Response:
    """Makes a shop."""
    return idempotent(call, lambda session: shop_shape(create_shop(session, new)), status=201)


@orders.get("/shops/{id}", response_model=ShopResponse)
def get_shop(call: Caller, id: str) -> ShopResponse:
    """One shop."""
    with call.reading() as session:
        return shop_shape(find_record(session, Shop, id))


@orders.patch("/shops/{id}", response_model=ShopResponse)
def patch_shop(call: Caller, id: str, change: ShopChange) -> Response:
    """Changes what is given."""

    def work(session: Session) -> ShopResponse:
        shop = find_record(session, Shop, id)
        change_shop(session, shop, change)
        return shop_shape(shop)

    return idempotent(call, work)


@orders.delete("/shops/{id}", status_code=204, response_class=Response)
def remove_shop(call: Caller, id: str) -> Response:
    """Forgets a shop. Its customers, orders and mailboxes stay, without one."""
    return idempotent(call, lambda session: delete_shop(session, find_record(session, Shop, id)), status=204)


@orders.get("/groups", response_model=Listing[GroupResponse])
def list_groups(call: Caller, paged: PageQuery) -> Listing[GroupResponse]:
    """Groups of managers, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, select(ManagerGroup), ManagerGroup, paged, newest_first=False)
        return Listing(items=group_shapes(session, rows), next=after)


@orders.post("/groups", response_model=GroupResponse, status_code=201)
def post_group(call: Caller, new: NewGroup) -> Response:
    """Makes a group."""
    return idempotent(call, lambda session: _group(session, create_group(session, new)), status=201)


@orders.get("/groups/{id}", response_model=GroupResponse)
def get_group(call: Caller, id: str) -> GroupResponse:
    """One group."""
    with call.reading() as session:
        return _group(session, find_record(session, ManagerGroup, id))


@orders.patch("/groups/{id}", response_model=GroupResponse)
def patch_group(call: Caller, id: str, change: GroupChange) -> Response:
    """Changes what is given; ``members`` are all of them."""

    def work(session: Session) -> GroupResponse:
        group = find_record(session, ManagerGroup, id)
        change_group(session, group, change)
        return _group(session, group)

    return idempotent(call, work)


@orders.delete("/groups/{id}", status_code=204, response_class=Response)
def remove_group(call: Caller, id: str) -> Response:
    """Forgets a group. Its people keep their customers."""
    return idempotent(call, lambda session: delete_group(session, find_record(session, ManagerGroup, id)), status=204)


def _group(session: Session, group: ManagerGroup) -> GroupResponse:
    session.flush()
    return group_shapes(session, [group])[0]


@orders.get("/users", response_model=Listing[ColleagueResponse])
def list_users(call: Caller, paged: PageQuery) -> Listing[ColleagueResponse]:
    """Colleagues, the oldest first; whoever was disabled is not among them."""
    with call.reading() as session:
        rows, after = page(session, select(User).where(col(User.active)), User, paged, newest_first=False)
        return Listing(items=[colleague_shape(row) for row in rows], next=after)
