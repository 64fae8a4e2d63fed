"""What is known around letters of one person before it is decided where they come from: read for many letters at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, cast
from sqlmodel import Session, col, func, select

from tracker.models import Letter, LetterSource, SiteLease, Visit
from tracker.models.counting.tables import in_list
from tracker.sites.attribution import CODES_WITHIN, HISTORY, Holding

LOT = 200
"""Letters whose surroundings are read together."""
_CODED = ("code", "unknown_code")
_SOURCED = ("code", "static", "external")


@dataclass(frozen=True, slots=True)
class _Decided:
    address: str
    sender: str
    received_at: datetime
    method: str
    source: Mapping[str, Any] | None


class LetterFacts:
    """Holders, earlier senders and sources around a lot of letters. What is decided of one counts for those after it."""

    def __init__(self, session: Session, user_id: int, letters: Sequence[tuple[Letter, Sequence[str]]]) -> None:
        self._session, self._user_id = session, user_id
        self._ids = [letter.id for letter, _ in letters]
        addresses = sorted({address for _, listed in letters for address in listed})
        senders = sorted({letter.sender for letter, _ in letters if letter.sender})
        times = [letter.received_at for letter, _ in letters]
        self.holdings = holdings_of(session, user_id, addresses)
        self.rows = {
            row.letter_id: row
            for row in session.exec(
                select(LetterSource).where(in_list(session, col(LetterSource.letter_id), self._ids))
            )
        }
        self._decided = {id: _noted(row) for id, row in self.rows.items()}
        # of an address that nobody held, such as one of a list, it does not matter who wrote; and there all do
        self._first_sent = self._read_senders(list(self.holdings))
        self._written = self._read_codes(senders, min(times), max(times))
        self._sources = self._read_sources(min(times)) if senders else {}

    def note(self, row: LetterSource) -> None:
        """What was decided of a letter of the lot."""
        self._decided[row.letter_id] = _noted(row)

    def senders(self, letter: Letter, addresses: Sequence[str]) -> dict[str, set[str]]:
        """Who wrote to each address before this letter came."""
        made: dict[str, set[str]] = {}
        for address in addresses:
            first = self._first_sent.get(address, {})
            made[address] = {sender for sender, at in first.items() if at <= letter.received_at}
        for other in self._others(letter):
            if other.address in made and other.received_at <= letter.received_at:
                made[other.address].add(other.sender)
        return made

    def codes_written(self, letter: Letter) -> set[str]:
        """Addresses with a code that the sender wrote to lately, before this letter."""
        if not letter.sender:
            return set()
        begin, end = letter.received_at - CODES_WITHIN, letter.received_at
        made = {address for address, at in self._written.get(letter.sender, ()) if begin <= at <= end}
        for other in self._others(letter):
            if other.sender == letter.sender and other.method in _CODED and begin <= other.received_at <= end:
                made.add(other.address)
        return made

    def history(self, letter: Letter) -> Mapping[str, Any] | None:
        """The source of the sender's last letter that had one."""
        if not letter.sender:
            return None
        earlier: list[tuple[datetime, Mapping[str, Any] | None]] = [
            (other.received_at, other.source)
            for other in self._others(letter)
            if other.sender == letter.sender
            and other.method in _SOURCED
            and other.source
            and other.received_at <= letter.received_at
        ]
        if letter.id in self._sources:
            earlier.append(self._sources[letter.id])
        at, source = max(earlier, key=lambda pair: pair[0], default=(letter.received_at, None))
        return source if at >= letter.received_at - HISTORY else None

    def _others(self, letter: Letter) -> list[_Decided]:
        return [decided for id, decided in self._decided.items() if id != letter.id]

    def _read_senders(self, addresses: Sequence[str]) -> dict[str, dict[str, datetime]]:
        made: dict[str, dict[str, datetime]] = {}
        query = (
            # by the address alone: SQLite would read all letters of a person
            select(LetterSource.address, LetterSource.sender, LetterSource.user_id, func.min(LetterSource.received_at))
            .where(in_list(self._session, col(LetterSource.address), addresses), self._is_elsewhere())
            .group_by(col(LetterSource.address), col(LetterSource.sender), col(LetterSource.user_id))
        )
        for address, sender, user_id, first in self._session.exec(query) if addresses else ():
            if user_id == self._user_id:
                made.setdefault(address, {})[sender] = first
        return made

    def _read_codes(
        self, senders: Sequence[str], first: datetime, last: datetime
    ) -> dict[str, set[tuple[str, datetime]]]:
        made: dict[str, set[tuple[str, datetime]]] = {}
        query = select(LetterSource.sender, LetterSource.address, LetterSource.received_at).where(
            LetterSource.user_id == self._user_id,
            in_list(self._session, col(LetterSource.sender), senders),
            col(LetterSource.received_at) >= first - CODES_WITHIN,
            col(LetterSource.received_at) <= last,
            _method().in_(_CODED),
            self._is_elsewhere(),
        )
        for sender, address, at in self._session.exec(query) if senders else ():
            made.setdefault(sender, set()).add((address, at))
        return made

    def _read_sources(self, first: datetime) -> dict[int, tuple[datetime, Mapping[str, Any] | None]]:
        """By letter: the moment and source of the sender's letter before it that had a source."""
        latest = (
            select(LetterSource.letter_id)
            .where(
                LetterSource.user_id == self._user_id,
                col(LetterSource.sender) == col(Letter.sender),
                # servers tell whole seconds: two letters may have come in one
                col(LetterSource.received_at) <= col(Letter.received_at),
                col(LetterSource.received_at) >= first - HISTORY,
                _method().in_(_SOURCED),
                func.coalesce(cast(col(LetterSource.source), Text), "null") != "null",
                self._is_elsewhere(),
            )
            .order_by(col(LetterSource.received_at).desc())
            .limit(1)
            .correlate(Letter)
            .scalar_subquery()
        )
        query = select(Letter.id, latest).where(in_list(self._session, col(Letter.id), self._ids), Letter.sender != "")
        before = {id: other for id, other in self._session.exec(query) if id is not None and other is not None}
        sources = select(LetterSource.letter_id, LetterSource.received_at, LetterSource.source).where(
            in_list(self._session, col(LetterSource.letter_id), set(before.values()))
        )
        named = {id: (at, source) for id, at, source in self._session.exec(sources)} if before else {}
        return {id: named[other] for id, other in before.items()}

    def _is_elsewhere(self) -> Any:
        return ~in_list(self._session, col(LetterSource.letter_id), self._ids)


