"""The bell: its panel, its page, the reading of lines; and the form of what people are notified about, quiet hours and the
digest.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker.locale import _
from tracker.mail.account_servers import working_account
from tracker.models import Notification, User
from tracker.models.ownership import owned
from tracker.notifications import notify
from tracker.notifications.bell_lines import announcements, bell_lines, page_of
from tracker.notifications.digest import set_hour
from tracker.notifications.rules import KINDS
from tracker.runtime.localized_text import ActionError
from tracker.runtime.paging import Cursor
from tracker.web.http.forms import FormErrors, is_checked, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, local_path, redirect, render

USUAL = ("20:00", "08:00")
"""What the fields suggest while there are no quiet hours."""
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9])?")


@dataclass(frozen=True)
class Alerts:
    """The form as typed; ``digest`` is the hour, empty for none."""

    ringing: tuple[str, ...]
    quiet: bool
    quiet_from: str
    quiet_until: str
    digest: str

    @classmethod
    def from_form(cls, form: FormData) -> tuple["Alerts", FormErrors]:
        alerts = cls(
            ringing=tuple(kind for kind in KINDS if is_checked(form, f"ring_{kind}")),
            quiet=is_checked(form, "quiet"),
            quiet_from=text(form, "quiet_from") or USUAL[0],
            quiet_until=text(form, "quiet_until") or USUAL[1],
            digest=text(form, "digest"),
        )
        return alerts, alerts._wrong()

    def _wrong(self) -> FormErrors:
        wrong: FormErrors = {}
        for name in ("quiet_from", "quiet_until"):
            if _minute(getattr(self, name)) is None:
                wrong[name] = _("This is not a time of day. Write it like 20:00.")
        if self.quiet and not wrong and _minute(self.quiet_from) == _minute(self.quiet_until):
            wrong["quiet_until"] = _(
                "Quiet hours that end when they begin would never be quiet. Choose another end time."
            )
        if self.digest not in dict(digest_hours()):
            wrong["digest"] = _("Choose one of the list.")
        return wrong


def alerts_of(user: User) -> Alerts:
    """The person's row as the form shows it."""
    quiet = user.quiet_from is not None and user.quiet_until is not None
    return Alerts(
        ringing=tuple(kind for kind in KINDS if kind not in (user.quiet_kinds or ())),
        quiet=quiet,
        quiet_from=_clock(user.quiet_from) if quiet else USUAL[0],
        quiet_until=_clock(user.quiet_until) if quiet else USUAL[1],
        digest="" if user.digest_hour is None else str(user.digest_hour),
    )


def save_alerts(user: User, alerts: Alerts) -> None:
    """Writes a form without faults into the row. The digest begins anew only when its hour was changed."""
    user.quiet_kinds = [kind for kind in KINDS if kind not in alerts.ringing]
    user.quiet_from = _minute(alerts.quiet_from) if alerts.quiet else None
    user.quiet_until = _minute(alerts.quiet_until) if alerts.quiet else None
    hour = int(alerts.digest) if alerts.digest else None
    if hour != user.digest_hour:
        set_hour(user, hour)


def kind_labels() -> Sequence[tuple[str, str, str]]:
    """Each kind of news with its name and what it means."""
    return (
        ("first_open", _("First open"), _("Somebody opens a message for the first time.")),
        ("opened_again", _("Opened again"), _("After a day or more of silence.")),
        ("interest", _("Interest"), _("Three opens or clicks within an hour.")),
        ("click", _("Clicks"), _("Somebody follows a link.")),
        ("reply", _("Replies"), ""),
        ("enquiry", _("Enquiries"), _("Somebody writes to one of your mailboxes.")),
        ("follow_up", _("Reminders"), _("No reply came in the time you chose.")),
        ("trouble", _("Problems with delivery"), _("Mail was refused or came back, or an address cannot send.")),
    )


def digest_hours() -> Sequence[tuple[str, str]]:
    """None, and every hour of a day."""
    return (
        ("", _("None")),
        *((str(hour), _("every day at %(time)s", time=f"{hour:02}:00")) for hour in range(24)),
    )


def _minute(clock: str) -> int | None:
    match = _CLOCK.fullmatch(clock)
    return int(match[1]) * 60 + int(match[2]) if match else None


def _clock(minute: int | None) -> str:
    return f"{(minute or 0) // 60:02}:{(minute or 0) % 60:02}"


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
        "older": Cursor(notices[-2].at, notices[-2].id) if len(notices) > PAGE_LINES else None,
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
