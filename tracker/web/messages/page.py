"""The message page: the mail as sent, its recipients, its links, and the timeline of what happened to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import select as columns
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tracker.consent.ledger import consent_of
from tracker.consent.rules import ConsentState, Purpose
from tracker.engagement.rejudge import overrule
from tracker.locale import _
from tracker.mail.maker_labels import trust_label
from tracker.mail.safe_html import SANDBOX, has_remote_images, safe_mail
from tracker.models import (
    Account,
    Category,
    Delivery,
    DeliveryStatus,
    Event,
    Letter,
    Message,
    MessageBody,
    MessageState,
    Recipient,
    TrackedLink,
    User,
)
from tracker.models.ownership import owned
from tracker.notifications import notify
from tracker.outbound.cancel import cancel
from tracker.outbound.message_links import strip_own_tracking
from tracker.outbound.messages import mute, remind, stop_tracking
from tracker.outbound.send_quota import waits_until
from tracker.privacy.views import note_copies_view
from tracker.runtime.database import now
from tracker.runtime.values import whole_number
from tracker.web.http.actions import perform_on
from tracker.web.http.download import download
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, local_path, redirect, render
from tracker.web.messages.activity import copies_of
from tracker.web.messages.activity_labels import Line, consent_label, link_reason, rule_label, shown_url, timeline
from tracker.web.messages.rows import eye_of, link_of
from tracker.web.messages.sent_parts import AnswerView, SentFile, answers_to, files_of, paper_of, pictures_of
from tracker.web.messages.timeline_days import TimelineDay, timeline_days

routes = Routes()


@dataclass(frozen=True)
class MessageView:
    """Everything the page shows of one message."""

    message: Message
    account: Account | None
    deliveries: Sequence[Delivery]
    consent: Mapping[int, Mapping[Purpose, ConsentState]]
    never: frozenset[int]
    """Recipients on the never-track list."""
    links: Sequence[TrackedLink]
    lines: Sequence[Line]
    body: MessageBody | None
    files: Sequence[SentFile]
    letters: Mapping[datetime, AnswerView]
    """What came in answer, by when it came."""
    returned: frozenset[int]
    """Deliveries that came back undelivered."""

    @cached_property
    def days(self) -> Sequence[TimelineDay]:
        return timeline_days(self.lines)

    @property
    def last_group(self) -> Sequence[Line]:
        """The last thing that is no machine's, where there is one: what a phone shows of it all."""
        groups = [group for day in self.days for group in day.groups]
        loudest = ("person", "trouble"), ("person", "trouble", "unsure")
        of_people = (group for tones in loudest for group in groups if group[0].tone in tones)
        return next(of_people, groups[0] if groups else [])

    @property
    def newest_letter(self) -> Letter | None:
        """The last answer of a person."""
        letters = [
            answer.letter for _at, answer in sorted(self.letters.items()) if answer.letter.category == Category.HUMAN
        ]
        return letters[-1] if letters else None

    @property
    def can_be_cancelled(self) -> bool:
        return self.message.state in (MessageState.QUEUED, MessageState.SCHEDULED) and all(
            d.tries == 0 for d in self.deliveries
        )

    def waits_until(self, delivery: Delivery) -> datetime | None:
        return waits_until(self.account, delivery, now())

    @property
    def is_tracked(self) -> bool:
        alive = [d for d in self.deliveries if d.status not in (DeliveryStatus.REJECTED, DeliveryStatus.CANCELLED)]
        return any(d.opens_on or d.clicks_on for d in alive)


@routes.page("/mail/{id}")
def message(request: Request, user: User) -> Response:
    """The page; with ``part=live`` only what changes while one looks."""
    with context_of(request).database.reading() as session:
        message = owned(session, Message, user, request.path_params["id"])
        if message.state == MessageState.DRAFT:
            return redirect(f"/compose/{message.public_id}")
        shown = _shown(session, message)
    note_copies_view(context_of(request), user, shown.deliveries)
    template = "messages/_message_live.html" if request.query_params.get("part") == "live" else "messages/message.html"
    html = shown.body.html if shown.body else None
    context = {
        "shown": shown,
        "sandbox": SANDBOX,
        "eye": eye_of(message),
        "link": link_of(message),
        "remote_images": bool(html and has_remote_images(html)),
        "with_images": request.query_params.get("images") == "1",
        "white": request.query_params.get("paper") == "white",
        "rule_label": rule_label,
        "trust_label": trust_label,
        "link_reason": link_reason,
        "consent_label": consent_label,
        "shown_url": shown_url,
    }
    return render(request, template, context)


@routes.page("/mail/{id}/content")
def message_content(request: Request, user: User) -> Response:
    """The mail itself, for the sandboxed frame: our own pixels and redirects taken out of what it quotes."""
    context = context_of(request)
    with context.database.reading() as session:
        message = owned(session, Message, user, request.path_params["id"])
        body = session.get(MessageBody, message.id)
    html, query = strip_own_tracking(context, body.html if body else None) or "", request.query_params
    mail = safe_mail(html, message.subject, pictures_of(body), query.get("images") == "1", paper_of(request, user))
    return HTMLResponse(mail.document, headers={"Content-Security-Policy": mail.content_security_policy})