def _method() -> Any:
    """In a form that no index has: SQLite would read a person's letters by their method, where the sender's are few."""
    return func.coalesce(col(LetterSource.method), "")


def _noted(row: LetterSource) -> _Decided:
    return _Decided(row.address, row.sender, row.received_at, row.method, row.source)


def holdings_of(session: Session, user_id: int, addresses: Sequence[str]) -> dict[str, list[Holding]]:
    """Who held these addresses, in the order in which they were shown."""
    lease, visit = SiteLease, Visit
    query = (
        select(  # type: ignore[call-overload]
            *(lease.address, lease.shown_at, lease.until, lease.rule_id, lease.intent_at),
            *(visit.id, visit.user_id, visit.site_id, visit.visitor, visit.attributed, visit.robot),
        )
        .join(Visit, col(visit.id) == col(lease.visit_id))
        .where(
            in_list(session, col(lease.address), addresses)
        )  # by the address alone: SQLite would read a person's visits
        .order_by(col(lease.shown_at), col(lease.id))
    )
    made: dict[str, list[Holding]] = {}
    for address, shown_at, until, rule, intent_at, id, owner, site, visitor, source, robot in (
        session.exec(query) if addresses else ()
    ):
        if owner == user_id:
            holding = Holding(id, visitor, shown_at, until, source or None, rule, intent_at, robot, site)
            made.setdefault(address, []).append(holding)
    return made
