"""The letter page: what came in, shown safely, with what it is and why, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tracker.crm.access import find_letter
from tracker.crm.snooze import CHOICES
from tracker.inbound.parse.letter import content_of
from tracker.inbound.storing import raw_of, remove_letter
from tracker.locale import _
from tracker.mail.mime.pictures import MOST_SHOWN, shown_ids
from tracker.mail.safe_html import SANDBOX, has_remote_images, safe_mail
from tracker.models import Letter, LetterAttachment, LetterBody, LetterSource, Mailbox, Message, Recipient, User
from tracker.models.ownership import owned
from tracker.notifications.notify import mark_subject_read
from tracker.outbound.message_links import strip_own_tracking
from tracker.runtime.database import now
from tracker.sites.attribution_text import sentence_of
from tracker.web.crm.letter_panel import CHANGES, FLAGS, RULES, letter_panel
from tracker.web.http.download import download
from tracker.web.http.formats import day
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.inbox.labels import category_label, oddities, reason_label, status_label, status_of
from tracker.web.inbox.rows import LetterWork, work_of
from tracker.web.messages.sent_parts import paper_of

routes = Routes()
SHOWN_REPEATS = 50


@dataclass(frozen=True)
class LetterView:
    """Everything the page shows of one letter."""

    letter: Letter
    mailbox: Mailbox
    body: LetterBody | None
    files: Sequence[LetterAttachment]
    enquiry: Letter | None
    """The enquiry it is folded under."""
    repeats: Sequence[Letter]
    answers: Message | None
    person: Recipient | None
    """The sender, where somebody of ours wrote to them."""

    @property
    def listed(self) -> Sequence[LetterAttachment]:
        """The files to offer: without the pictures that the text itself shows, or would if they were not too much."""
        named = shown_ids((self.body and self.body.html) or "")
        too_much = sum(file.size for file in self.files if file.content_id in named) > MOST_SHOWN
        return [file for file in self.files if too_much or not (file.inline and file.content_id in named)]

    @property
    def can_be_answered(self) -> bool:
        """Never to the null reverse-path, never to ourselves (RFC 5321 section 4.5.5, RFC 3834)."""
        return bool(self.letter.reply_to or self.letter.sender_address) and self.letter.category in _ANSWERABLE


_ANSWERABLE = ("human", "auto_reply", "auto_generated", "bulk")


@routes.page("/letters/{id}")
def letter(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        letter = find_letter(session, user, request.path_params["id"])
        work = work_of(session, user, [letter])[letter.id]
        shown, origin = _shown(session, letter, work)
        panel = letter_panel(session, user, letter, work)
        origin_sentence = "" if origin is None else sentence_of(session, origin, lambda at: day(at.date().isoformat()))
    html = shown.body.html if shown.body else None
    context = {
        "shown": shown,
        "panel": panel,
        "origin": origin,
        "origin_sentence": origin_sentence,
        "now": now(),
        "rules": RULES,
        "flag_words": FLAGS,
        "change_words": CHANGES,
        "snooze_choices": CHOICES,
        "sandbox": SANDBOX,
        "remote_images": bool(html and has_remote_images(html)),
        "with_images": request.query_params.get("images") == "1",
        "white": request.query_params.get("paper") == "white",
        "category_label": category_label,
        "reason_label": reason_label,
        "oddities": oddities(shown.letter),
        "standing": status_of(shown.letter),
        "status_label": status_label,
    }
    return render(request, "inbox/letter.html", context)


@routes.page("/letters/{id}/content")
def letter_content(request: Request, user: User) -> Response:
    """The letter itself, for the sandboxed frame: sanitised, our own pixels and redirects taken out of what it quotes."""
    context = context_of(request)
    with context.database.reading() as session:
        letter = find_letter(session, user, request.path_params["id"])
        body = session.get(LetterBody, letter.id)
        pictures = _pictures(session, letter, (body and body.html) or "")
    html, query = strip_own_tracking(context, body.html if body else None) or "", request.query_params
    mail = safe_mail(html, letter.subject, pictures, query.get("images") == "1", paper_of(request, user))
    return HTMLResponse(mail.document, headers={"Content-Security-Policy": mail.content_security_policy})


@routes.page("/letters/{id}/files/{file}")
def letter_file(request: Request, user: User) -> Response:
    """An attachment, always as a download."""
    with context_of(request).database.reading() as session:
        letter = find_letter(session, user, request.path_params["id"])
        wanted = (LetterAttachment.letter_id == letter.id, LetterAttachment.public_id == request.path_params["file"])
        file = session.exec(select(LetterAttachment).where(*wanted)).first()
        content = content_of(raw_of(session, letter), file.part) if file else None
    if file is None or content is None:
        raise HTTPException(404)
    return download(content, file.filename)


@routes.page("/letters/{id}/raw")
def letter_raw(request: Request, user: User) -> Response:
    """The letter as it came, for a mail program."""
    with context_of(request).database.reading() as session:
        letter = find_letter(session, user, request.path_params["id"])
        content = raw_of(session, letter)
    return download(content, f"{letter.subject[:80] or 'letter'}.eml")


@routes.action("/letters/{id}/reading")
def letter_reading(request: Request, user: User, _form: FormData) -> Response:
    """The person has the letter before them."""
    with context_of(request).database.session_scope() as session:
        letter = find_letter(session, user, request.path_params["id"])
        if letter.read_at is None:
            letter.read_at = now()
        mark_subject_read(session, user.id, f"letter:{letter.id}")
    return Response(status_code=204)


@routes.action("/letters/{id}/removal")
def letter_removal(request: Request, user: User, _form: FormData) -> Response:
    """Throws the letter away here; on the server it stays, and it is not loaded again."""
    with context_of(request).database.session_scope() as session:
        remove_letter(session, owned(session, Letter, user, request.path_params["id"]))
    return redirect("/enquiries", _("The letter is deleted here. It stays on the mail server."))


def _shown(session: Session, letter: Letter, work: LetterWork) -> tuple[LetterView, LetterSource | None]:
    """What is shown of the letter, and where it comes from."""
    enquiry = aliased(Letter)
    beside = (
        columns(LetterBody, LetterSource, Recipient, enquiry)
        .select_from(Letter)
        .outerjoin(LetterBody, col(LetterBody.letter_id) == col(Letter.id))
        .outerjoin(LetterSource, col(LetterSource.letter_id) == col(Letter.id))
        .outerjoin(Recipient, (col(Recipient.lookup) == col(Letter.sender)) & (col(Letter.sender) != ""))
        .outerjoin(enquiry, col(enquiry.id) == col(Letter.repeat_of_id))
        .where(col(Letter.id) == letter.id)
    )
    body, source, person, its_enquiry = session.execute(beside).one()
    repeats = select(Letter).where(Letter.repeat_of_id == letter.id, col(Letter.deleted_at).is_(None))
    repeats = repeats.order_by(col(Letter.received_at).desc()).limit(SHOWN_REPEATS)
    shown = LetterView(
        letter=letter,
        mailbox=work.mailbox,
        body=body,
        files=session.exec(
            select(LetterAttachment)
            .where(LetterAttachment.letter_id == letter.id)
            .order_by(col(LetterAttachment.position))
        ).all(),
        enquiry=its_enquiry,
        repeats=session.exec(repeats).all() if letter.counted else (),
        answers=work.answers,
        person=person,
    )
    return shown, source


def _pictures(session: Session, letter: Letter, html: str) -> Mapping[str, tuple[str, bytes]]:
    """The pictures that the HTML names by Content-ID, as far as they are not too much."""
    query = select(LetterAttachment).where(LetterAttachment.letter_id == letter.id, LetterAttachment.content_id != "")
    named = shown_ids(html)
    files = [file for file in session.exec(query) if file.inline and file.content_id in named]
    if not files or sum(file.size for file in files) > MOST_SHOWN:
        return {}
    raw = raw_of(session, letter)
    return {file.content_id: (file.content_type, content_of(raw, file.part) or b"") for file in files}
