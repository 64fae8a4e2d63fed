"""The bell: its panel, its page, and the reading of lines."""

from dataclasses import asdict

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker.locale import _
from tracker.mail.account_servers import working_account
from tracker.models import Notification, User
from tracker.models.ownership import owned
from tracker.notifications import notify
from tracker.notifications.bell_lines import announcements, bell_lines, page_of
from tracker.runtime.localized_text import ActionError
from tracker.runtime.paging import Cursor
from tracker.web.http.forms import FormErrors, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, local_path, redirect, render
from tracker.web.notifications.settings_form import Alerts, alerts_of, digest_hours, kind_labels, save_alerts

routes = Routes()
PANEL_LINES = 20
PAGE_LINES = 50


@routes.page("/notifications/panel")
def panel(request: Request, user: User) -> Response:
    """The partial that the bell opens, and fetches again after each hint."""
    with context_of(request).database.reading() as session:
        lines = bell_lines(session, notify.lines(session, user, limit=PANEL_LINES))
    return render(request, "notifications/_bell_panel.html", {"lines": lines})


@routes.page("/notifications/state")
def state(request: Request, user: User) -> Response:
    """The badge, and what a desktop notification would say: the newest unread lines."""
    with context_of(request).database.reading() as session:
        unread = notify.unread_count(session, user)
        ringing = bell_lines(session, notify.lines(session, user, ringing=True, limit=PAGE_LINES))
        newest = [asdict(each) for each in announcements(session, ringing)]
    return JSONResponse({"unread": unread, "newest": newest})


@routes.page("/notifications")
def notifications(request: Request, user: User) -> Response:
    return _page(request, user, alerts_of(user), {})


def _page(request: Request, user: User, alerts: Alerts, wrong: FormErrors, status: int = 200) -> Response:
    before, unread_only = _place(request.query_params.get("before", "")), request.query_params.get("unread") == "true"
    with context_of(request).database.reading() as session:
        notices = notify.lines(session, user, unread_only=unread_only, limit=PAGE_LINES + 1, before=before)
        lines = bell_lines(session, notices[:PAGE_LINES])
        account = working_account(session, user)
    context = {
        "lines": lines,
        "older": Cursor(notices[-2].at, notices[-2].id or 0) if len(notices) > PAGE_LINES else None,
        "unread_only": unread_only,
        "alerts": alerts,
        "wrong": wrong,
        "kinds": kind_labels(),
        "digest_hours": digest_hours(),
        "digest_account": account.address if account else "",
    }
    return render(request, "notifications/notifications.html", context, status)


@routes.action("/notifications/preferences")
def preferences(request: Request, user: User, form: FormData) -> Response:
    """What people are notified about, quiet hours and the digest."""
    alerts, wrong = Alerts.from_form(form)
    if wrong:
        return _page(request, user, alerts, wrong, 422)
    with context_of(request).database.session_scope() as session:
        save_alerts(session.get_one(User, user.id), alerts)
    return redirect("/notifications#ring", _("Saved. It applies from now on."))


@routes.action("/notifications/{id}/reading")
def read(request: Request, user: User, _form: FormData) -> Response:
    """Marks the line as read and goes on to what it is about."""
    with context_of(request).database.session_scope() as session:
        line = owned(session, Notification, user, request.path_params["id"])
        notify.mark_read(session, user, line.public_id)
        return redirect(page_of(session, line))


@routes.action("/notifications/readings")
def read_all(request: Request, user: User, form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        notify.mark_all_read(session, user)
    return redirect(local_path(text(form, "back"), "/notifications"))


def _place(text: str) -> Cursor | None:
    """Where the page above ended; None for the first page and for what is no such place."""
    try:
        return Cursor.parse(text)
    except ActionError:
        return None
