"""Recipients: who they are, what they agreed to and how we know, and one's own mail to them."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, func, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.events import NewConsent, record
from tracker.consent.ledger import consent_of, first_broken, jurisdiction, ledger, states_in
from tracker.consent.pending_opt_outs import decide, open_pauses
from tracker.consent.rules import MEASURED, ConsentState, Purpose
from tracker.locale import _, localize
from tracker.locale.written_days import as_iso
from tracker.mail.addresses import AddressError, parse_list
from tracker.models import Letter, Recipient, TrackingPause, User
from tracker.models.rows import rows_by_id
from tracker.privacy.views import note_view
from tracker.recipients import RecipientChange, change, find_or_make, look_up, matching
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.paging import read_page
from tracker.web.http.forms import errors_of, parse
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.inbox.filter import LetterFilter
from tracker.web.inbox.rows import find_letters
from tracker.web.messages.activity_labels import CONSENT_LABELS, consent_label
from tracker.web.messages.filter import Filter
from tracker.web.messages.rows import read_listing
from tracker.web.recipients.activity import ORDERS, activity_of, in_order
from tracker.web.recipients.ledger_view import CHANNEL_LABELS, entry_views

routes = Routes()
PAGE = 50
MOST_IN_ORDER = 200
"""People on the one page of those in another order than that of addresses."""
OWN_MAIL = 20
OWN_LETTERS = 10

_BY_HAND = ("reply_text", "phone_note", "contract", "web_form", "dsr")


@routes.page("/recipients")
def recipients(request: Request, user: User) -> Response:
    """The people of the workspace, by name or address; ``after`` is the address the last page ended with. In another ``order``
    (:data:`tracker.web.recipients.activity.ORDERS`) those whom the reader's own mail tells of."""
    words, after = request.query_params.get("q", "").strip()[:200], request.query_params.get("after", "")
    order = request.query_params.get("order", "name")
    order = order if order in ORDERS and not words else "name"
    with context_of(request).database.reading() as session:
        if order == "name":
            place = [after] if after else None
            people = matching(session, words).where(col(Recipient.erased_at).is_(None))
            shown, last = read_page(session, people, [Recipient.lookup], place, PAGE, newest_first=False)
        else:
            ids, last = in_order(session, user, order)[:MOST_IN_ORDER], None
            rows = rows_by_id(session, Recipient, ids)
            shown = [rows[id_] for id_ in ids if id_ in rows and rows[id_].erased_at is None]
        numbers = [person.id for person in shown if person.id is not None]
        context = {
            "people": shown,
            "consent": consent_of(session, numbers),
            "activity": activity_of(session, user, numbers),
            "order": order,
            "q": words,
            "more": f"/recipients?q={quote(words)}&after={quote(str(last[0]))}" if last else "",
            "consent_label": consent_label,
            "erased": session.exec(select(func.count()).where(col(Recipient.erased_at).is_not(None))).one(),
        }
    return render(request, "recipients/recipients.html", context)


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
    return redirect(f"/recipients/{made.public_id}")