@routes.page("/mail/{id}/files/{number:int}")
def message_file(request: Request, user: User) -> Response:
    """An attachment, always as a download: nothing somebody attached is ever shown as a page of ours."""
    with context_of(request).database.reading() as session:
        message = owned(session, Message, user, request.path_params["id"])
        files = files_of(session, message, session.get(MessageBody, message.id))
    number = request.path_params["number"]
    if number >= len(files):
        raise HTTPException(404)
    return download(files[number].content, files[number].filename)


@routes.action("/mail/{id}/cancellation")
def message_cancellation(request: Request, user: User, form: FormData) -> Response:
    """Takes the message back while it is not handed over; it is a draft again."""
    done, onward = _("Not sent. Your message is a draft again."), f"/compose/{request.path_params['id']}"
    return perform_on(request, user, Message, _page_of(request), cancel, done, onward)


@routes.action("/mail/{id}/mute")
def message_mute(request: Request, user: User, form: FormData) -> Response:
    """``muted`` is yes or no."""
    muted = form.get("muted") == "yes"
    done = (
        _("You will not be notified about this message.")
        if muted
        else _("You will be notified about this message again.")
    )
    return perform_on(request, user, Message, _page_of(request), lambda session, row: mute(session, row, muted), done)


@routes.action("/mail/{id}/tracking-end")
def message_tracking_end(request: Request, user: User, form: FormData) -> Response:
    done = _("This message is not tracked any more. Its links go on working.")
    return perform_on(request, user, Message, _page_of(request), stop_tracking, done)


@routes.action("/mail/{id}/reminder")
def message_reminder(request: Request, user: User, form: FormData) -> Response:
    """``days`` from now; 0 takes the reminder back. ``back`` is the page to return to."""
    number = whole_number(str(form.get("days", "")), 10**6)
    days = -1 if number is None else number
    done = _("You will be reminded if no reply comes.") if days else _("No reminder any more.")
    with context_of(request).database.session_scope() as session:
        remind(session, owned(session, Message, user, request.path_params["id"]), days)
    return redirect(local_path(text(form, "back"), _page_of(request)), done)


def _page_of(request: Request) -> str:
    return f"/mail/{request.path_params['id']}"


@routes.action("/mail/{id}/reading")
def message_reading(request: Request, user: User, form: FormData) -> Response:
    """The person has the message before them: the bell's lines about it are read."""
    with context_of(request).database.session_scope() as session:
        message = owned(session, Message, user, request.path_params["id"])
        notify.mark_message_read(session, user, message.id)
    return Response(status_code=204)


@routes.action("/mail/{id}/events/{event}/verdict")
def event_verdict(request: Request, user: User, form: FormData) -> Response:
    """``human`` is yes or no: the user knows better."""
    context = context_of(request)
    with context.database.session_scope() as session:
        message = owned(session, Message, user, request.path_params["id"])
        query = select(Event).where(Event.public_id == request.path_params["event"], Event.message_id == message.id)
        event = session.exec(query).first()
        if event is None or event.kind not in ("open", "click"):
            raise HTTPException(404)
        overrule(session, context, event, user, form.get("human") == "yes")
    return redirect(f"/mail/{message.public_id}#timeline", _("Noted. The counts follow your word."))


def _shown(session: Session, message: Message) -> MessageView:
    mine = message.id
    deliveries = copies_of(session, message)
    links = session.exec(
        select(TrackedLink).where(TrackedLink.message_id == mine).order_by(col(TrackedLink.position))
    ).all()
    frozen = [d.id for d in deliveries if d.frozen]
    events = [e for e in session.exec(select(Event).where(Event.message_id == mine)) if e.delivery_id not in frozen]
    beside = columns(MessageBody, Account).select_from(Message).where(col(Message.id) == mine)
    beside = beside.outerjoin(MessageBody, col(MessageBody.message_id) == mine)
    body, account = session.execute(beside.outerjoin(Account, col(Account.id) == col(Message.account_id))).one()
    return MessageView(
        message=message,
        account=account,
        deliveries=deliveries,
        consent=consent_of(session, [d.recipient_id for d in deliveries]),
        never=_never(session, deliveries),
        links=links,
        lines=timeline(events, deliveries, links),
        body=body,
        files=files_of(session, message, body),
        letters=answers_to(session, mine),
        returned=frozenset(e.delivery_id for e in events if e.kind == "bounce" and e.counted and e.delivery_id),
    )


def _never(session: Session, deliveries: Sequence[Delivery]) -> frozenset[int]:
    theirs = (col(Recipient.id).in_([d.recipient_id for d in deliveries]), col(Recipient.never_track))
    return frozenset(session.exec(select(Recipient.id).where(*theirs)))
