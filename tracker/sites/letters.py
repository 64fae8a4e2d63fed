"""The source of letters: what is known around each, decided once, kept with it; decided again when somebody asks for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from tracker.mail.addresses import lookup_or_none
from tracker.models import Letter, LetterBody, LetterSource, Mailbox, SiteLease, SiteRule, SiteSource, Visit
from tracker.models.counting.tables import in_list
from tracker.runtime.database import now
from tracker.sites.attribution import CODES_WITHIN, HISTORY, Attribution, Holding, Known, Meaning, attribute, candidates
from tracker.sites.notices import tell_leaked, tell_many_codes
from tracker.sites.source_names import named_source

Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class OwnAddresses:
    """The addresses of one person's rules, those that are over among them: what they stand for."""

    meanings: Mapping[str, Meaning]
    pool: frozenset[str]
    bases: frozenset[str]
    tracks: bool
    """Whether there is or was any rule at all."""

    @property
    def static(self) -> frozenset[str]:
        return frozenset(self.meanings)


def own_addresses_of_rules(session: Session, user_id: int) -> OwnAddresses:
    """Active rules go before drafts and what was removed, newer ones before older."""
    rules = session.exec(select(SiteRule).where(SiteRule.user_id == user_id).order_by(col(SiteRule.id))).all()
    if not rules:
        return OwnAddresses({}, frozenset(), frozenset(), tracks=False)
    boxes = {one.public_id: one.address for one in session.exec(select(Mailbox).where(Mailbox.user_id == user_id))}
    own = {
        one.public_id: {"id": one.public_id, "name": one.name, "channel": one.channel, "group": one.group}
        for one in session.exec(select(SiteSource).where(SiteSource.user_id == user_id))
    }
    meanings: dict[str, Meaning] = {}
    for rule in sorted(rules, key=lambda rule: rule.state == "active"):
        meanings |= _meanings(rule, boxes, own)
    dynamic = [pool for rule in rules for pool in rule.dynamic_settings]
    return OwnAddresses(
        meanings=meanings,
        pool=frozenset(form for pool in dynamic for one in pool["addresses"] if (form := lookup_or_none(one))),
        bases=frozenset(form for p in dynamic if (form := lookup_or_none(boxes.get(p["email_account"] or "", "")))),
        tracks=True,
    )


def _meanings(rule: SiteRule, boxes: Mapping[str, str], own: Mapping[str, Mapping[str, Any]]) -> dict[str, Meaning]:
    made = {}
    for line in rule.static_settings if rule.tracking_type == "static" else ():
        if form := lookup_or_none(line["address"] or boxes.get(line["email_account"] or "", "")):
            made[form] = Meaning("static", named_source(line["default_source"], own), rule.id)
    for line in rule.static_settings if rule.tracking_type == "dynamic" else ():  # the reserve
        if form := lookup_or_none(line["address"] or ""):
            made[form] = Meaning("static", named_source(line["default_source"] or line["source"], own), rule.id)
    for line in rule.external_settings:
        if form := lookup_or_none(line["address"] or boxes.get(line["email_account"] or "", "")):
            made[form] = Meaning("external", named_source(line["source"], own), rule.id)
    return made


def attribute_letters(session: Session, own: OwnAddresses, letters: Sequence[tuple[Letter, Fields]]) -> None:
    """Decides and keeps where letters of one person come from, in their order. Nothing is kept for who has no rules."""
    if not own.tracks:
        return
    for letter, fields in letters:
        keep_attribution(session, letter, _decide(session, letter, candidates(fields), own))


def attribute_again(session: Session, letter: Letter) -> LetterSource | None:
    """The same for a letter that was decided before, on what is known now."""
    own = own_addresses_of_rules(session, letter.user_id)
    attribute_letters(session, own, [(letter, stored_fields(session, letter))])
    return session.get(LetterSource, letter.id)


def decide_anew(session: Session, letter: Letter, own: OwnAddresses) -> Attribution:
    """What would be decided of a stored letter now. Nothing is kept."""
    return _decide(session, letter, candidates(stored_fields(session, letter)), own)


def stored_fields(session: Session, letter: Letter) -> Fields:
    """The header of a stored letter as names in lower case with their values."""
    body = session.get(LetterBody, letter.id)
    parts = (line.partition(": ") for line in (body.headers if body else "").splitlines())
    return [(name.lower(), value) for name, colon, value in parts if colon]


def _decide(session: Session, letter: Letter, addresses: Sequence[str], own: OwnAddresses) -> Attribution:
    known = Known(
        holdings=holdings_of(session, letter.user_id, addresses),
        meanings=own.meanings,
        bases=own.bases,
        senders=_senders(session, letter, addresses),
        codes_written=_codes_written(session, letter) if addresses else (),
        history=_history(session, letter),
    )
    return attribute(addresses, letter.sender, letter.received_at, known)


