"""Letters as they arrive: each is bound, its customer made where that is wanted, and an enquiry gets its manager.

    candidates  →  verdicts (:mod:`tracker.crm.binding`)  →  customers made and shared out
    →  rows of binding  →  enquiries opened, or woken by a repeat  →  who is to be told

One transaction: the caller's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, func, update
from sqlmodel import Session, col, select

from tracker.crm.assignment import Assigner
from tracker.crm.binding import BindableLetter, Binding, BindingRule, bind
from tracker.crm.candidates import find_candidates, is_own_address, shop_id_of, thread_of
from tracker.crm.customers import create_for_sender
from tracker.models import Category, Customer, EnquiryStatus, Letter, Mailbox, Order, User
from tracker.models.counting.bulk import append_rows
from tracker.models.counting.tables import ENQUIRY_STATUS, LETTER_BINDING
from tracker.notifications.notify import add_notice
from tracker.runtime.database import UtcDateTime, now

_BOUND_CATEGORIES = (Category.HUMAN, Category.AUTO_REPLY)
_TRIES = 3
# Statements are made once: making one costs more than running it.
_REPEATED = update(ENQUIRY_STATUS).where(ENQUIRY_STATUS.c.letter_id == bindparam("enquiry"))
_AT = bindparam("at", type_=UtcDateTime())
_WAITS = _REPEATED.where(ENQUIRY_STATUS.c.last_answer_at.is_(None) | (ENQUIRY_STATUS.c.last_answer_at < _AT)).values(
    waiting_since=func.coalesce(ENQUIRY_STATUS.c.waiting_since, _AT), version=ENQUIRY_STATUS.c.version + 1
)
_IS_OPEN = _REPEATED.where(ENQUIRY_STATUS.c.done_at.is_(None) | (ENQUIRY_STATUS.c.done_at < _AT)).values(
    done_at=None, snoozed_until=None
)


@dataclass(frozen=True)
class BoundLetter:
    """What became of one letter. ``manager`` is whom its enquiry is given to; ``is_told`` whether that person is told of it."""

    letter: Letter
    binding: Binding
    manager: int | None = None
    is_told: bool = False


def bind_letters(
    session: Session, mailbox: Mailbox, letters: Sequence[Letter], *, looping: Collection[int] = ()
) -> dict[int, BoundLetter]:
    """Binds new letters of one mailbox, by the number of the letter. Automatic answers are bound and change nothing else; old
    mail, first loads and letters of a loop (``looping``) make no customers and tell nobody."""
    wanted = [letter for letter in letters if letter.category in _BOUND_CATEGORIES]
    if not wanted:
        return {}
    shop = shop_id_of(session, mailbox)
    creating = {letter.id for letter in wanted if mailbox.create_customer and _may_create(letter, looping)}
    bindings = _decide(session, wanted, shop, creating)
    made = _make_customers(session, mailbox, shop, wanted, bindings)
    managers = _managers(session, bindings.values())
    bound = {letter.id: _bound(mailbox, letter, bindings[letter.id], managers, made, looping) for letter in wanted}
    append_rows(session, LETTER_BINDING, [_row(binding) for binding in bound.values()])
    human = [bound_letter for bound_letter in bound.values() if bound_letter.letter.category == Category.HUMAN]
    _open_enquiries(session, [bound_letter for bound_letter in human if bound_letter.letter.counted])
    _wake_enquiries(session, [bound_letter for bound_letter in human if bound_letter.letter.repeat_of_id is not None])
    _add_notices(session, mailbox, human)
    return bound


def _may_create(letter: Letter, looping: Collection[int]) -> bool:
    old = letter.recovered or letter.backfilled or letter.silent
    return letter.category == Category.HUMAN and not old and letter.id not in looping


def _decide(
    session: Session, letters: Sequence[Letter], shop: int | None, creating: Collection[int]
) -> dict[int, Binding]:
    """The verdicts. What they name stays there until the commit: whoever merges or deletes it waits for us."""
    for _ in range(_TRIES):
        bindings = _decide_once(session, letters, shop, creating)
        if _hold(session, bindings.values()):
            break
    return bindings


def _decide_once(
    session: Session, letters: Sequence[Letter], shop: int | None, creating: Collection[int]
) -> dict[int, Binding]:
    candidates = find_candidates(session, letters)
    bindings = {}
    for letter in letters:
        customers = candidates.customers.get(letter.sender, ())
        facts = BindableLetter(
            subject=letter.subject,
            sender=letter.sender,
            shop=shop,
            is_own=bool(letter.sender) and not customers and is_own_address(session, letter.sender),
            may_create=letter.id in creating,
        )
        orders = candidates.orders_for(letter.subject) if "[#" in letter.subject else ()
        bindings[letter.id] = bind(facts, thread_of(session, letter), orders, customers)
    return bindings


def _hold(session: Session, bindings: Collection[Binding]) -> bool:
    """Whether every customer and order is still there. (SQLite: the transaction holds the only write lock.)"""
    if session.get_bind().dialect.name == "sqlite":
        return True
    for model, ids in (
        (Customer, {binding.customer for binding in bindings} - {None}),
        (Order, {binding.order for binding in bindings} - {None}),
    ):
        if ids:
            query = select(col(model.id)).where(col(model.id).in_(ids)).order_by(col(model.id))
            if len(session.exec(query.with_for_update(read=True, key_share=True)).all()) < len(ids):
                return False
    return True


def _make_customers(
    session: Session, mailbox: Mailbox, shop: int | None, letters: Sequence[Letter], bindings: dict[int, Binding]
) -> dict[int, int | None]:
    """Makes the customers that the verdicts want, one for each sender, and binds to them. Gives the managers of the new ones."""
    wanted = {letter.sender: letter for letter in reversed(letters) if bindings[letter.id].rule == BindingRule.CREATED}
    if not wanted:
        return {}
    assigner = Assigner(
        session, mailbox
    )  # holds the group before any customer is made: two workers cannot wait for each other
    made: dict[int, int | None] = {}
    by_sender: dict[str, int] = {}
    for sender, letter in sorted(wanted.items()):
        customer, is_new = create_for_sender(session, letter.sender_address or sender, sender, shop)
        by_sender[sender] = customer.id
        if is_new:
            made[customer.id] = assigner.assign(customer, letter)
    for letter in letters:
        number = letter.id
        if bindings[number].rule == BindingRule.CREATED:
            is_first = wanted[letter.sender] is letter and by_sender[letter.sender] in made
            rule = BindingRule.CREATED if is_first else BindingRule.SENDER
            bindings[number] = replace(bindings[number], rule=rule, customer=by_sender[letter.sender])
    return made


def _managers(session: Session, bindings: Collection[Binding]) -> Mapping[tuple[str, int], int | None]:
    """Who is in charge of each customer and order."""
    managers: dict[tuple[str, int], int | None] = {}
    for name, model, ids in (
        ("customer", Customer, {binding.customer for binding in bindings} - {None}),
        ("order", Order, {binding.order for binding in bindings} - {None}),
    ):
        if ids:
            query = select(col(model.id), col(model.manager_id)).where(col(model.id).in_(ids))
            managers |= {(name, number): manager for number, manager in session.exec(query)}
    return managers


def _bound(
    mailbox: Mailbox,
    letter: Letter,
    binding: Binding,
    managers: Mapping[tuple[str, int], int | None],
    made: Mapping[int, int | None],
    looping: Collection[int],
) -> BoundLetter:
    """A letter of a customer is handed to their manager where the mailbox notifies managers, or has just chosen one."""
    manager = managers.get(("customer", binding.customer or 0)) or managers.get(("order", binding.order or 0))
    if not (mailbox.notify_manager or binding.customer in made):
        manager = None
    silent = letter.recovered or letter.backfilled or letter.silent or letter.id in looping
    is_told = mailbox.notify_manager and manager is not None and not silent and letter.category == Category.HUMAN
    return BoundLetter(letter, binding, manager, is_told)


def _row(bound: BoundLetter) -> dict[str, object]:
    binding = bound.binding
    return {
        "letter_id": bound.letter.id,
        "received_at": bound.letter.received_at,
        "customer_id": binding.customer,
        "order_id": binding.order,
        "rule": binding.rule.value,
        "flags": [flag.value for flag in binding.flags],
        "number": binding.number,
        "decided_by": None,
        "decided_at": now(),
    }


def _open_enquiries(session: Session, bound: Sequence[BoundLetter]) -> None:
    rows = [
        {
            "letter_id": bound_letter.letter.id,
            "user_id": bound_letter.letter.user_id,
            "mailbox_id": bound_letter.letter.mailbox_id,
            "sender": bound_letter.letter.sender,
            "received_at": bound_letter.letter.received_at,
            "manager_id": bound_letter.manager,
            "waiting_since": bound_letter.letter.received_at,
            "version": 1,
        }
        for bound_letter in bound
    ]
    append_rows(session, ENQUIRY_STATUS, rows)


def open_enquiries_of(session: Session, letters: Sequence[int]) -> None:
    """Opens the enquiries of letters that count only now; one that is open stays as it is."""
    for start in range(0, len(letters), 500):
        rows = session.exec(select(Letter).where(col(Letter.id).in_(letters[start : start + 500]))).all()
        for letter in rows:
            if session.get(EnquiryStatus, letter.id) is None:
                _open_enquiries(session, [BoundLetter(letter, Binding(BindingRule.SENDER))])


def _wake_enquiries(session: Session, bound: Sequence[BoundLetter]) -> None:
    """The sender wrote again: the enquiry waits for an answer again, and is neither snoozed nor done any more."""
    repeats = [
        {"enquiry": bound_letter.letter.repeat_of_id, "at": bound_letter.letter.received_at} for bound_letter in bound
    ]
    if repeats:
        session.connection().execute(_WAITS, repeats)
        session.connection().execute(_IS_OPEN, repeats)


def _add_notices(session: Session, mailbox: Mailbox, bound: Sequence[BoundLetter]) -> None:
    """To the manager; where that one was disabled, to whoever set the mailbox up."""
    announced = [bound_letter for bound_letter in bound if bound_letter.is_told]
    if not announced:
        return
    active = set(
        session.exec(
            select(User.id).where(
                col(User.id).in_({bound_letter.manager for bound_letter in announced}), col(User.active)
            )
        )
    )
    for bound_letter in announced:
        person = bound_letter.manager if bound_letter.manager in active else mailbox.user_id
        number = bound_letter.letter.id
        facts = {"kind": "letter"}
        add_notice(session, "letter", f"letter:{number}", person or 0, mailbox.id, letter_id=number, facts=facts)
