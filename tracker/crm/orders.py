"""Orders: a number, whose it is and how it stands. No positions and no prices: those are the shop's own."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from tracker.crm.binding import LONGEST_NUMBER, order_numbers
from tracker.crm.records import (
    ExternalId,
    Id,
    apply_changes,
    named_manager,
    named_record,
    require_external_id,
)
from tracker.mail.fields import ChangeModel, SingleLine
from tracker.models import Customer, LetterBinding, Order, Shop
from tracker.models.counting.bulk import is_inserted
from tracker.runtime.localized_text import ActionError, LocalizedError, LocalizedText


def _number(text: str) -> str:
    if order_numbers(f"[#{text}]") != [text]:
        raise LocalizedError(
            LocalizedText(
                "An order number has 1 to %(most)s characters, without spaces and brackets.", most=LONGEST_NUMBER
            )
        )
    return text


OrderNumber = Annotated[SingleLine, AfterValidator(_number)]


class OrderChange(ChangeModel):
    """What to change of an order; what is left out stays."""

    number: OrderNumber = ""
    customer: Id | None = None
    shop: Id | None = None
    manager: Id | None = None
    status: Annotated[SingleLine, Field(max_length=100)] = ""
    external_id: ExternalId | None = None


class NewOrder(OrderChange):
    """An order. In the subject of a letter its number stands as ``[#NUMBER]``."""

    number: OrderNumber


def save_order(session: Session, order: Order | None, change: OrderChange) -> Order:
    """A new order, or one changed as far as ``change`` says: letters that are bound to it go with it to another customer.

    Raises :class:`ActionError`: ``conflict`` when the shop has an order with this number.
    """
    if order is not None:
        _apply(session, order, change)
        return order
    order = Order(number=change.number)
    _apply(session, order, change)
    order.version = 1
    return order


def put_order(session: Session, external_id: str, change: OrderChange) -> tuple[Order, bool]:
    """Makes the order with this id of another program, or changes it. Whether it is new."""
    require_external_id(external_id, change.external_id)
    change = change.model_copy(update={"external_id": external_id})
    order = _by_external_id(session, external_id)
    if order is None:
        if not change.number:
            raise ActionError("invalid", LocalizedText("The order number is missing."), "number")
        shop = named_record(session, Shop, change.shop, "shop")
        facts: dict[str, Any] = {
            "number": change.number,
            "shop_id": shop.id if shop else None,
            "shop_key": shop.id if shop else 0,
        }
        row = Order(external_id=external_id, **facts).model_dump(exclude={"id"})
        made = is_inserted(session, Order, row)
        order = _by_external_id(session, external_id)
        if order is None:
            raise _taken("number")
        _apply(session, order, change)
        order.version = 1 if made else order.version
        return order, made
    _apply(session, order, change)
    return order, False


def _by_external_id(session: Session, external_id: str) -> Order | None:
    query = select(Order).where(Order.external_id == external_id)
    return session.exec(query.with_for_update().execution_options(populate_existing=True)).first()


def _apply(session: Session, order: Order, change: OrderChange) -> None:
    fields_set = change.model_fields_set
    values: dict[str, Any] = {n: getattr(change, n) for n in ("number", "status", "external_id") if n in fields_set}
    if "customer" in fields_set:
        customer = named_record(session, Customer, change.customer, "customer")
        values["customer_id"] = customer.id if customer else None
    if "shop" in fields_set:
        shop = named_record(session, Shop, change.shop, "shop")
        values["shop_id"] = shop.id if shop else None
        values["shop_key"] = shop.id if shop else 0
    if "manager" in fields_set:
        manager = named_manager(session, change.manager, present=order.manager_id)
        values["manager_id"] = manager.id if manager else None
    try:
        with session.begin_nested():
            changed = apply_changes(order, values)
            session.add(order)
    except IntegrityError as error:
        raise _taken("external_id" if "external_id" in str(error.orig) else "number") from None
    if changed and "customer_id" in values:
        bound = update(LetterBinding).where(col(LetterBinding.order_id) == order.id)
        session.exec(bound.values(customer_id=order.customer_id))


def _taken(field: str) -> ActionError:
    text = (
        LocalizedText("Another record has this id already.")
        if field == "external_id"
        else LocalizedText("The shop has an order with this number already.")
    )
    return ActionError("conflict", text, field)


def delete_order(session: Session, order: Order) -> None:
    """Forgets the order. Its letters stay bound to the customer."""
    session.delete(order)
    session.flush()
