"""The bell's lines about many copies at once: what `notify.tell` says of one, with one query per table.

Whoever rings about a copy holds its message, so no two workers write the same line.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.attention import Act, end_of_quiet, judge, preference_of
from tracker.counting.among import among
from tracker.counting.bulk import append_rows, update_rows
from tracker.counting.tables import EVENT, FEED, NOTIFICATION
from tracker.db import now
from tracker.models import User
from tracker.models.people import public_id
from tracker.notify import zone_of

Line = Mapping[str, Any]
_CHANGES = "id public_id kind at read_at held_until news told machine vendor"


@dataclass(frozen=True)
class Telling:
    """What people did with one copy: ``fresh`` events (with kind, at and client), and columns of its line."""

    user_id: int
    delivery_id: int
    fresh: Sequence[Any]
    facts: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return f"delivery:{self.delivery_id}"

    @property
    def newest(self) -> datetime:
        at: datetime = max(event.at for event in self.fresh)
        return at


def tell_all(session: Session, tellings: Sequence[Telling]) -> None:
    """Rings for news that deserve attention; otherwise only a line's counter grows, and one that was read stays read."""
    if not tellings:
        return
    session.flush()
    lines = _lines(session, tellings)
    acts = _acts(session, [telling.delivery_id for telling in tellings])
    users = _users(session, {telling.user_id for telling in tellings})
    said = [
        line
        for telling in tellings
        if (line := _say(telling, lines.get(telling.subject), acts[telling.delivery_id], users[telling.user_id]))
    ]
    append_rows(session, NOTIFICATION, [line for line in said if "id" not in line])
    update_rows(session, NOTIFICATION, [line for line in said if "id" in line])
    _hint(session, said)


def _say(telling: Telling, line: Line | None, acts: Sequence[Act], user: User) -> Line | None:
    """The line as it is from now on; None when there is nothing to say."""
    told = {news: datetime.fromisoformat(at) for news, at in ((line["told"] if line else None) or {}).items()}
    news = judge(acts, [Act(event.kind, event.at) for event in telling.fresh], told)
    if news is None and line is None:
        return None  # the message was muted when there were news
    said = dict(line) if line else _new_line(telling)
    said |= telling.facts
    said["at"] = max(said["at"], telling.newest)
    if news is not None:
        told[news] = max(telling.newest, told.get(news, telling.newest))
        said |= {"news": news, "told": {name: at.isoformat() for name, at in told.items()}, "machine": "", "vendor": ""}
        said["kind"] = "click" if news == "click" else "open"
        said |= _ringing(said, user)
    return said


def _new_line(telling: Telling) -> dict[str, Any]:
    who = {"public_id": public_id(), "user_id": telling.user_id, "subject": telling.subject, "detail": ""}
    return {**who, "at": telling.newest, "first_at": telling.newest}


def _ringing(line: Line, user: User) -> dict[str, Any]:
    """Unread, unless the person wants this kind only counted; held while it is quiet."""
    if preference_of(line["kind"], line["news"]) in (user.quiet_kinds or ()):
        return {"read_at": line.get("read_at") or now(), "held_until": None}
    quiet = end_of_quiet(now(), zone_of(user), user.quiet_from, user.quiet_until)
    if quiet is not None:
        user.quiet_ends_at = quiet
    return {"read_at": None, "held_until": quiet}


def _lines(session: Session, tellings: Sequence[Telling]) -> dict[str, Line]:
    """The lines there are, by subject."""
    statement = columns(*(NOTIFICATION.c[name] for name in (*_CHANGES.split(), "user_id", "subject"))).where(
        among(session, NOTIFICATION.c.subject, [telling.subject for telling in tellings]),
        among(session, NOTIFICATION.c.user_id, {telling.user_id for telling in tellings}),
    )
    owners = {telling.subject: telling.user_id for telling in tellings}
    rows = session.connection().execute(statement.with_for_update()).mappings().all()
    return {row["subject"]: dict(row) for row in rows if row["user_id"] == owners[row["subject"]]}


def _acts(session: Session, deliveries: Collection[int]) -> Mapping[int, list[Act]]:
    """Everything that people did with these copies so far."""
    seen = columns(EVENT.c.delivery_id, EVENT.c.kind, EVENT.c.at).where(
        among(session, EVENT.c.delivery_id, deliveries), EVENT.c.counted, EVENT.c.kind.in_(("open", "click"))
    )
    acts: dict[int, list[Act]] = defaultdict(list)
    for delivery, kind, at in session.connection().execute(seen.order_by(EVENT.c.at)):
        acts[delivery].append(Act(kind, at))
    return acts


def _users(session: Session, ids: Collection[int]) -> dict[int, User]:
    return {user.id or 0: user for user in session.exec(select(User).where(among(session, col(User.id), ids)))}


def _hint(session: Session, said: Sequence[Line]) -> None:
    moment = now()
    hints = [
        {"user_id": line["user_id"], "kind": "notification", "subject": line["public_id"], "at": moment}
        for line in said
    ]
    append_rows(session, FEED, hints)
