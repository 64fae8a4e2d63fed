"""Customers: made, changed, found by their addresses, merged, deleted. Everybody of the workspace may."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select, update

from tracker.crm.candidates import is_own_address
from tracker.crm.records import (
    ExternalId,
    Id,
    apply_changes,
    named_manager,
    named_record,
    require_external_id,
    touch,
)
from tracker.mail.addresses import lookup_form
from tracker.mail.fields import ChangeModel, EmailAddress, Name, SingleLine
from tracker.models import Customer, CustomerAddress, CustomerSource, LetterBinding, Order, Shop, User
from tracker.models.counting.bulk import is_inserted
from tracker.notifications.notify import add_notice
from tracker.notifications.webhooks import emit
from tracker.runtime.localized_text import ActionError, LocalizedText

MOST_ADDRESSES = 50
MOST_TAGS = 50


class CustomerChange(ChangeModel):
    """What to change of a customer; what is left out stays."""

    name: Name = ""
    addresses: Annotated[list[EmailAddress], Field(max_length=MOST_ADDRESSES)] = []
    manager: Annotated[Id | None, Field(description="The id of a person, from GET /users.")] = None
    shop: Id | None = None
    tags: Annotated[list[Annotated[SingleLine, Field(min_length=1, max_length=100)]], Field(max_length=MOST_TAGS)] = []
    external_id: ExternalId | None = None


class NewCustomer(CustomerChange):
    """A customer: at least a name, an address or an id of your own."""


def create_customer(
    session: Session,
    new: CustomerChange,
    by: User | None,
    source: CustomerSource = CustomerSource.BY_HAND,
    *,
    silent: bool = False,
) -> Customer:
    """Makes a customer. ``by`` hears nothing of being the manager; ``silent`` tells no manager. Raises :class:`ActionError`."""
    customer = Customer(source=source, external_id=new.external_id)
    try:
        with session.begin_nested():
            session.add(customer)
    except IntegrityError:
        raise _external_id_taken() from None
    _apply(session, customer, new, by, silent=silent, is_new=True)
    customer.version = 1
    return customer


def refuse_nameless(customer: Customer | CustomerChange, addresses: Sequence[object]) -> None:
    """Raises :class:`ActionError` for a customer by which nobody could be known."""
    if not (customer.name or addresses or customer.external_id):
        raise ActionError("invalid", LocalizedText("Give a name, an e-mail address or an id of your own."), "name")


def change_customer(
    session: Session, customer: Customer, change: CustomerChange, by: User | None, *, silent: bool = False
) -> bool:
    """Changes what is set. Whether anything is different now. Raises :class:`ActionError`."""
    try:
        with session.begin_nested():
            return _apply(session, customer, change, by, silent=silent)
    except IntegrityError:
        raise _external_id_taken() from None


def put_customer(session: Session, external_id: str, change: CustomerChange, by: User | None) -> tuple[Customer, bool]:
    """Makes the customer with this id of another program, or changes it; of any number at once, one makes it. Whether it is new."""
    require_external_id(external_id, change.external_id)
    change = change.model_copy(update={"external_id": external_id})
    row = Customer(external_id=external_id, source=CustomerSource.API).model_dump(exclude={"id"})
    made = is_inserted(session, Customer, row)
    query = select(Customer).where(Customer.external_id == external_id)
    customer = session.exec(query.with_for_update().execution_options(populate_existing=True)).one()
    _apply(session, customer, change, by, is_new=made)
    return customer, made


def _external_id_taken() -> ActionError:
    return ActionError("conflict", LocalizedText("Another record has this id already."), "external_id")


def _apply(
    session: Session,
    customer: Customer,
    change: CustomerChange,
    by: User | None,
    *,
    silent: bool = False,
    is_new: bool = False,
) -> bool:
    fields_set = change.model_fields_set
    values: dict[str, Any] = {
        name: getattr(change, name) for name in ("name", "tags", "external_id") if name in fields_set
    }
    if "shop" in fields_set:
        shop = named_record(session, Shop, change.shop, "shop")
        values["shop_id"] = shop.id if shop else None
    before = customer.manager_id
    if "manager" in fields_set:
        manager = named_manager(session, change.manager, present=customer.manager_id)
        values["manager_id"] = manager.id if manager else None
    changed = apply_changes(customer, values)
    if "addresses" in fields_set and set_addresses(session, customer, change.addresses):
        touch(customer)
        changed = True
    refuse_nameless(customer, addresses_of(session, [customer.id]).get(customer.id, []))
    session.add(customer)
    session.flush()
    if is_new:
        customer.version = 1
        session.flush()
    if is_new:
        emit(session, "customer.created", facts_of(session, customer))
    if customer.manager_id is not None and customer.manager_id != before:
        emit(session, "customer.assigned", facts_of(session, customer))
        if not silent:
            note_assigned(session, customer, by)
    return changed


def facts_of(session: Session, customer: Customer) -> dict[str, Any]:
    """What webhooks tell of a customer."""
    manager = session.get(User, customer.manager_id) if customer.manager_id else None
    rows = addresses_of(session, [customer.id]).get(customer.id, [])
    return customer_facts(customer.model_dump(), [row.address for row in rows], manager.public_id if manager else None)


def customer_facts(row: Mapping[str, Any], addresses: Sequence[str], manager: str | None) -> dict[str, Any]:
    """The same, of what was read already. ``version`` grows, so that two events can be put in their order."""
    facts = {name: row[name] for name in ("name", "external_id", "source", "version")}
    return {"id": row["public_id"], "addresses": list(addresses), "manager": manager, **facts}


def note_assigned(session: Session, customer: Customer, by: User | None) -> None:
    """Tells the manager of the new customer; whoever has done it knows."""
    if by is None or by.id != customer.manager_id:
        subject = f"customer:{customer.id}:{customer.version}"
        add_notice(
            session, "customer_assigned", subject, customer.manager_id or 0, None, facts={"customer": customer.id}
        )


def set_addresses(session: Session, customer: Customer, addresses: Sequence[str]) -> bool:
    """These and no others, in this order. Whether anything changed. Raises :class:`ActionError` for an address of ours."""
    by_form = {lookup_form(address): address for address in reversed(addresses)}
    wanted = {form: by_form[form] for form in dict.fromkeys(map(lookup_form, addresses))}
    refuse_own_addresses(session, wanted)
    rows = {row.lookup: row for row in addresses_of(session, [customer.id]).get(customer.id, [])}
    same = [(row.lookup, row.address) for row in rows.values()] == list(wanted.items())
    if same:
        return False
    for form in rows.keys() - wanted.keys():
        session.delete(rows[form])
    for position, (form, address) in enumerate(wanted.items()):
        row = rows.get(form) or CustomerAddress(customer_id=customer.id, lookup=form, address=address)
        row.position, row.address = position, address
        session.add(row)
    session.flush()
    return True


def refuse_own_addresses(session: Session, forms: Iterable[str]) -> None:
    """Raises :class:`ActionError` for an address of ours among these look-up forms."""
    for form in forms:
        if is_own_address(session, form):
            text = LocalizedText("%(address)s is an address of your own workspace, and no customer’s.", address=form)
            raise ActionError("invalid", text, "addresses", detail_code="own_address")


def addresses_of(session: Session, customers: Iterable[int]) -> dict[int, list[CustomerAddress]]:
    """The addresses of these customers, each customer's in their order."""
    wanted = list(customers)
    if not wanted:
        return {}
    query = select(CustomerAddress).where(col(CustomerAddress.customer_id).in_(wanted))
    by_customer: dict[int, list[CustomerAddress]] = {}
    for row in session.exec(query.order_by(col(CustomerAddress.position), col(CustomerAddress.id))):
        by_customer.setdefault(row.customer_id, []).append(row)
    return by_customer


