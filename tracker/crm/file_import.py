"""Imports of customers that go on by themselves: a page hands the file in, the worker takes its rows, a thousand in a transaction.

How far it has come is written in the transaction of the rows, so that an import that was broken off, whoever did it, goes on behind
the last row that was taken in. A thousand rows go when they are taken in; what remains are counts and the first refused lines.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from sqlalchemy import insert
from sqlmodel import Session, col, delete, select, update

from tracker.crm.csv_import import AT_ONCE, RowResult, read_rows, take_rows, tell_managers
from tracker.models import CustomerImport, CustomerImportPart, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease, is_free
from tracker.runtime.localized_text import ActionError, LocalizedText, stored

LEASE = "import"
STRETCH = 5.0
"""Seconds after which the worker may do something else, or end."""
MOST_REFUSED = 200
"""So many refused lines are shown."""
KEPT = timedelta(days=30)


def begin_import(session: Session, user: User, name: str, raw: bytes) -> CustomerImport:
    """Has the rows of a CSV file taken in. Raises :class:`ActionError` for one whose first line names no columns, or that cannot be
    read to its end."""
    columns, rows = read_rows(raw)
    session.exec(delete(CustomerImport).where(col(CustomerImport.finished_at) < now() - KEPT))
    row = CustomerImport(user_id=user.id, name=name[:200], columns=columns)
    session.add(row)
    session.flush()
    for number, part in enumerate(iter(lambda: list(islice(rows, AT_ONCE)), [])):
        session.execute(insert(CustomerImportPart).values(import_id=row.id, number=number, rows=part))
        row.total += len(part)
    session.add(row)
    return row


def imports_of(session: Session, user: User) -> Sequence[CustomerImport]:
    """A person's last imports, the newest first."""
    mine = select(CustomerImport).where(CustomerImport.user_id == user.id)
    return session.exec(mine.order_by(col(CustomerImport.id).desc()).limit(10)).all()


def find_import(session: Session, user: User, public_id: str) -> CustomerImport:
    """One of them. Raises :class:`ActionError`."""
    mine = select(CustomerImport).where(CustomerImport.user_id == user.id)
    row = session.exec(mine.where(CustomerImport.public_id == public_id)).first()
    if row is None:
        raise ActionError("not_found", LocalizedText("There is no such import."))
    return row


def continue_imports(context: AppContext) -> int:
    """Goes on with the oldest import that nobody works at, for :data:`STRETCH`. Returns how many rows were taken in."""
    with context.database.reading() as session:
        waits = col(CustomerImport.finished_at).is_(None) & is_free(LEASE, col(CustomerImport.id), now())
        first = session.exec(select(CustomerImport.id).where(waits).order_by(col(CustomerImport.id)).limit(1)).first()
    if first is None:
        return 0
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, LEASE, first)
        if lease is not None and session.get_one(CustomerImport, first).finished_at is not None:
            context.leases.release(session, lease)  # another worker has just ended it
            lease = None
    return 0 if lease is None else _Run(context, lease).go_on()


class _Run:
    """A stretch of one import."""

    def __init__(self, context: AppContext, lease: HeldLease) -> None:
        self._context, self._lease = context, lease
        with context.database.reading() as session:
            self._row = session.get_one(CustomerImport, int(lease.subject))
            self._by = session.get_one(User, self._row.user_id)
        self._assigned = Counter({int(user): count for user, count in self._row.assigned.items()})

    def go_on(self) -> int:
        began, before = time.monotonic(), self._row.done
        while self._take_part() and time.monotonic() <= began + STRETCH:
            pass
        with self._context.database.session_scope() as session:
            self._context.leases.release(session, self._lease)
        return self._row.done - before

    def _take_part(self) -> bool:
        """Whether there may be more. Nothing is written once somebody else goes on with it."""
        row = self._row
        with self._context.database.session_scope() as session:
            if not self._context.leases.holds(session, self._lease):
                return False
            parts = select(CustomerImportPart).where(CustomerImportPart.import_id == row.id)
            part = session.exec(parts.order_by(col(CustomerImportPart.number)).limit(1).with_for_update()).first()
            if part is not None:
                self._note(take_rows(session, row.columns, part.rows, self._by, self._assigned))
                session.delete(part)
            else:
                row.finished_at = now()
            columns = ("done", "created", "changed", "unchanged", "refused", "refusals", "assigned", "finished_at")
            values = {name: getattr(row, name) for name in columns}
            session.exec(update(CustomerImport).where(col(CustomerImport.id) == row.id).values(values))
        if part is None:
            tell_managers(self._context, self._assigned, self._by)
        return part is not None

    def _note(self, results: Sequence[RowResult]) -> None:
        row = self._row
        row.done += len(results)
        for status, count in Counter(result.status for result in results).items():
            setattr(row, status, getattr(row, status) + count)
        refused = [[result.line, stored(result.problem)] for result in results if result.status == "refused"]
        row.refusals = [*row.refusals, *refused][:MOST_REFUSED]
        row.assigned = {str(user): count for user, count in self._assigned.items()}
