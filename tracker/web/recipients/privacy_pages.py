"""What a recipient agreed to and how we know; for their rights the archive, the link to their page, freezing and erasure."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.events import NewConsent, record
from tracker.consent.ledger import first_broken, jurisdiction, ledger, states_in
from tracker.consent.pending_opt_outs import decide, open_pauses
from tracker.consent.rules import MEASURED, ConsentState, Purpose
from tracker.locale import _, language
from tracker.locale.written_days import as_iso
from tracker.models import Letter, Recipient, TrackingPause, User
from tracker.outbound.consent_request import send_own_link
from tracker.privacy.archive import archive_name, archive_of
from tracker.privacy.erase import erase
from tracker.privacy.restrict import restrict, unrestrict
from tracker.privacy.views import note_view, views_of
from tracker.recipients import RecipientChange, change, look_up
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.http.forms import errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.messages.activity_labels import CONSENT_LABELS, consent_label
from tracker.web.recipients.ledger_view import CHANNEL_LABELS, entry_views
from tracker.web.recipients.person import person_named

routes = Routes()
_BY_HAND = ("reply_text", "phone_note", "contract", "web_form", "dsr")


@routes.page("/recipients/{who}/rights")
def rights(request: Request, user: User) -> Response:
    """Consent with its ledger, and what can be done for the person's rights."""
    with context_of(request).database.reading() as session:
        return _show(request, session, user, look_up(session, request.path_params["who"]))


@routes.action("/recipients/{who}")
def recipient_change(request: Request, user: User, form: FormData) -> Response:
    """Name, jurisdiction and the never-track switch."""
    context, who = context_of(request), request.path_params["who"]
    try:
        changes = parse(RecipientChange, form, boxes=("never_track",))
        with context.database.session_scope() as session:
            person = look_up(session, who)
            change(session, person, changes)
    except ActionError as error:
        if error.code != "invalid":
            raise
        with context.database.reading() as session:
            return _show(
                request, session, user, look_up(session, who), facts=_typed(form), wrong_facts=errors_of(error)
            )
    return redirect(_here(person), _("Saved."))


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
            return _show(request, session, user, look_up(session, who), _typed(form), errors_of(error))
    return redirect(f"{_here(person)}#ledger", _("Recorded in the ledger."))


@routes.action("/recipients/{who}/pauses/{pause}")
def recipient_pause(request: Request, user: User, form: FormData) -> Response:
    """``decision``: ``withdrawn`` or ``continued``. Only whoever got the letter is asked."""
    decision = str(form.get("decision", ""))
    with context_of(request).database.session_scope() as session:
        query = select(TrackingPause, Recipient).join(Recipient).where(TrackingPause.user_id == user.id)
        row = session.exec(query.where(TrackingPause.public_id == request.path_params["pause"])).first()
        if row is None or row[1].public_id != request.path_params["who"]:
            raise HTTPException(404)
        here = _here(row[1])
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


@routes.page("/recipients/{who}/archive")
def archive(request: Request, user: User) -> Response:
    """The ledger and one's own mail with this person; what colleagues wrote goes to the person alone."""
    context = context_of(request)
    with context.database.reading() as session:
        person = look_up(session, request.path_params["who"])
    note_view(context, user, "export", [person.id])
    headers = {"Content-Disposition": f'attachment; filename="{archive_name(now())}"'}
    return Response(archive_of(context, person, language(), user.id), media_type="application/zip", headers=headers)


@routes.action("/recipients/{who}/own-link")
def mail_link(request: Request, user: User, form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        person = look_up(session, request.path_params["who"])
        sent = send_own_link(session, context_of(request), person, language())
    sentence = (
        _("The link to their page is on its way.")
        if sent
        else _("Not sent: one was sent within the hour, or nobody has written to them yet.")
    )
    return redirect(_here(person), sentence, kind="done" if sent else "problem")


@routes.action("/recipients/{who}/restriction")
def restriction(request: Request, user: User, form: FormData) -> Response:
    """``frozen`` on or off."""
    with context_of(request).database.session_scope() as session:
        person = look_up(session, request.path_params["who"])
        if "frozen" in form:
            restrict(session, person)
        else:
            unrestrict(session, person)
    done = (
        _("Frozen: nothing is shown, counted or newly kept.")
        if "frozen" in form
        else _("No longer frozen. They stay on the never-track list until you take them off it.")
    )
    return redirect(_here(person), done)


@routes.admin_action("/recipients/{who}/erasure")
def erasure(request: Request, user: User, form: FormData) -> Response:
    """Needs the address typed again, so that nobody is erased by a slip."""
    context = context_of(request)
    with context.database.reading() as session:
        person = look_up(session, request.path_params["who"])
        if text(form, "address", 254).lower() != person.address.lower() or person.erased_at is not None:
            wrong = _("Type the address exactly as it stands above. Nothing was erased.")
            return _show(request, session, user, person, wrong=wrong)
    receipt = erase(context, person.address, f"user:{user.id}")
    return redirect("/recipients", _("Erased. Receipt %(number)s.", number=receipt.public_id))


def _here(person: Recipient) -> str:
    return f"/recipients/{person.public_id}/rights"


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


def _typed(form: FormData) -> dict[str, str]:
    return {name: str(value) for name, value in form.items()}


def _show(
    request: Request,
    session: Session,
    user: User,
    recipient: Recipient,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    wrong: str = "",
    facts: Mapping[str, str] | None = None,
    wrong_facts: Mapping[str, str] | None = None,
) -> Response:
    """The tab with what was typed into its form of consent or that of ``facts``, and what is wrong with either; ``wrong`` is about
    the address that confirms an erasure."""
    entries, person = ledger(session, recipient), person_named(session, recipient.public_id)
    context = {
        "person": person,
        "tab": "privacy",
        "of_customer": False,
        "views": views_of(session, recipient)[:50],
        "wrong": wrong,
        "pauses": _questions(session, recipient, user),
        "consent": states_in(entries),
        "entries": entry_views(session, entries),
        "whose": jurisdiction(recipient),
        "documents": any(entry.purpose == Purpose.DOCUMENTS for entry in entries),
        "broken": first_broken(entries, recipient.ledger_entries, recipient.ledger_digest),
        "given": typed or {},
        "errors": errors or {},
        "facts": facts,
        "wrong_facts": wrong_facts or {},
        "states": [(state, _(words)) for state, words in CONSENT_LABELS.items() if state != ConsentState.UNKNOWN],
        "channels": [(channel, _(CHANNEL_LABELS[channel])) for channel in _BY_HAND],
        "consent_label": consent_label,
    }
    return render(request, "recipients/privacy_person.html", context, 422 if errors or wrong or wrong_facts else 200)


def _questions(session: Session, person: Recipient, user: User) -> list[tuple[TrackingPause, Letter | None]]:
    """What the user has to decide, with the letters it stands in as far as they are still there."""
    if person.paused_at is None:
        return []
    with_letter = open_pauses(person, user).outerjoin(
        Letter, (col(Letter.id) == col(TrackingPause.letter_id)) & col(Letter.deleted_at).is_(None)
    )
    return [(pause, letter) for pause, letter in session.execute(with_letter.add_columns(Letter))]
