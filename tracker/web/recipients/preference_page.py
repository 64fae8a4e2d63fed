"""A recipient's own page: what is measured of them, two switches, and the way to everything that is held. No login, no scripts.

A GET changes nothing, whoever fetches it. No is one POST; yes needs a value that the page made. Which link opens
what: DECISIONS.md, “The footer's link is the copy's”.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tracker.consent.notice import controller, notice
from tracker.consent.preference_choices import (
    LinkHolder,
    check_sees_everything,
    choose,
    holder_of,
    is_on,
    purposes_in,
    refuse,
    states_of,
)
from tracker.consent.preference_links import LinkKind, preference_links
from tracker.consent.rules import MEASURED
from tracker.locale import LANGUAGES, _, language, localize, use_locale
from tracker.models import Delivery, Event, Message, TrackedLink
from tracker.outbound.consent_request import send_own_link
from tracker.privacy.archive import archive_name, archive_of
from tracker.privacy.periods import periods
from tracker.privacy.restrict import mark_not_recipient
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render
from tracker.web.messages.activity_labels import CONSENT_LABELS, Line, timeline

routes = Routes()
SHOWN = 200


@dataclass(frozen=True)
class OwnCopy:
    """One message that was sent to this person, and what was measured of it."""

    message: Message
    delivery: Delivery
    lines: Sequence[Line]


@routes.public_page("/r/{token}")
def preference_page(request: Request) -> Response:
    with use_locale(_language(request, request.query_params.get("lang", "")), "UTC"):
        return _show(request)


@routes.public_action("/r/{token}")
def preference_choice(request: Request, form: FormData) -> Response:
    """``do``: save (the two switches), stop (everything), object. Boxes that are not sent are a no."""
    with use_locale(_language(request, text(form, "lang")), "UTC"):
        try:
            return _decide(request, form)
        except ActionError as error:
            if error.code not in ("conflict", "invalid"):
                raise
            return _show(request, problem=localize(error), status=409)


def _decide(request: Request, form: FormData) -> Response:
    context, do = context_of(request), text(form, "do")
    with context.database.session_scope() as session:
        holder = holder_of(session, context, request.path_params["token"])
        refused, granted = choose(
            session,
            context,
            holder,
            purposes_in([name for name in form if do == "save"]),
            page_value=text(form, "value", 400),
            is_sender=getattr(request.state, "user", None) is not None,
            language=language(),
            objecting=do == "object",
        )
    return _show(request, done=_thanks(refused, granted))


def _thanks(refused: int, granted: int) -> str:
    if granted:
        return _("Thank you. Your choice was recorded; you can change it at any time.")
    if refused:
        return _("Done. Nothing is measured of it any more, in messages you already have either. Links go on working.")
    return _("Nothing had to be changed: it was like that already.")


@routes.public_action("/r/{token}/one-click")
def one_click(request: Request, form: FormData) -> Response:
    """Everything off by one POST without a page, for programs (as RFC 8058 has it for unsubscribing)."""
    context = context_of(request)
    with context.database.session_scope() as session:
        holder = holder_of(session, context, request.path_params["token"])
        refuse(session, holder, MEASURED, "objection_header")
    return PlainTextResponse(
        _("Done. Nothing is measured of it any more, in messages you already have either. Links go on working.")
    )


@routes.public_action("/r/{token}/archive")
def preference_archive(request: Request, form: FormData) -> Response:
    context = context_of(request)
    with context.database.reading() as session:
        holder = holder_of(session, context, request.path_params["token"])
    check_sees_everything(holder)
    content = archive_of(context, holder.recipient, _language(request, text(form, "lang")))
    headers = {"Content-Disposition": f'attachment; filename="{archive_name(now())}"'}
    return Response(content, media_type="application/zip", headers=headers)


@routes.public_action("/r/{token}/events/{event}/struck")
def not_the_recipient(request: Request, form: FormData) -> Response:
    """“That was not me.”"""
    context = context_of(request)
    with use_locale(_language(request, text(form, "lang")), "UTC"):
        with context.database.session_scope() as session:
            holder = holder_of(session, context, request.path_params["token"])
            check_sees_everything(holder)
            theirs = select(Delivery.id).where(Delivery.recipient_id == holder.recipient.id)
            query = select(Event).where(
                Event.public_id == request.path_params["event"], col(Event.delivery_id).in_(theirs)
            )
            event = session.exec(query).first()
            if event is None:
                raise HTTPException(404)
            mark_not_recipient(session, event, text(form, "note", 500) or _("says: that was not me"))
        return _show(request, done=_("Struck. It counts no longer."))


@routes.public_action("/r/{token}/mailed-link")
def mailed_link(request: Request, form: FormData) -> Response:
    """Mails the link that opens everything: to the address, whoever asks."""
    context = context_of(request)
    with use_locale(_language(request, text(form, "lang")), "UTC"):
        with context.database.session_scope() as session:
            holder = holder_of(session, context, request.path_params["token"])
            send_own_link(session, context, holder.recipient, language())
        return _show(request, done=_("A link is on its way to your address, unless one was sent within the last hour."))


def _language(request: Request, chosen: str) -> str:
    return chosen if chosen in LANGUAGES else language()


def _show(request: Request, *, done: str = "", problem: str = "", status: int = 200) -> Response:
    app_context = context_of(request)
    with app_context.database.reading() as session:
        holder = holder_of(session, app_context, request.path_params["token"])
        states = states_of(session, holder.recipient)
        context = {
            "holder": holder,
            "tracking_path": app_context.settings.tracking_path,
            "here": f"{app_context.settings.tracking_path}/r/{holder.token}",
            "erased": holder.recipient.erased_at is not None,
            "asking": holder.link.kind == LinkKind.ASK and holder.is_fresh,
            "controller": controller(session, app_context),
            "notice": notice(session, app_context, language()),
            "on": {purpose.value: is_on(session, states[purpose]) for purpose in MEASURED},
            "state_label": {p.value: _(CONSENT_LABELS[states[p]]) for p in MEASURED},
            "may_agree": holder.may_agree and getattr(request.state, "user", None) is None,
            "value": preference_links(app_context).page_value(holder.token, holder.recipient.ledger_entries)
            if holder.may_agree
            else "",
            "copies": _copies(session, holder),
            "periods": periods(session),
            "evidence_days": app_context.settings.evidence_days,
            "done": done,
            "problem": problem,
        }
    response = render(request, "recipients/preference_page.html", context, status)
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _copies(session: Session, holder: LinkHolder) -> list[OwnCopy]:
    """All of this person's tracked copies by the link that opens everything; else the one that carried the link."""
    query = (
        select(Message, Delivery)
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(Delivery.recipient_id == holder.recipient.id, col(Delivery.opens_on) | col(Delivery.clicks_on))
        .order_by(col(Message.id).desc())
        .limit(SHOWN)
    )
    if not holder.sees_everything:
        query = query.where(Delivery.public_id == holder.link.copy)
    return [_copy(session, message, delivery) for message, delivery in session.exec(query).all()]


def _copy(session: Session, message: Message, delivery: Delivery) -> OwnCopy:
    events = session.exec(select(Event).where(Event.delivery_id == delivery.id)).all() if not delivery.frozen else []
    links = session.exec(select(TrackedLink).where(TrackedLink.message_id == message.id)).all()
    return OwnCopy(message, delivery, timeline(events, [delivery], links))
