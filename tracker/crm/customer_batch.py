"""Many customers at once, as an import brings them: a few statements for hundreds, and each refused alone.

What is new, what stays as it is and what changes by itself is written together. The rest goes one by one through
:mod:`tracker.crm.customers`: other addresses than before, and whatever another program has changed at the same moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlmodel import Session, col, select

from tracker.crm.candidates import customers_by_address
from tracker.crm.customers import (
    CustomerChange,
    addresses_of,
    change_customer,
    create_customer,
    customer_facts,
    refuse_nameless,
    refuse_own_addresses,
)
from tracker.crm.records import NOT_FOUND, disabled_manager
from tracker.mail.addresses import lookup_form
from tracker.models import Customer, CustomerAddress, CustomerSource, Shop, User
from tracker.models.counting.bulk import append_rows, reserve_ids, update_rows
from tracker.models.counting.tables import CUSTOMER, CUSTOMER_ADDRESS, in_list
from tracker.models.rows import public_id
from tracker.notifications.webhooks import Kind, emit, is_heard
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

Thing = TypeVar("Thing")
_COLUMNS = ("name", "tags", "external_id", "shop_id", "manager_id")


@dataclass(frozen=True)
class Saved:
    """What became of one customer: created, changed, unchanged, or refused with its ``error``. ``manager_id`` is set where the
    customer got a manager that it did not have."""

    status: str
    customer: str | None = None
    manager_id: int | None = None
    error: ActionError | None = None


def save_customers(session: Session, changes: Sequence[CustomerChange], by: User) -> list[Saved]:
    """Makes or changes the customer of each, in their order; no manager is told."""
    saved: list[Saved] = []
    people = {user.public_id: user for user in session.exec(select(User))}
    shops = dict(session.exec(select(Shop.public_id, Shop.id)).all())
    for part in _parts(changes):
        saved += _Part(session, part, by, people, shops).save()
    return saved


def _parts(changes: Sequence[CustomerChange]) -> Iterable[list[CustomerChange]]:
    """Cut where a customer is named again: what was said of it before must be written then."""
    part: list[CustomerChange] = []
    named: set[str] = set()
    for change in changes:
        names = {f"id {change.external_id}"} if change.external_id else set()
        names |= set(map(lookup_form, change.addresses))
        if names & named:
            yield part
            part, named = [], set()
        part.append(change)
        named |= names
    if part:
        yield part


class _Part:
    """Customers of whom none is named twice."""

    def __init__(
        self,
        session: Session,
        changes: Sequence[CustomerChange],
        by: User,
        people: Mapping[str, User],
        shops: Mapping[str, int],
    ) -> None:
        self._session, self._changes, self._by = session, changes, by
        self._people, self._shops = people, shops
        self._saved: dict[int, Saved] = {}
        self._new: list[tuple[int, CustomerChange]] = []
        self._changed: list[tuple[Customer, dict[str, Any]]] = []
        self._alone: list[int] = []

    def save(self) -> list[Saved]:
        try:
            with self._session.begin_nested():
                self._decide()
                self._insert()
                self._update()
        except self._session.get_bind().dialect.loaded_dbapi.IntegrityError:
            # Another program made or deleted one of them a moment ago.
            self._saved, self._alone = {}, list(range(len(self._changes)))
        for number in self._alone:
            self._saved[number] = self._save_alone(self._changes[number])
        return [self._saved[number] for number in range(len(self._changes))]

    def _decide(self) -> None:
        known = find_known(self._session, self._changes)
        addresses = addresses_of(self._session, [row.id for row in known if row is not None])
        for number, (change, customer) in enumerate(zip(self._changes, known, strict=True)):
            try:
                if customer is None:
                    refuse_nameless(change, change.addresses)
                    refuse_own_addresses(self._session, map(lookup_form, change.addresses))
                    self._values(change)
                    self._new.append((number, change))
                else:
                    self._compare(number, change, customer, addresses.get(customer.id, []))
            except ActionError as error:
                self._saved[number] = Saved("refused", error=error)

    def _compare(
        self, number: int, change: CustomerChange, customer: Customer, addresses: Sequence[CustomerAddress]
    ) -> None:
        forms = {lookup_form(address): address for address in reversed(change.addresses)}
        wanted = [(form, forms[form]) for form in dict.fromkeys(map(lookup_form, change.addresses))]
        if "addresses" in change.model_fields_set and [(row.lookup, row.address) for row in addresses] != wanted:
            self._alone.append(number)
            return
        values = {
            name: value
            for name, value in self._values(change, customer.manager_id).items()
            if getattr(customer, name) != value
        }
        if values:
            self._changed.append((customer, values))
        manager = values.get("manager_id")
        self._saved[number] = Saved("changed" if values else "unchanged", customer.public_id, manager)

    def _values(self, change: CustomerChange, manager: int | None = None) -> dict[str, Any]:
        """The columns that are set, for a customer with this manager. Raises :class:`ActionError`."""
        fields_set = change.model_fields_set
        values: dict[str, Any] = {name: getattr(change, name) for name in _COLUMNS[:3] if name in fields_set}
        if "shop" in fields_set:
            values["shop_id"] = change.shop and _named(self._shops, change.shop, Shop, "shop")
        if "manager" in fields_set:
            user = change.manager and _named(self._people, change.manager, User, "manager")
            if user and not user.active and user.id != manager:
                raise disabled_manager(user.name)
            values["manager_id"] = user.id if user else None
        return values

    def _insert(self) -> None:
        session, moment = self._session, now()
        ids = reserve_ids(session, CUSTOMER, len(self._new))
        blank: dict[str, Any] = {
            "name": "",
            "tags": [],
            "external_id": None,
            "shop_id": None,
            "manager_id": None,
            "version": 1,
        }
        blank |= {"source": CustomerSource.IMPORT.value, "created_at": moment, "changed_at": moment}
        made = []
        for id_, (number, change) in zip(ids, self._new, strict=True):
            row = {**blank, "id": id_, "public_id": public_id(), **self._values(change)}
            made.append((row, change.addresses))
            self._saved[number] = Saved("created", row["public_id"], row["manager_id"])
        append_rows(session, CUSTOMER, [row for row, _ in made])
        append_rows(
            session,
            CUSTOMER_ADDRESS,
            [address_row for row, several in made for address_row in _address_rows(row, several)],
        )
        for row, several in made:
            self._emit("customer.created", row, several)
            if row["manager_id"] is not None:
                self._emit("customer.assigned", row, several)

    def _update(self) -> None:
        if not self._changed:
            return
        session, moment = self._session, now()
        held = {customer.id: customer.version for customer, _ in self._changed}
        query = select(Customer).where(in_list(session, col(Customer.id), [id_ or 0 for id_ in held]))
        locked = query.order_by(col(Customer.id)).with_for_update().execution_options(populate_existing=True)
        for customer in session.exec(locked):
            if customer.version != held[customer.id]:
                raise self._session.get_bind().dialect.loaded_dbapi.IntegrityError
        for customer, values in self._changed:
            for name, value in values.items():
                setattr(customer, name, value)
            customer.version, customer.changed_at = customer.version + 1, moment
        columns = ("id", *_COLUMNS, "version", "changed_at")
        rows = [{name: getattr(customer, name) for name in columns} for customer, _ in self._changed]
        for customer, _ in self._changed:
            session.expunge(customer)
        update_rows(session, CUSTOMER, rows)
        for customer, values in self._changed:
            if values.get("manager_id") is not None:
                rows_of = addresses_of(session, [customer.id]).get(customer.id, []) if self._is_subscribed() else []
                self._emit("customer.assigned", customer.model_dump(), [row.address for row in rows_of])

    def _is_subscribed(self) -> bool:
        return is_heard(self._session, "customer.assigned")

    def _emit(self, kind: Kind, row: Mapping[str, Any], addresses: Sequence[str]) -> None:
        if is_heard(self._session, kind):
            manager = next((person for person, user in self._people.items() if user.id == row["manager_id"]), None)
            emit(self._session, kind, customer_facts(row, addresses, manager))

    def _save_alone(self, change: CustomerChange) -> Saved:
        session = self._session
        try:
            with session.begin_nested():
                (customer,) = find_known(session, [change])
                before = customer.manager_id if customer is not None else None
                if customer is None:
                    customer, status = (
                        create_customer(session, change, self._by, CustomerSource.IMPORT, silent=True),
                        "created",
                    )
                else:
                    changed = change_customer(session, customer, change, self._by, silent=True)
                    status = "changed" if changed else "unchanged"
            manager = customer.manager_id if customer.manager_id != before else None
            return Saved(status, customer.public_id, manager)
        except ActionError as error:
            return Saved("refused", error=error)


def _named(known: Mapping[str, Thing], public_id: str, model: type, field: str) -> Thing:
    if public_id not in known:
        raise ActionError("invalid", LocalizedText(NOT_FOUND[model]), field)
    return known[public_id]


def find_known(session: Session, changes: Sequence[CustomerChange]) -> list[Customer | None]:
    """The customer of each that is there: by ``external_id``, else by the first address, unless that one has another id."""
    ids = [change.external_id for change in changes if change.external_id]
    by_id = {row.external_id: row for row in _customers(session, col(Customer.external_id), ids)}
    firsts = {
        lookup_form(change.addresses[0]) for change in changes if change.addresses and change.external_id not in by_id
    }
    numbers: dict[str, int] = {
        form: min(customer.id for customer in same) for form, same in customers_by_address(session, firsts).items()
    }
    by_number = {row.id: row for row in _customers(session, col(Customer.id), set(numbers.values()))}

    def known(change: CustomerChange) -> Customer | None:
        if change.external_id and change.external_id in by_id:
            return by_id[change.external_id]
        row = by_number.get(numbers.get(lookup_form(change.addresses[0]), 0)) if change.addresses else None
        return row if row is not None and (row.external_id is None or not change.external_id) else None

    return [known(change) for change in changes]


def _customers(session: Session, column: Any, values: Iterable[Any]) -> Sequence[Customer]:
    listed = list(values)
    return session.exec(select(Customer).where(in_list(session, column, listed))).all() if listed else ()


def _address_rows(customer: Mapping[str, Any], addresses: Sequence[str]) -> list[dict[str, Any]]:
    forms = {lookup_form(address): address for address in reversed(addresses)}
    wanted = dict.fromkeys(map(lookup_form, addresses))
    return [
        {
            "customer_id": customer["id"],
            "position": position,
            "address": forms[form],
            "lookup": form,
            "created_for": None,
        }
        for position, form in enumerate(wanted)
    ]
