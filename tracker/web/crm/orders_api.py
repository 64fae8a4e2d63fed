"""``/orders``, ``/shops``, ``/groups`` and ``/users``."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlmodel import col, select

from tracker.crm.orders import NewOrder, OrderChange, delete_order, put_order, save_order
from tracker.crm.records import find_record, named_record
from tracker.crm.shops import (
    GroupChange,
    NewGroup,
    NewShop,
    ShopChange,
    delete_group,
    delete_shop,
    save_group,
    save_shop,
)
from tracker.models import Customer, ManagerGroup, Order, Shop, User
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.paging import Listing, Paged, PageQuery, page
from tracker.web.api.resource import Resource
from tracker.web.crm.responses import (
    ColleagueResponse,
    GroupResponse,
    OrderResponse,
    ShopResponse,
    group_shapes,
    order_shapes,
)

orders = router("Orders")


ORDERS = Resource(
    plural="orders",
    singular="order",
    model=Order,
    new=NewOrder,
    change=OrderChange,
    response=OrderResponse,
    show=lambda session, call, rows: order_shapes(session, rows),
    find=lambda session, call, id: find_record(session, Order, id),
    save=lambda session, call, row, change: save_order(session, row, change),
    remove=lambda session, call, row: delete_order(session, row),
    texts=(
        "",
        "One order.",
        "Makes an order.",
        "Changes what is given. Letters of the order follow it to another customer.",
        "Forgets an order. Its letters stay with the customer.",
    ),
)
SHOPS = Resource(
    plural="shops",
    singular="shop",
    model=Shop,
    new=NewShop,
    change=ShopChange,
    response=ShopResponse,
    show=lambda session, call, rows: [ShopResponse.of_row(row) for row in rows],
    find=lambda session, call, id: find_record(session, Shop, id),
    save=lambda session, call, row, change: save_shop(session, row, change),
    remove=lambda session, call, row: delete_shop(session, row),
    texts=(
        "Shops, the oldest first.",
        "One shop.",
        "Makes a shop.",
        "Changes what is given.",
        "Forgets a shop. Its customers, orders and mailboxes stay, without one.",
    ),
)
GROUPS = Resource(
    plural="groups",
    singular="group",
    model=ManagerGroup,
    new=NewGroup,
    change=GroupChange,
    response=GroupResponse,
    show=lambda session, call, rows: group_shapes(session, rows),
    find=lambda session, call, id: find_record(session, ManagerGroup, id),
    save=lambda session, call, row, change: save_group(session, row, change),
    remove=lambda session, call, row: delete_group(session, row),
    texts=(
        "Groups of managers, the oldest first.",
        "One group.",
        "Makes a group.",
        "Changes what is given; ``members`` are all of them.",
        "Forgets a group. Its people keep their customers.",
    ),
)


class OrderQuery(Paged):
    """Which orders; all of them unless something is asked for."""

    number: Annotated[str, Field(max_length=32, description="The whole number.")] = ""
    customer: Annotated[str, Field(max_length=16, description="The id of a customer.")] = ""
    shop: Annotated[str, Field(max_length=16, description="The id of a shop.")] = ""


@orders.get("/orders", response_model=Listing[OrderResponse])
def list_orders(call: Caller, query: Annotated[OrderQuery, Query()]) -> Any:
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
        return ORDERS.listed(session, call, *page(session, wanted, Order, query))


ORDERS.add_to(orders, with_list=False)
ORDERS.add_put(orders, lambda session, call, external_id, change: put_order(session, external_id, change))
SHOPS.add_to(orders)
GROUPS.add_to(orders)


@orders.get("/users", response_model=Listing[ColleagueResponse])
def list_users(call: Caller, paged: PageQuery) -> Listing[ColleagueResponse]:
    """Colleagues, the oldest first; whoever was disabled is not among them."""
    with call.reading() as session:
        rows, after = page(session, select(User).where(col(User.active)), User, paged, newest_first=False)
        return Listing(items=[ColleagueResponse.of_row(row) for row in rows], next=after)