def create_for_sender(session: Session, address: str, form: str, shop: int | None) -> tuple[Customer, bool]:
    """The customer that a letter makes: nothing but the address is filled in. Of two letters at once one makes it, and both get
    it. Whether it is new."""
    customer = Customer(shop_id=shop, source=CustomerSource.INCOMING_EMAIL)
    session.add(customer)
    session.flush()
    key = f"{form}|{shop or 0}"
    row = CustomerAddress(customer_id=customer.id, address=address, lookup=form, created_for=key)
    if is_inserted(session, CustomerAddress, row.model_dump(exclude={"id"})):
        emit(session, "customer.created", facts_of(session, customer))
        return customer, True
    session.delete(customer)
    session.flush()
    query = select(Customer).join(CustomerAddress, col(CustomerAddress.customer_id) == col(Customer.id))
    return session.exec(query.where(CustomerAddress.created_for == key)).one(), False


def delete_customer(session: Session, customer: Customer) -> None:
    """Forgets the customer and the addresses. Letters and orders stay, without a customer."""
    session.delete(customer)
    session.flush()


def merge_customers(session: Session, remaining: Customer, merged: Customer) -> None:
    """Everything of ``merged`` becomes ``remaining``'s: addresses, orders, letters; then it is gone. What ``remaining`` says of
    itself stays.

    Raises :class:`ActionError`.
    """
    if remaining.id == merged.id:
        raise ActionError("invalid", LocalizedText("A customer cannot be merged with itself."), "customer")
    ids = sorted([remaining.id, merged.id])
    # Whoever binds a letter to either waits for us, and we for them: nothing is bound to what goes.
    session.exec(
        select(Customer.id).where(col(Customer.id).in_(ids)).order_by(col(Customer.id)).with_for_update()
    ).all()
    both = addresses_of(session, ids)
    own = {row.lookup for row in both.get(remaining.id, [])}
    for position, row in enumerate(both.get(merged.id, []), start=len(own)):
        if row.lookup in own:
            session.delete(row)
        else:
            row.customer_id, row.position = remaining.id, position
    session.flush()
    for table in (Order, LetterBinding):
        session.exec(update(table).where(col(table.customer_id) == merged.id).values(customer_id=remaining.id))
    remaining.tags = list(dict.fromkeys([*remaining.tags, *merged.tags]))[:MOST_TAGS]
    remaining.name = remaining.name or merged.name
    before, remaining.manager_id = remaining.manager_id, remaining.manager_id or merged.manager_id
    external_id = merged.external_id
    session.exec(delete(Customer).where(col(Customer.id) == merged.id))
    session.expunge(merged)
    remaining.external_id = remaining.external_id or external_id
    touch(remaining)
    session.add(remaining)
    session.flush()
    if remaining.manager_id != before:
        emit(session, "customer.assigned", facts_of(session, remaining))
