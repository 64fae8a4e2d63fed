"""Customers, orders, shops, groups and people as the API answers them."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from tracker.crm.customers import addresses_of
from tracker.crm.shops import members_of
from tracker.mail.fields import ResponseModel
from tracker.models import Customer, ManagerGroup, Order, Shop, User
from tracker.models.rows import public_ids


class ColleagueResponse(ResponseModel):
    """Somebody of the workspace."""

    id: str
    name: str
    status: str
    active: bool


class ShopResponse(ResponseModel):
    id: str
    name: str
    created_at: datetime


class GroupResponse(ResponseModel):
    """People among whom new customers are shared out; ``members`` are their ids."""

    id: str
    name: str
    members: list[str]
    created_at: datetime


class CustomerResponse(ResponseModel):
    """A customer. ``manager`` and ``shop`` are ids; ``version`` grows with every change."""

    id: str
    name: str
    addresses: list[str]
    manager: str | None
    shop: str | None
    tags: list[str]
    external_id: str | None
    source: str
    version: int
    created_at: datetime
    changed_at: datetime


class OrderResponse(ResponseModel):
    """An order. ``customer``, ``shop`` and ``manager`` are ids; ``version`` grows with every change."""

    id: str
    number: str
    customer: str | None
    shop: str | None
    manager: str | None
    status: str
    external_id: str | None
    version: int
    created_at: datetime
    changed_at: datetime


def group_shapes(session: Session, groups: Sequence[ManagerGroup]) -> list[GroupResponse]:
    members = members_of(session, [group.id for group in groups])
    return [
        GroupResponse.of_row(group, members=[user.public_id for user in members.get(group.id, [])]) for group in groups
    ]


def customer_shapes(session: Session, customers: Sequence[Customer]) -> list[CustomerResponse]:
    """In as many queries however many they are."""
    addresses = addresses_of(session, [customer.id for customer in customers])
    managers = public_ids(session, User, (customer.manager_id for customer in customers))
    shops = public_ids(session, Shop, (customer.shop_id for customer in customers))
    return [
        CustomerResponse.of_row(
            customer,
            addresses=[row.address for row in addresses.get(customer.id, [])],
            manager=managers.get(customer.manager_id),
            shop=shops.get(customer.shop_id),
        )
        for customer in customers
    ]


def order_shapes(session: Session, orders: Sequence[Order]) -> list[OrderResponse]:
    """In as many queries however many they are."""
    customers = public_ids(session, Customer, (order.customer_id for order in orders))
    managers = public_ids(session, User, (order.manager_id for order in orders))
    shops = public_ids(session, Shop, (order.shop_id for order in orders))
    return [
        OrderResponse.of_row(
            order,
            customer=customers.get(order.customer_id),
            manager=managers.get(order.manager_id),
            shop=shops.get(order.shop_id),
        )
        for order in orders
    ]
