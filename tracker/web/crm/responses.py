"""Customers, orders, shops, groups and people as the API answers them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Path
from sqlmodel import Session, col, select

from tracker.crm.customers import addresses_of
from tracker.crm.shops import members_of
from tracker.mail.fields import ResponseModel, SingleLine
from tracker.models import Customer, ManagerGroup, Order, Shop, User

ExternalIdInPath = Annotated[SingleLine, Path(min_length=1, max_length=200)]
"""May hold slashes."""


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


def colleague_shape(user: User) -> ColleagueResponse:
    return ColleagueResponse(id=user.public_id, name=user.name, status=user.status, active=user.active)


def shop_shape(shop: Shop) -> ShopResponse:
    return ShopResponse(id=shop.public_id, name=shop.name, created_at=shop.created_at)


def group_shapes(session: Session, groups: Sequence[ManagerGroup]) -> list[GroupResponse]:
    members = members_of(session, [group.id or 0 for group in groups])
    return [
        GroupResponse(
            id=group.public_id,
            name=group.name,
            members=[user.public_id for user in members.get(group.id or 0, [])],
            created_at=group.created_at,
        )
        for group in groups
    ]


_CUSTOMER = {"name", "tags", "external_id", "source", "version", "created_at", "changed_at"}
_ORDER = {"number", "status", "external_id", "version", "created_at", "changed_at"}


def customer_shapes(session: Session, customers: Sequence[Customer]) -> list[CustomerResponse]:
    """In as many queries however many they are."""
    addresses = addresses_of(session, [customer.id or 0 for customer in customers])
    managers = public_ids(session, User, (customer.manager_id for customer in customers))
    shops = public_ids(session, Shop, (customer.shop_id for customer in customers))
    return [
        CustomerResponse(
            id=customer.public_id,
            addresses=[row.address for row in addresses.get(customer.id or 0, [])],
            manager=managers.get(customer.manager_id),
            shop=shops.get(customer.shop_id),
            **customer.model_dump(include=_CUSTOMER),
        )
        for customer in customers
    ]


def order_shapes(session: Session, orders: Sequence[Order]) -> list[OrderResponse]:
    """In as many queries however many they are."""
    customers = public_ids(session, Customer, (order.customer_id for order in orders))
    managers = public_ids(session, User, (order.manager_id for order in orders))
    shops = public_ids(session, Shop, (order.shop_id for order in orders))
    return [
        OrderResponse(
            id=order.public_id,
            customer=customers.get(order.customer_id),
            manager=managers.get(order.manager_id),
            shop=shops.get(order.shop_id),
            **order.model_dump(include=_ORDER),
        )
        for order in orders
    ]


def public_ids(
    session: Session, model: type[User] | type[Shop] | type[Customer] | type[Order], ids: Iterable[int | None]
) -> dict[int | None, str]:
    """The public ids of rows by their numbers."""
    wanted = {number for number in ids if number is not None}
    if not wanted:
        return {}
    return dict(session.exec(select(model.id, model.public_id).where(col(model.id).in_(wanted))).all())
