"""What a recipient says on their own page, as entries of the ledger. No is taken from any link; yes needs a page made for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, select
from starlette.exceptions import HTTPException

from tracker.choice_links import ChoiceLink, LinkKind
from tracker.consent import MEASURED, Pack, Proof, Purpose, State, no_after
from tracker.consent_notice import CONTROL, NOTICE, VERSION, notice
from tracker.db import now
from tracker.house import House
from tracker.ledger import consent_of, record_consent
from tracker.models import Recipient
from tracker.preferences import workspace_pack

GOOD_FOR: Mapping[LinkKind, timedelta] = {LinkKind.ASK: timedelta(days=60), LinkKind.OWN: timedelta(days=7)}
"""How long such links open what they are for; all of them go on to take a no."""


@dataclass(frozen=True)
class Visitor:
    """Whoever came by a link that we signed: whose it is, and what it may do."""

    token: str
    link: ChoiceLink
    recipient: Recipient

    @property
    def is_fresh(self) -> bool:
        limit = GOOD_FOR.get(self.link.kind)
        return limit is None or now().date() - self.link.day <= limit

    @property
    def sees_everything(self) -> bool:
        return self.link.kind == LinkKind.OWN and self.is_fresh

    @property
    def may_agree(self) -> bool:
        return self.link.kind in GOOD_FOR and self.is_fresh


def visitor_of(session: Session, house: House, token: str) -> Visitor:
    """Raises 404 for a link that is none of ours or was changed."""
    link = house.choices.read(token)
    found = select(Recipient).where(Recipient.public_id == link.recipient) if link else None
    recipient = session.exec(found).first() if found is not None else None
    if link is None or recipient is None:
        raise HTTPException(404)
    return Visitor(token, link, recipient)


def states_of(session: Session, recipient: Recipient) -> Mapping[Purpose, State]:
    assert recipient.id is not None
    return consent_of(session, [recipient.id])[recipient.id]


def is_on(session: Session, state: State) -> bool:
    """Whether something may be measured under this state, at least of some mail."""
    return state == State.GRANTED or (state == State.UNKNOWN and workspace_pack(session) == Pack.NOTICE)


def say_no(
    session: Session, visitor: Visitor, purposes: Collection[Purpose], channel: str, *, objecting: bool = False
) -> int:
    """Records a no to each purpose that is not a no already. Returns to how many."""
    states = states_of(session, visitor.recipient)
    said = 0
    for purpose in purposes:
        state = no_after(states[purpose], workspace_pack(session), objecting=objecting)
        if state is not None:
            proof = Proof(
                control="a button" if objecting else "a switch", source_url="", more={"link": visitor.link.kind.name}
            )
            record_consent(session, visitor.recipient, purpose, state, actor="subject", channel=channel, proof=proof)
            said += 1
    return said


def say_yes(session: Session, house: House, visitor: Visitor, purposes: Collection[Purpose], language: str) -> int:
    """Records a yes with the text that was shown. The caller has made sure that the page was ours and made for this."""
    states = states_of(session, visitor.recipient)
    shown = notice(session, house, language)
    new = [purpose for purpose in purposes if states[purpose] not in (State.GRANTED, State.BLOCKED)]
    for purpose in new:
        proof = Proof(
            notice=NOTICE,
            notice_version=VERSION,
            notice_language=language,
            shown=shown.text,
            question=shown.question,
            control=CONTROL,
            double_opt_in=True,  # by a link that only the mailbox got
            confirmed_at=now(),
        )
        channel = "consent_mail_page" if visitor.link.kind == LinkKind.ASK else "preference_page"
        at = proof.confirmed_at
        record_consent(
            session, visitor.recipient, purpose, State.GRANTED, actor="subject", channel=channel, proof=proof, at=at
        )
    return len(new)


def purposes_in(names: Collection[str]) -> list[Purpose]:
    return [purpose for purpose in MEASURED if purpose.value in names]
