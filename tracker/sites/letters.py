"""The source of letters: what is known around each, decided once, kept with it; decided again when somebody asks for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from tracker.mail.addresses import lookup_or_none
from tracker.models import Letter, LetterBody, LetterSource, Mailbox, SiteRule, SiteSource
from tracker.models.counting.tables import in_list
from tracker.runtime.database import now
from tracker.sites.attribution import Attribution, AttributionFacts, Meaning, attribute, candidates
from tracker.sites.letter_facts import LOT, LetterFacts
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
    boxes = {
        mailbox.public_id: mailbox.address
        for mailbox in session.exec(select(Mailbox).where(Mailbox.user_id == user_id))
    }
    own = {
        source.public_id: {
            "id": source.public_id,
            "name": source.name,
            "channel": source.channel,
            "group": source.group,
        }
        for source in session.exec(select(SiteSource).where(SiteSource.user_id == user_id))
    }
    meanings: dict[str, Meaning] = {}
    for rule in sorted(rules, key=lambda rule: rule.state == "active"):
        meanings |= _meanings(rule, boxes, own)
    dynamic = [pool for rule in rules for pool in rule.dynamic_settings]
    return OwnAddresses(
        meanings=meanings,
        pool=frozenset(form for pool in dynamic for address in pool["addresses"] if (form := lookup_or_none(address))),
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
    listed = [(letter, candidates(fields)) for letter, fields in letters] if own.tracks else []
    for begin in range(0, len(listed), LOT):
        lot = listed[begin : begin + LOT]
        facts = LetterFacts(session, lot[0][0].user_id, lot)
        for letter, addresses in lot:
            row = keep_attribution(session, letter, _decide(facts, letter, addresses, own), facts.rows.get(letter.id))
            facts.note(row)
        session.flush()


def attribute_again(session: Session, letter: Letter) -> LetterSource | None:
    """The same for a letter that was decided before, on what is known now."""
    own = own_addresses_of_rules(session, letter.user_id)
    attribute_letters(session, own, [(letter, stored_fields(session, [letter])[letter.id])])
    return session.get(LetterSource, letter.id)


def decide_anew(session: Session, letters: Sequence[Letter], own: OwnAddresses) -> list[Attribution]:
    """What would be decided of stored letters of one person now, of each by what is kept of the others. Nothing is kept."""
    made: list[Attribution] = []
    headers = stored_fields(session, letters)
    for begin in range(0, len(letters), LOT):
        lot = [(letter, candidates(headers[letter.id])) for letter in letters[begin : begin + LOT]]
        facts = LetterFacts(session, lot[0][0].user_id, lot)
        made += [_decide(facts, letter, addresses, own) for letter, addresses in lot]
    return made


def stored_fields(session: Session, letters: Sequence[Letter]) -> dict[int, list[tuple[str, str]]]:
    """The headers of stored letters as names in lower case with their values."""
    query = select(LetterBody.letter_id, LetterBody.headers).where(
        in_list(session, col(LetterBody.letter_id), [letter.id for letter in letters])
    )
    made: dict[int, list[tuple[str, str]]] = {letter.id: [] for letter in letters}
    for id, headers in session.exec(query):
        parts = (line.partition(": ") for line in headers.splitlines())
        made[id] = [(name.lower(), value) for name, colon, value in parts if colon]
    return made


def _decide(facts: LetterFacts, letter: Letter, addresses: Sequence[str], own: OwnAddresses) -> Attribution:
    known = AttributionFacts(
        holdings=facts.holdings,
        meanings=own.meanings,
        bases=own.bases,
        senders=facts.senders(letter, addresses),
        codes_written=facts.codes_written(letter) if addresses else (),
        history=facts.history(letter),
    )
    return attribute(addresses, letter.sender, letter.received_at, known)


def keep_attribution(session: Session, letter: Letter, made: Attribution, before: LetterSource | None) -> LetterSource:
    """Stores where a letter comes from, in place of what was decided before."""
    values: dict[str, Any] = {
        "sender": letter.sender,
        "received_at": letter.received_at,
        "method": made.method,
        "source": dict(made.source) if made.source else None,
        "flags": list(made.flags),
        "address": made.address[:254],
        "code": made.code[:64],
        "visit_id": made.visit,
        "rule_id": made.rule,
        "site_id": made.site,
        "decided_at": now(),
    }
    is_new_leak = "leaked" in made.flags and (before is None or "leaked" not in (before.flags or ()))
    # whole at once: a default that is left to the model costs more than a letter's share of the statements
    row = before or LetterSource(letter_id=letter.id, user_id=letter.user_id, **values)
    for name, value in values.items() if before is not None else ():
        setattr(row, name, value)
    session.add(row)
    if is_new_leak and "many_codes" in made.flags:
        tell_many_codes(session, letter.user_id, letter.sender)
    elif is_new_leak:
        tell_leaked(session, letter.user_id, made.address)
    return row


def decide_unknown_again(session: Session, addresses: Sequence[str], since: datetime) -> None:
    """Letters whose code nobody knew when they came, and which an edge has told of since."""
    query = select(LetterSource.letter_id).where(
        in_list(session, col(LetterSource.address), addresses),
        LetterSource.method == "unknown_code",
        col(LetterSource.received_at) >= since,
    )
    for letter_id in session.exec(query).all() if addresses else ():
        attribute_again(session, session.get_one(Letter, letter_id))
