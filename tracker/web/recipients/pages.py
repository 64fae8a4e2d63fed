"""Recipients: the list of people, the story of one, and who they are."""

from urllib.parse import quote

from sqlmodel import col, func, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.ledger import consent_of
from tracker.locale import _, localize
from tracker.mail.addresses import AddressError, parse_list
from tracker.models import Recipient, User
from tracker.models.rows import rows_by_id
from tracker.recipients import RecipientChange, change, find_or_make, look_up, matching
from tracker.runtime.localized_text import ActionError
from tracker.runtime.paging import read_page
from tracker.web.http.forms import parse
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.messages.activity_labels import consent_label
from tracker.web.recipients.activity import ORDERS, activity_of, in_order
from tracker.web.recipients.person import person_named
from tracker.web.recipients.story_page import story_page

routes = Routes()
PAGE = 50
MOST_IN_ORDER = 200
"""People on the one page of those in another order than that of addresses."""


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
    """The person's story."""
    with context_of(request).database.reading() as session:
        person = person_named(session, request.path_params["who"])
        return story_page(request, session, user, person)


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
        return redirect(f"/recipients/{quote(who)}/rights", localize(error), kind="problem")
    return redirect(f"/recipients/{person.public_id}/rights", _("Saved."))
