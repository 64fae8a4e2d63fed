"""What is done to a letter from its page: bound, taken, given to somebody, snoozed, done. And one's own status, from every page."""

from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.preferences import operator_ceiling
from tracker.crm.access import find_enquiry, find_letter
from tracker.crm.candidates import customers_by_address, shop_id_of
from tracker.crm.enquiries import (
    assign_enquiry,
    complete_enquiry,
    release_enquiry,
    reopen_enquiry,
    snooze_enquiry,
    wake_enquiry,
)
from tracker.crm.hand_binding import bind_again, bind_by_hand, unbind
from tracker.crm.records import named_record
from tracker.crm.snooze import snooze_time
from tracker.inbound.mark_spam import mark_spam, unmark_spam
from tracker.locale import _
from tracker.locale.written_days import as_iso
from tracker.mail.addresses import lookup_or_none
from tracker.models import Customer, EnquiryStatus, Letter, Mailbox, Order, User
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.users import ProfileChange, change_profile
from tracker.web.http.actions import perform
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.selection import RowAction, act_on_selection
from tracker.web.http.templating import context_of, local_path

routes = Routes()
Enquiry = tuple[Letter, EnquiryStatus]
Work = Callable[[Session, Letter, EnquiryStatus], object]


@routes.action("/letters/{id}/binding")
def binding(request: Request, user: User, form: FormData) -> Response:
    """``act``: bind (to what ``to`` names: an order number, or a customer's address or id), unbind, again."""

    def work(session: Session) -> None:
        letter = find_letter(session, user, request.path_params["id"])
        act = text(form, "act")
        if act == "unbind":
            unbind(session, letter, user)
        elif act == "again":
            bind_again(session, letter, user)
        else:
            customer, order = _named(session, letter, text(form, "to", 254))
            bind_by_hand(session, letter, user, customer=customer, order=order)

    return perform(request, f"/letters/{request.path_params['id']}", work, _("Saved."))


def _named(session: Session, letter: Letter, words: str) -> tuple[Customer | None, Order | None]:
    """The order or the customer that somebody means. Raises :class:`ActionError`."""
    number = words.strip().removeprefix("[#").removesuffix("]").removeprefix("#")
    shop = shop_id_of(session, session.get_one(Mailbox, letter.mailbox_id))
    orders = session.exec(select(Order).where(Order.number == number).order_by(col(Order.id).desc())).all()
    order = next((order for order in orders if order.shop_id == shop), orders[0] if orders else None)
    if order is not None:
        return None, order
    by_address = customers_by_address(session, [form]) if (form := lookup_or_none(words)) else {}
    first = next((address for several in by_address.values() for address in several), None)
    if first is not None:
        return session.get(Customer, first.id), None
    raise ActionError("invalid", LocalizedText("No order has this number, and no customer this address."), "to")


@routes.action("/letters/{id}/assignment")
def assignment(request: Request, user: User, form: FormData) -> Response:
    """Gives the enquiry to ``manager`` (an id; empty: nobody). ``from`` is who had it when the page was made."""

    def work(session: Session, letter: Letter, status: EnquiryStatus) -> None:
        manager = named_record(session, User, text(form, "manager") or None, "manager")
        if manager is None:
            release_enquiry(session, letter, status, user)
        else:
            before = named_record(session, User, text(form, "from") or None, "from")
            assign_enquiry(session, letter, status, manager, user, before)

    return _on_enquiry(request, user, form, work, _("Saved."))


@routes.action("/letters/{id}/snooze")
def snooze(request: Request, user: User, form: FormData) -> Response:
    """``until`` is a choice or a wall-clock time; empty brings it back."""
    words = text(form, "until") or as_iso(text(form, "at"))

    def work(session: Session, letter: Letter, status: EnquiryStatus) -> None:
        if not words:
            wake_enquiry(session, letter, status, user)
            return
        until = snooze_time(words, now(), ZoneInfo(user.timezone))
        if until is None:
            raise ActionError("invalid", LocalizedText("Choose when it is to come back."), "until")
        snooze_enquiry(session, letter, status, until, user)

    return _on_enquiry(request, user, form, work, _("Snoozed.") if words else _("It is back in the lists."))


@routes.action("/letters/{id}/completion")
def completion(request: Request, user: User, form: FormData) -> Response:
    """``act`` is done or reopen."""
    reopens = text(form, "act") == "reopen"

    def work(session: Session, letter: Letter, status: EnquiryStatus) -> None:
        (reopen_enquiry if reopens else complete_enquiry)(session, letter, status, user)

    return _on_enquiry(request, user, form, work, _("Opened again.") if reopens else _("Done."))


def _take(session: Session, enquiry: Enquiry, user: User) -> None:
    assign_enquiry(session, *enquiry, user, user)


def _until_tomorrow(session: Session, enquiry: Enquiry, user: User) -> None:
    until = snooze_time("tomorrow", now(), ZoneInfo(user.timezone))
    assert until is not None
    snooze_enquiry(session, *enquiry, until, user)


SELECTION_ACTIONS: Mapping[str, RowAction[Enquiry]] = {
    "take": RowAction(_take),
    "done": RowAction(lambda session, enquiry, user: complete_enquiry(session, *enquiry, user), "reopen"),
    "reopen": RowAction(lambda session, enquiry, user: reopen_enquiry(session, *enquiry, user)),
    "snooze": RowAction(_until_tomorrow, "wake"),
    "wake": RowAction(lambda session, enquiry, user: wake_enquiry(session, *enquiry, user)),
    "spam": RowAction(lambda session, enquiry, _user: mark_spam(session, enquiry[0]), "unspam"),
    "unspam": RowAction(lambda session, enquiry, _user: unmark_spam(session, enquiry[0])),
}


@routes.action("/enquiries/selection")
def selection(request: Request, user: User, form: FormData) -> Response:
    """What is done with several enquiries of the list at once."""
    return act_on_selection(request, user, form, SELECTION_ACTIONS, find_enquiry, "/enquiries")


@routes.action("/status")
def own_status(request: Request, user: User, form: FormData) -> Response:
    """Free, busy, lunch or break; ``back`` is the page to return to."""
    change, ceiling = ProfileChange(status=text(form, "status")), operator_ceiling(context_of(request))

    def work(session: Session) -> None:
        change_profile(session, session.get_one(User, user.id), change, ceiling)

    return perform(request, local_path(text(form, "back"), "/"), work)


def _on_enquiry(request: Request, user: User, form: FormData, work: Work, sentence: str) -> Response:
    def done(session: Session) -> None:
        work(session, *find_enquiry(session, user, request.path_params["id"]))

    back = local_path(text(form, "back"), f"/letters/{request.path_params['id']}")
    return perform(request, back, done, sentence)
