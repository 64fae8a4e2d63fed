"""Recipients: the list of people, the story of one, and who they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlmodel import Session, col, func, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.ledger import consent_of
from tracker.locale import _, localize
from tracker.mail.addresses import AddressError, parse_list
from tracker.models import Recipient, User
from tracker.models.rows import rows_by_id
from tracker.recipients import find_or_make, matching
from tracker.runtime.database import now
from tracker.runtime.paging import read_page
from tracker.web.crm.letter_panel import colleagues
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.messages.activity_labels import consent_label
from tracker.web.recipients.activity import ORDERS, activity_of, by_owner, in_order, owned_by, owners_of
from tracker.web.recipients.person import person_named
from tracker.web.recipients.story_page import story_page

routes = Routes()
PAGE = 50


@dataclass(frozen=True)
class PeopleQuery:
    """What the list of people is asked for: ``q`` words, ``order``, ``owner`` (public id), ``after`` the place it goes on from."""

    words: str
    order: str
    owner: User | None
    after: str

    def address(self, **changes: str) -> str:
        values = {"q": self.words, "order": self.order if self.order != "name" else "", "after": ""}
        values |= {"owner": self.owner.public_id if self.owner else "", **changes}
        return "/recipients" + (f"?{query}" if (query := urlencode({k: v for k, v in values.items() if v})) else "")


@routes.page("/recipients")
def recipients(request: Request, user: User) -> Response:
    """The people of the workspace, by name or address. In another ``order`` (:data:`tracker.web.recipients.activity.ORDERS`)
    those whom the reader's own mail tells of, or who have an owner."""
    query = request.query_params
    with context_of(request).database.reading() as session:
        people = colleagues(session)
        order = query.get("order", "name")
        words = query.get("q", "").strip()[:200]
        asked = PeopleQuery(
            words=words,
            order=order if order in ORDERS and not words else "name",
            owner=next((each for each in people if each.public_id == query.get("owner")), None),
            after=query.get("after", "")[:300],
        )
        shown, more = _PAGES.get(asked.order, _ordered)(session, user, asked)
        numbers = [person.id for person in shown]
        context = {
            "people": shown,
            "consent": consent_of(session, numbers),
            "activity": activity_of(session, user, numbers),
            "owners": owners_of(session, numbers),
            "asked": asked,
            "order": asked.order,
            "q": asked.words,
            "more": asked.address(after=more) if more else "",
            "colleagues": [("", _("Everybody’s")), *((each.public_id, each.name) for each in people)],
            "consent_label": consent_label,
            "moment": now(),
            "erased": session.exec(select(func.count()).where(col(Recipient.erased_at).is_not(None))).one(),
        }
    return render(request, "recipients/recipients.html", context)


Page = tuple[Sequence[Recipient], str]
"""People, and the place where the next page begins; empty on the last."""


def _by_address(session: Session, user: User, asked: PeopleQuery) -> Page:
    people = matching(session, asked.words).where(col(Recipient.erased_at).is_(None))
    if asked.owner is not None:
        people = people.where(col(Recipient.id).in_(owned_by(asked.owner)))
    place = [asked.after] if asked.after else None
    shown, last = read_page(session, people, [Recipient.lookup], place, PAGE, newest_first=False)
    return shown, str(last[0]) if last else ""


def _by_owner(session: Session, user: User, asked: PeopleQuery) -> Page:
    if asked.owner is not None:
        return _by_address(session, user, asked)
    name, _space, lookup = asked.after.rpartition(" ")
    rows = by_owner(session, (name, lookup) if asked.after else None, PAGE + 1)
    shown = rows[:PAGE]
    return [row[2] for row in shown], f"{shown[-1][0]} {shown[-1][1]}" if len(rows) > PAGE else ""


def _ordered(session: Session, user: User, asked: PeopleQuery) -> Page:
    places = in_order(session, user, asked.order, owned_by(asked.owner) if asked.owner else None)
    if (after := _place(asked.after)) is not None:
        places = [place for place in places if place < after]
    rows = rows_by_id(session, Recipient, [number for _value, number in places[:PAGE]])
    shown = [rows[number] for _value, number in places[:PAGE] if number in rows and rows[number].erased_at is None]
    return shown, f"{places[PAGE - 1][0]!r}_{places[PAGE - 1][1]}" if len(places) > PAGE else ""


def _place(text: str) -> tuple[float, int] | None:
    value, _mark, number = text.partition("_")
    try:
        return float(value), int(number)
    except ValueError:
        return None


_PAGES = {"name": _by_address, "owner": _by_owner}


@routes.action("/recipients")
def recipient_new(request: Request, user: User, form: FormData) -> Response:
    """Notes somebody before the first mail, so that consent can be recorded."""
    typed = str(form.get("address", ""))
    try:
        typed_in = parse_list(typed)
    except AddressError as error:
        return redirect("/recipients", localize(error), kind="problem")
    if len(typed_in) != 1:
        return redirect("/recipients", _("Give one address, such as anna@example.com."), kind="problem")
    with context_of(request).database.session_scope() as session:
        made = find_or_make(session, typed_in[0].address, typed_in[0].name)
    return redirect(f"/recipients/{made.public_id}/rights")


@routes.page("/recipients/{who}")
def recipient(request: Request, user: User) -> Response:
    """The person's story."""
    with context_of(request).database.reading() as session:
        person = person_named(session, request.path_params["who"])
        return story_page(request, session, user, person)