def holdings_of(session: Session, user_id: int, addresses: Sequence[str]) -> dict[str, list[Holding]]:
    """Who held these addresses, in the order in which they were shown."""
    query = (
        select(SiteLease, Visit)
        .join(Visit, col(Visit.id) == col(SiteLease.visit_id))
        .where(
            in_list(session, col(SiteLease.address), addresses)
        )  # by the address alone: SQLite would read a person's visits
        .order_by(col(SiteLease.shown_at), col(SiteLease.id))
    )
    made: dict[str, list[Holding]] = {}
    rows = session.exec(query) if addresses else ()
    for lease, visit in (pair for pair in rows if pair[1].user_id == user_id):
        holding = Holding(
            visit=visit.id or 0,
            visitor=visit.visitor,
            shown_at=lease.shown_at,
            until=lease.until,
            source=visit.attributed or None,
            rule=lease.rule_id,
            intent_at=lease.intent_at,
            robot=visit.robot,
        )
        made.setdefault(lease.address, []).append(holding)
    return made


def _senders(session: Session, letter: Letter, addresses: Sequence[str]) -> dict[str, set[str]]:
    query = select(LetterSource.address, LetterSource.sender, LetterSource.user_id).where(
        in_list(session, col(LetterSource.address), addresses),
        col(LetterSource.letter_id) != letter.id,
        col(LetterSource.received_at) <= letter.received_at,
    )
    made: dict[str, set[str]] = {}
    for address, sender, user_id in session.exec(query.distinct()) if addresses else ():
        if user_id != letter.user_id:
            continue
        made.setdefault(address, set()).add(sender)
    return made


def _codes_written(session: Session, letter: Letter) -> set[str]:
    """Addresses with a code that the sender wrote to lately, before this letter."""
    query = select(LetterSource.address).where(
        LetterSource.user_id == letter.user_id,
        LetterSource.sender == letter.sender,
        col(LetterSource.received_at) >= letter.received_at - CODES_WITHIN,
        col(LetterSource.received_at) <= letter.received_at,
        col(LetterSource.method).in_(("code", "unknown_code")),
        col(LetterSource.letter_id) != letter.id,
    )
    return set(session.exec(query.distinct())) if letter.sender else set()


def _history(session: Session, letter: Letter) -> Mapping[str, Any] | None:
    if not letter.sender:
        return None
    query = (
        select(LetterSource)
        .where(
            LetterSource.user_id == letter.user_id,
            LetterSource.sender == letter.sender,
            col(LetterSource.received_at) < letter.received_at,
            col(LetterSource.received_at) >= letter.received_at - HISTORY,
            col(LetterSource.method).in_(("code", "static", "external")),
        )
        .order_by(col(LetterSource.received_at).desc())
    )
    return next((row.source for row in session.exec(query.limit(20)) if row.source), None)


def keep_attribution(session: Session, letter: Letter, made: Attribution) -> None:
    """Stores where a letter comes from, in place of what was decided before."""
    assert letter.id is not None
    row = session.get(LetterSource, letter.id) or LetterSource(
        letter_id=letter.id, user_id=letter.user_id, received_at=letter.received_at, method="none"
    )
    visit = session.get(Visit, made.visit) if made.visit is not None else None
    values = {
        "sender": letter.sender,
        "received_at": letter.received_at,
        "method": made.method,
        "source": dict(made.source) if made.source else None,
        "flags": list(made.flags),
        "address": made.address[:254],
        "code": made.code[:64],
        "visit_id": made.visit,
        "rule_id": made.rule,
        "site_id": visit.site_id if visit else None,
        "decided_at": now(),
    }
    is_new_leak = "leaked" in made.flags and "leaked" not in (row.flags or ())
    for name, value in values.items():
        setattr(row, name, value)
    session.add(row)
    session.flush()
    if is_new_leak and "many_codes" in made.flags:
        tell_many_codes(session, letter.user_id, letter.sender)
    elif is_new_leak:
        tell_leaked(session, letter.user_id, made.address)


def decide_unknown_again(session: Session, addresses: Sequence[str], since: datetime) -> None:
    """Letters whose code nobody knew when they came, and which an edge has told of since."""
    query = select(LetterSource.letter_id).where(
        in_list(session, col(LetterSource.address), addresses),
        LetterSource.method == "unknown_code",
        col(LetterSource.received_at) >= since,
    )
    for letter_id in session.exec(query).all() if addresses else ():
        attribute_again(session, session.get_one(Letter, letter_id))