@routes.page("/recipients/{who}")
def recipient(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        person = look_up(session, request.path_params["who"])
        shown = _show(request, session, user, person)
    note_view(context_of(request), user, "recipient", [person.id] if person.id else [])
    return shown


@routes.action("/recipients/{who}/consent")
def recipient_consent(request: Request, user: User, form: FormData) -> Response:
    """Records a consent event: ``purpose`` (opens, clicks or both), ``state``, ``channel``, ``note``, ``at``, evidence."""
    context, who = context_of(request), request.path_params["who"]
    try:
        events = _events(form, user.timezone)
        with context.database.session_scope() as session:
            person = look_up(session, who)
            for event in events:
                record(session, person, event, f"user:{user.id}")
    except ActionError as error:
        if error.code != "invalid":
            raise
        with context.database.reading() as session:
            typed = {name: str(value) for name, value in form.items()}
            return _show(request, session, user, look_up(session, who), typed, errors_of(error))
    return redirect(f"/recipients/{person.public_id}#ledger", _("Recorded in the ledger."))


@routes.action("/recipients/{who}")
def recipient_change(request: Request, user: User, form: FormData) -> Response:
    """Name, jurisdiction and the never-track switch."""
    who = request.path_params["who"]
    try:
        changes = parse(RecipientChange, form, boxes=("never_track",))
        with context_of(request).database.session_scope() as session:
            person = look_up(session, who)
            change(session, person, changes)
    except ActionError as error:
        if error.code != "invalid":
            raise
        return redirect(f"/recipients/{quote(who)}", localize(error), kind="problem")
    return redirect(f"/recipients/{person.public_id}", _("Saved."))


@routes.action("/recipients/{who}/pauses/{pause}")
def recipient_pause(request: Request, user: User, form: FormData) -> Response:
    """``decision``: ``withdrawn`` or ``continued``. Only whoever got the letter is asked."""
    decision = str(form.get("decision", ""))
    with context_of(request).database.session_scope() as session:
        query = select(TrackingPause, Recipient).join(Recipient).where(TrackingPause.user_id == user.id)
        row = session.exec(query.where(TrackingPause.public_id == request.path_params["pause"])).first()
        if row is None or row[1].public_id != request.path_params["who"]:
            raise HTTPException(404)
        here = f"/recipients/{row[1].public_id}"
        if decision not in ("withdrawn", "continued"):
            return redirect(f"{here}#pause", _("Choose whether this was a withdrawal."), kind="problem")
        done = decide(session, row[0], user, withdrawn=decision == "withdrawn")
    if not done:
        return redirect(here, _("This was decided already."))
    said = {
        "withdrawn": _("Recorded as a withdrawal, with the words as its proof."),
        "continued": _("Noted: it was no withdrawal."),
    }
    return redirect(here, said[decision])


def _events(form: FormData, zone: str) -> list[NewConsent]:
    """One for each purpose. The time is typed as the clock of ``zone`` shows it."""
    purposes = MEASURED if form.get("purpose") == "both" else [form.get("purpose", "")]
    sentences = {
        "purpose": LocalizedText("Choose what was agreed to: opens, clicks, or both."),
        "state": LocalizedText("Choose what the person said."),
        "at": LocalizedText("This is not a time. Choose a day and an hour, or leave it empty for now."),
    }
    typed = {**form, "at": _with_zone(str(form.get("at", "")).strip(), zone)}
    return [parse(NewConsent, {**typed, "purpose": str(purpose)}, sentences=sentences) for purpose in purposes]


def _with_zone(text: str, zone: str) -> str:
    try:
        return datetime.fromisoformat(as_iso(text)).replace(tzinfo=ZoneInfo(zone)).isoformat()
    except (ValueError, OverflowError):
        return text


def _show(
    request: Request,
    session: Session,
    user: User,
    person: Recipient,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    entries = ledger(session, person)
    listing = read_listing(session, user, Filter(recipient=person.public_id), limit=OWN_MAIL)
    of_person = LetterFilter(show="letters", sender=person.address)
    letters, more_letters = find_letters(session, user, of_person, limit=OWN_LETTERS)
    context = {
        "person": person,
        "pauses": _questions(session, person, user),
        "consent": states_in(entries),
        "entries": entry_views(session, entries),
        "whose": jurisdiction(person),
        "documents": any(entry.purpose == Purpose.DOCUMENTS for entry in entries),
        "broken": first_broken(entries, person.ledger_entries, person.ledger_digest),
        "listing": listing,
        "accounts": listing.accounts,
        "letters": letters,
        "more_letters": more_letters is not None,
        "more_url": "",
        "given": typed or {},
        "errors": errors or {},
        "states": [(state, _(words)) for state, words in CONSENT_LABELS.items() if state != ConsentState.UNKNOWN],
        "channels": [(channel, _(CHANNEL_LABELS[channel])) for channel in _BY_HAND],
        "consent_label": consent_label,
    }
    return render(request, "recipients/recipient.html", context, 422 if errors else 200)


def _questions(session: Session, person: Recipient, user: User) -> list[tuple[TrackingPause, Letter | None]]:
    """What the user has to decide, with the letters it stands in as far as they are still there."""
    if person.paused_at is None:
        return []
    with_letter = open_pauses(person, user).outerjoin(
        Letter, (col(Letter.id) == col(TrackingPause.letter_id)) & col(Letter.deleted_at).is_(None)
    )
    return [(pause, letter) for pause, letter in session.execute(with_letter.add_columns(Letter))]
