"""Mailboxes in words: how they stand, and how far behind they are."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from tracker.locale import N_, _, localize
from tracker.models import Mailbox, MailboxProblem, MailboxState
from tracker.notifications.notice_labels import PROBLEMS
from tracker.runtime.database import now
from tracker.web.http.formats import relative

STATES: Mapping[str, tuple[str, str]] = {
    MailboxState.ACTIVE: (N_("works"), "good"),
    MailboxState.NO_CREDENTIALS: (N_("nothing to sign in with"), "bad"),
    MailboxState.DUPLICATE: (N_("connected elsewhere already"), "bad"),
    MailboxState.AUTH_ERROR: (N_("sign-in refused"), "bad"),
    MailboxState.CHECKING: (N_("being checked"), "accent"),
    MailboxState.CONNECTION_ERROR: (N_("server cannot be reached"), "bad"),
    MailboxState.FOLDER_MISSING: (N_("folder missing"), "bad"),
    MailboxState.THROTTLED: (N_("the server asks for a pause"), "warn"),
    MailboxState.NEEDS_OAUTH: (N_("wants sign-in with the service"), "bad"),
    MailboxState.PAUSED: (N_("switched off"), ""),
}
"""Every state with its words and its tone."""

LATE = timedelta(minutes=25)
"""Two missed rounds, and some: then it is said."""


def state_label(mailbox: Mailbox) -> str:
    return _(STATES[mailbox.state][0]) if mailbox.state in STATES else mailbox.state.replace("_", " ")


def state_tone(mailbox: Mailbox) -> str:
    return STATES[mailbox.state][1] if mailbox.state in STATES else ""


def lag_of(mailbox: Mailbox) -> timedelta | None:
    """How old what we know of the mailbox is; None before the first good run and while it is switched off."""
    if mailbox.good_run_at is None or not mailbox.active:
        return None
    return max(now() - mailbox.good_run_at, timedelta())


def is_late(mailbox: Mailbox) -> bool:
    lag = lag_of(mailbox)
    return lag is not None and lag > LATE


def is_busy(mailbox: Mailbox, being_read: Collection[int]) -> bool:
    """Whether its state will change in a moment: it is being checked or read, or waits for a worker to do so."""
    if not mailbox.active:
        return False
    return mailbox.id in being_read or mailbox.sync_wanted or mailbox.state == MailboxState.CHECKING


def next_run_label(mailbox: Mailbox, being_read: Collection[int]) -> str:
    """When it is read next; empty when that is not planned."""
    if mailbox.id in being_read:
        return _("being read now")
    if mailbox.due_at is None or not mailbox.active:
        return ""
    return (
        _("next in a moment")
        if mailbox.due_at <= now() + timedelta(minutes=1)
        else _("next %(when)s", when=relative(mailbox.due_at))
    )


def problem_label(problem: MailboxProblem) -> str:
    return localize(problem.detail) or (_(PROBLEMS[problem.code]) if problem.code in PROBLEMS else problem.code)
