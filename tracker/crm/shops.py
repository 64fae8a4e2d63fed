"""Shops, and the groups of managers among whom new customers are shared out."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from tracker.crm.records import Id, named_manager
from tracker.mail.fields import ChangeModel, SingleLine
from tracker.models import GroupMember, Mailbox, ManagerGroup, Order, Shop, User
from tracker.runtime.localized_text import ActionError, LocalizedText

RecordName = Annotated[SingleLine, Field(min_length=1, max_length=200)]


class ShopChange(ChangeModel):
    """What to change of a shop."""

    name: RecordName = ""


class NewShop(ShopChange):
    """A shop: orders and mailboxes belong to one."""

    name: RecordName


class GroupChange(ChangeModel):
    """What to change of a group; what is left out stays."""

    name: RecordName = ""
    members: Annotated[list[Id], Field(max_length=500, description="Ids of people, from GET /users.")] = []


class NewGroup(GroupChange):
    """A group of people among whom new customers are shared out."""

    name: RecordName


def save_shop(session: Session, shop: Shop | None, change: ShopChange) -> Shop:
    """A new shop, or one changed. Raises :class:`ActionError` ``conflict`` when another shop is called so."""
    shop = shop or Shop(name=change.name)
    _save(session, shop, change)
    return shop


def delete_shop(session: Session, shop: Shop) -> None:
    """Customers, orders and mailboxes of the shop stay, without a shop; numbers that two shops had stay two orders."""
    orders = update(Order).where(col(Order.shop_id) == shop.id)
    session.exec(orders.values(shop_id=None, shop_key=-col(Order.id)))
    session.exec(update(Mailbox).where(col(Mailbox.shop) == shop.public_id).values(shop=None))
    session.delete(shop)
    session.flush()


def save_group(session: Session, group: ManagerGroup | None, change: GroupChange) -> ManagerGroup:
    """A new group, or one changed: whoever stays keeps their turn; whoever is new comes next, once. Raises :class:`ActionError`."""
    group = group or ManagerGroup(name=change.name)
    _save(session, group, change)
    if "members" in change.model_fields_set:
        set_members(session, group, change.members)
    return group


def delete_group(session: Session, group: ManagerGroup) -> None:
    """New customers of its mailboxes get no manager any more; those who have one keep theirs."""
    session.exec(update(Mailbox).where(col(Mailbox.group) == group.public_id).values(group=None))
    session.delete(group)
    session.flush()


def set_members(session: Session, group: ManagerGroup, members: Iterable[str]) -> None:
    """These people and no others. Raises :class:`ActionError` for somebody unknown or disabled who was not there before."""
    session.exec(select(ManagerGroup.id).where(ManagerGroup.id == group.id).with_for_update()).one()
    rows = {row.user_id: row for row in session.exec(select(GroupMember).where(GroupMember.group_id == group.id))}
    known = {user.public_id: user for user in members_of(session, [group.id]).get(group.id, [])}
    wanted = {}
    for public_id in members:
        user = known.get(public_id) or named_manager(session, public_id, "members")
        assert user is not None
        wanted[user.id] = user
    for user_id in rows.keys() - wanted.keys():
        session.delete(rows[user_id])
    for user_id in wanted.keys() - rows.keys():
        session.add(GroupMember(group_id=group.id, user_id=user_id))
    session.flush()


def members_of(session: Session, groups: Iterable[int]) -> dict[int, list[User]]:
    """The people of these groups by name, disabled ones too."""
    query = select(GroupMember.group_id, User).join(User, col(User.id) == col(GroupMember.user_id))
    members: dict[int, list[User]] = {}
    for group, user in session.exec(query.where(col(GroupMember.group_id).in_(list(groups))).order_by(User.name)):
        members.setdefault(group, []).append(user)
    return members


def _save(session: Session, record: Shop | ManagerGroup, change: ShopChange | GroupChange) -> None:
    if "name" in change.model_fields_set:
        record.name = change.name
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError:
        raise ActionError("conflict", LocalizedText("Another one has this name already."), "name") from None
