"""What people are notified about, quiet hours and the digest, between a person's row and the form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData

from tracker.locale import _
from tracker.models import User
from tracker.notifications.digest import set_hour
from tracker.notifications.rules import KINDS
from tracker.web.http.forms import FormErrors, is_checked, text

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
        if self.digest and not (self.digest.isascii() and self.digest.isdigit() and int(self.digest[:3]) < 24):
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
