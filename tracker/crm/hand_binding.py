"""Bound by hand, taken off, and bound again by the rules: what is to change is shown before, and nothing changes silently."""

from dataclasses import dataclass

from sqlmodel import Session

from tracker.crm.binding import BindableLetter, Binding, BindingRule, Flag, bind
from tracker.crm.candidates import find_candidates, is_own_address, shop_id_of, thread_of
from tracker.crm.customers import addresses_of
from tracker.models import Customer, EnquiryChange, Letter, LetterBinding, Mailbox, Order, User
from tracker.notifications.notify import announce
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText


@dataclass(frozen=True)
class BindingPreview:
    """What the rules say of a letter today, beside what stands."""

    present: LetterBinding | None
    proposed: Binding

    @property
    def is_change(self) -> bool:
        present = (self.present.customer_id, self.present.order_id) if self.present else (None, None)
        return present != (self.proposed.customer, self.proposed.order)


def bind_by_hand(
    session: Session, letter: Letter, by: User, *, customer: Customer | None = None, order: Order | None = None
) -> LetterBinding:
    """Binds the letter to an order (and its customer) or to a customer. Raises :class:`ActionError` unless one is named."""
    if (customer is None) == (order is None):
        raise ActionError("invalid", LocalizedText("Name an order or a customer."), "customer")
    customer_id = order.customer_id if order is not None else customer.id if customer is not None else None
    own = {row.lookup for row in addresses_of(session, [customer_id or 0]).get(customer_id or 0, [])}
    flags = [] if letter.sender in own else [Flag.SENDER_DIFFERS.value]
    return _write(session, letter, by, Binding(BindingRule.BY_HAND, customer_id, order.id if order else None), flags)


def unbind(session: Session, letter: Letter, by: User) -> None:
    """The letter belongs to no customer and no order, because a person said so."""
    if (row := session.get(LetterBinding, letter.id)) is not None and (row.customer_id or row.order_id):
        _write(session, letter, by, Binding(BindingRule.BY_HAND), [])


def preview_binding(session: Session, letter: Letter) -> BindingPreview:
    """What stands, and :func:`propose_binding`."""
    return BindingPreview(session.get(LetterBinding, letter.id), propose_binding(session, letter))


def propose_binding(session: Session, letter: Letter) -> Binding:
    """What the rules would bind the letter to now. A customer is made for letters that arrive, never here."""
    shop = shop_id_of(session, session.get_one(Mailbox, letter.mailbox_id))
    candidates = find_candidates(session, [letter])
    customers = candidates.customers.get(letter.sender, ())
    is_own = bool(letter.sender) and is_own_address(session, letter.sender)
    facts = BindableLetter(letter.subject, letter.sender, shop, is_own)
    return bind(facts, thread_of(session, letter), candidates.orders_for(letter.subject), customers)


def bind_again(session: Session, letter: Letter, by: User) -> LetterBinding:
    """Binds the letter as :func:`preview_binding` says."""
    proposed = propose_binding(session, letter)
    return _write(session, letter, by, proposed, [flag.value for flag in proposed.flags])


def _write(session: Session, letter: Letter, by: User, binding: Binding, flags: list[str]) -> LetterBinding:
    row = session.get(LetterBinding, letter.id)
    if row is None:
        row = LetterBinding(letter_id=letter.id, received_at=letter.received_at, rule=binding.rule.value)
    row.customer_id, row.order_id, row.rule, row.flags = binding.customer, binding.order, binding.rule.value, flags
    row.number, row.decided_by, row.decided_at = binding.number, by.id, now()
    session.add(row)
    what = "bound" if binding.is_bound else "unbound"
    session.add(EnquiryChange(letter_id=letter.id, user_id=by.id, what=what))
    session.flush()
    announce(session, letter.user_id, "letter", letter.public_id)
    return row
