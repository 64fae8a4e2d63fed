"""The end of runs that brought nothing and had no trouble, as nearly all of them end: noted together, in few statements."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, case
from sqlmodel import select, update

from tracker.inbound.fetch.schedule import Claim, next_run
from tracker.models import MailboxFolder, MailboxState
from tracker.models.counting.tables import MAILBOX
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

_MOMENT = bindparam("moment", type_=MAILBOX.c.run_ended_at.type)
_HAD_NO_TROUBLE = (
    select(MAILBOX.c.id)
    .where(
        *(MAILBOX.c.id.in_(bindparam("numbers", expanding=True)), MAILBOX.c.active, MAILBOX.c.removed_at.is_(None)),
        *(MAILBOX.c.state == MailboxState.ACTIVE.value, MAILBOX.c.state_detail == "", MAILBOX.c.run_problem == ""),
        *(MAILBOX.c.failures == 0, MAILBOX.c.login_failures == 0),
        *(MAILBOX.c.login_failed_at.is_(None), MAILBOX.c.broken_at.is_(None)),
    )
    .order_by(MAILBOX.c.id)
    .with_for_update(key_share=True)
)
_ENDED = (
    update(MAILBOX)
    .where(MAILBOX.c.id == bindparam("number"))
    .values(
        good_run_at=MAILBOX.c.run_started_at,
        run_ended_at=_MOMENT,
        # Somebody may have pressed the button while we ran.
        due_at=case((MAILBOX.c.sync_wanted, _MOMENT), else_=bindparam("due", type_=MAILBOX.c.due_at.type)),
    )
)
_FOLDER = MailboxFolder.__table__  # type: ignore[attr-defined]
_FOLDER_READ = update(_FOLDER).where(_FOLDER.c.id == bindparam("number")).values(good_run_at=bindparam("began"))


@dataclass(frozen=True)
class QuietRun:
    """A run that came to its end and loaded nothing. ``folders`` are those that it read, with when it began to."""

    context: AppContext
    claim: Claim
    folders: Mapping[int, datetime]


def note_quiet_run(run: QuietRun) -> Future[bool]:
    """Notes its end as :func:`tracker.inbound.fetch.schedule.ended_well` would, together with others that end just now. False, with
    nothing written, when there was something wrong with the mailbox before: then its recovery is to be noted, too."""
    return run.context.database.commit_together(note_together, run)


def note_together(runs: Sequence[QuietRun]) -> list[bool]:
    context, moment = runs[0].context, now()
    with context.database.session_scope() as session:
        connection = session.connection()
        numbers = {"numbers": [run.claim.mailbox_id for run in runs]}
        usual = set(connection.execute(_HAD_NO_TROUBLE, numbers).scalars())
        leases = [run.claim.lease for run in runs if run.claim.mailbox_id in usual]
        released = context.leases.release_many(session, leases)
        ours = sorted((run for run in runs if run.claim.lease in released), key=lambda run: run.claim.mailbox_id)
        ended = [
            {"number": run.claim.mailbox_id, "moment": moment, "due": next_run(run.claim.planned, moment)}
            for run in ours
        ]
        folders = [{"number": folder, "began": began} for run in ours for folder, began in sorted(run.folders.items())]
        if ended:
            connection.execute(_ENDED, ended)
        if folders:
            connection.execute(_FOLDER_READ, folders)
    return [run.claim.mailbox_id in usual for run in runs]
