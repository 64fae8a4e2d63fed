"""What customers, orders, shops and groups have in common: found by public id, and the fields that name one another."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field
from sqlmodel import Session, col, select

from tracker.mail.fields import SingleLine
from tracker.models import Customer, ManagerGroup, Order, Shop, User
from tracker.models.ownership import is_public_id
from tracker.runtime.database import now
from tracker.runtime.localized_text import N_, ActionError, LocalizedText

Record = TypeVar("Record", Customer, Order, Shop, ManagerGroup, User)
Versioned = TypeVar("Versioned", Customer, Order)

Id = Annotated[SingleLine, Field(max_length=16)]
ExternalId = Annotated[SingleLine, Field(min_length=1, max_length=200)]
NOT_FOUND: Mapping[type, str] = {
    Customer: N_("There is no such customer."),
    Order: N_("There is no such order."),
    Shop: N_("There is no such shop."),
    ManagerGroup: N_("There is no such group."),
    User: N_("There is no such person."),
}


def find_record(session: Session, model: type[Record], public_id: str) -> Record:
    """The record with this public id. Raises :class:`ActionError` ``not_found``."""
    record = _find(session, model, public_id)
    if record is None:
        raise ActionError("not_found", LocalizedText(NOT_FOUND[model]))
    return record


def named_record(session: Session, model: type[Record], public_id: str | None, field: str) -> Record | None:
    """The record that an input names; None for None. Raises :class:`ActionError` ``invalid`` with the input's name."""
    if public_id is None:
        return None
    record = _find(session, model, public_id)
    if record is None:
        raise ActionError("invalid", LocalizedText(NOT_FOUND[model]), field)
    return record


def named_manager(
    session: Session, public_id: str | None, field: str = "manager", *, present: int | None = None
) -> User | None:
    """The same for somebody who is to be in charge: a person who was disabled cannot be, unless it is who is (``present``)."""
    user = named_record(session, User, public_id, field)
    if user is not None and not user.active and user.id != present:
        raise disabled_manager(user.name, field)
    return user


def disabled_manager(name: str, field: str = "manager") -> ActionError:
    return ActionError("invalid", LocalizedText("%(name)s is disabled. Choose somebody else.", name=name), field)


def _find(session: Session, model: type[Record], public_id: str) -> Record | None:
    if not is_public_id(public_id):
        return None
    return session.exec(select(model).where(col(model.public_id) == public_id)).first()


def require_external_id(external_id: str, named: str | None) -> None:
    """Raises :class:`ActionError` where what is put under an id names another one."""
    if named not in (None, external_id):
        raise ActionError(
            "invalid", LocalizedText("The id in the address and the id in the body differ."), "external_id"
        )


def apply_changes(record: Versioned, values: Mapping[str, Any]) -> bool:
    """Sets what is different. Whether anything was: then the record has a new version."""
    changed = {name: value for name, value in values.items() if getattr(record, name) != value}
    for name, value in changed.items():
        setattr(record, name, value)
    if changed:
        touch(record)
    return bool(changed)


def touch(record: Versioned) -> None:
    """The record was changed now."""
    record.version += 1
    record.changed_at = now()
