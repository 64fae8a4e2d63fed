"""When to send, as people say it: tomorrow, on Monday, tomorrow by the clock of whom one writes to."""

from dataclasses import replace
from datetime import tzinfo
from zoneinfo import ZoneInfo

from sqlmodel import Session

from tracker.crm.snooze import snooze_time
from tracker.models import User
from tracker.outbound.draft import SendError
from tracker.outbound.recipient_zone import recipient_zone
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText
from tracker.web.compose.drafts import ComposeForm, readable

THEIRS = "theirs"


def at_choice(session: Session, user: User, typed: ComposeForm, choice: str) -> ComposeForm:
    """The form with the time of a choice (:data:`tracker.crm.snooze.CHOICES`, or :data:`THEIRS`: the first recipient's morning).
    Raises :class:`SendError`."""
    own, moment = ZoneInfo(user.timezone), now()
    zone: tzinfo = own
    day = choice
    if choice == THEIRS:
        first = next(iter(readable(typed.to)), None)
        theirs = recipient_zone(session, user, first.address, moment) if first is not None else None
        if theirs is None:
            who = first.address if first is not None else "?"
            raise SendError(
                "send_at",
                "unknown_zone",
                LocalizedText("It is not known what time it is where %(who)s is. Choose a time.", who=who),
            )
        zone, day = theirs, "tomorrow"
    at = snooze_time(day, moment, zone)
    if at is None:
        raise SendError(
            "send_at", "not_a_time", LocalizedText("This is not a time. Choose a day and an hour, or leave it empty.")
        )
    return replace(typed, send_at=at.astimezone(own).strftime("%Y-%m-%dT%H:%M"))
