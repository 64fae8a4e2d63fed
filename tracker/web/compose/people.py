"""Whom one may mean while an address is typed, by the beginning of a name or address: recipients, customers, writers of letters."""

from collections.abc import Mapping

from sqlmodel import Session, col, func, select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker.consent.ledger import consent_of
from tracker.consent.rules import MEASURED, ConsentState, Purpose
from tracker.locale import _
from tracker.mail.addresses import Address
from tracker.models import Category, Customer, CustomerAddress, Delivery, Letter, Recipient, SearchKind, User
from tracker.models.search_query import finds
from tracker.recipients import matching
from tracker.runtime.word_search import answers, other_layout, question_of, words_of
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of
from tracker.web.messages.activity_labels import consent_label

routes = Routes()
MOST = 8
_LOOKED_AT = 40


@routes.page("/compose/people")
def people(request: Request, user: User) -> Response:
    """At most eight people: whom somebody wrote to last comes first; the label tells who agreed."""
    words = request.query_params.get("q", "")[:200]
    with context_of(request).database.reading() as session:
        tries = (words, other_layout(words)) if len(words.strip()) > 1 else ()
        matches = next(filter(None, (known_people(session, user, each) for each in tries if each)), [])
    return JSONResponse(matches)


def known_people(session: Session, user: User, words: str) -> list[dict[str, object]]:
    """Each with the ``value`` to write into the field, ``name``, ``address``, ``label`` and whether they ``agreed``."""
    newest = matching(session, words).where(col(Recipient.erased_at).is_(None)).order_by(col(Recipient.id).desc())
    rows = session.exec(newest.limit(_LOOKED_AT)).all()
    ids = [row.id for row in rows]
    last = select(Delivery.recipient_id, func.max(Delivery.id)).where(col(Delivery.recipient_id).in_(ids))
    written = dict(session.exec(last.group_by(col(Delivery.recipient_id))).all()) if ids else {}
    rows = sorted(rows, key=lambda row: written.get(row.id) or 0, reverse=True)[:MOST]
    consent = consent_of(session, [row.id for row in rows])
    known = {row.lookup: _person(row.name, row.address, *_label(consent[row.id])) for row in rows}
    if len(known) < MOST:
        for name, address, lookup in _customers(session, words):
            known.setdefault(lookup, _person(name, address, "○ " + _("customer")))
    if len(known) < MOST:
        for name, address, lookup in _writers(session, user, words):
            known.setdefault(lookup, _person(name, address, "○ " + _("wrote to you")))
    return list(known.values())[:MOST]


def _person(name: str, address: str, label: str, agreed: bool = False) -> dict[str, object]:
    value = str(Address(address, name))
    return {"value": value, "name": name, "address": address, "label": label, "agreed": agreed}


def _label(consent: Mapping[Purpose, ConsentState]) -> tuple[str, bool]:
    """The dot of consent and its words: full where something is tracked."""
    states = [consent[purpose] for purpose in MEASURED]
    state = ConsentState.GRANTED if ConsentState.GRANTED in states else states[0]
    agreed = state == ConsentState.GRANTED
    return f"{'●' if agreed else '○'} {consent_label(state)}", agreed


def _writers(session: Session, user: User, words: str) -> list[tuple[str, str, str]]:
    """Whoever wrote to this person lately, the newest first."""
    query = select(Letter.sender_name, Letter.sender_address, Letter.sender).where(
        *finds(session, SearchKind.LETTER, Letter.id, words, user.id, Letter.user_id),
        Letter.category == Category.HUMAN,
        col(Letter.deleted_at).is_(None),
        Letter.sender != "",
    )
    question = question_of(words)
    newest = session.exec(query.order_by(col(Letter.received_at).desc()).limit(_LOOKED_AT))
    return [row for row in newest if answers(question, words_of(row[0], row[1]))]


def _customers(session: Session, words: str) -> list[tuple[str, str, str]]:
    query = select(Customer.name, CustomerAddress.address, CustomerAddress.lookup).join(
        CustomerAddress, col(CustomerAddress.customer_id) == col(Customer.id)
    )
    theirs = query.where(*finds(session, SearchKind.CUSTOMER, Customer.id, words)).order_by(col(Customer.id).desc())
    question = question_of(words)
    return [row for row in session.exec(theirs.limit(MOST)) if answers(question, words_of(row[0], row[1]))]
