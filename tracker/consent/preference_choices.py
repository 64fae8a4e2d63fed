"""What a recipient says on their preference page, as entries of the ledger. No is taken from any link; yes needs a page made for
it. Actions raise :class:`tracker.runtime.localized_text.ActionError`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, select

from tracker.consent.ledger import consent_of, record_consent
from tracker.consent.notice import CONTROL, NOTICE, VERSION, notice
from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_links
from tracker.consent.preferences import workspace_pack
from tracker.consent.rules import MEASURED, ConsentState, Pack, Proof, Purpose, no_after
from tracker.models import Recipient
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

GOOD_FOR: Mapping[LinkKind, timedelta] = {LinkKind.ASK: timedelta(days=60), LinkKind.OWN: timedelta(days=7)}
"""How long such links open what they are for; all of them go on to take a no."""


@dataclass(frozen=True)
class LinkHolder:
    """Whoever came by a link that we signed: whose it is, and what it may do."""

    token: str
    link: PreferenceLink
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


def holder_of(session: Session, context: AppContext, token: str) -> LinkHolder:
    """Refuses a link that is none of ours or was changed."""
    link = preference_links(context).read(token)
    query = select(Recipient).where(Recipient.public_id == link.recipient) if link else None
    recipient = session.exec(query).first() if query is not None else None
    if link is None or recipient is None:
        raise ActionError("not_found", LocalizedText("This link is not one of ours, or it was changed on its way."))
    return LinkHolder(token, link, recipient)


def states_of(session: Session, recipient: Recipient) -> Mapping[Purpose, ConsentState]:
    return consent_of(session, [recipient.id])[recipient.id]


def is_on(session: Session, state: ConsentState) -> bool:
    """Whether something may be measured under this state, at least of some mail."""
    return state == ConsentState.GRANTED or (state == ConsentState.UNKNOWN and workspace_pack(session) == Pack.NOTICE)


def choose(
    session: Session,
    context: AppContext,
    holder: LinkHolder,
    wanted: Collection[Purpose],
    *,
    page_value: str,
    is_sender: bool,
    language: str,
    objecting: bool = False,
) -> tuple[int, int]:
    """Yes to what is wanted, no to everything else, or nothing of it at all. Returns to how many a no and a yes is new.

    ``page_value`` is what the page was made with, ``is_sender`` whether somebody who sends mail is signed in there.
    """
    states = states_of(session, holder.recipient)
    new = [purpose for purpose in wanted if not is_on(session, states[purpose])]
    if new:
        _check_grant(context, holder, page_value, is_sender)
    others = [purpose for purpose in MEASURED if purpose not in wanted]
    channel = "consent_mail_page" if holder.link.kind == LinkKind.ASK else "preference_page"
    refused = refuse(session, holder, others, channel, objecting=objecting)
    return refused, _grant(session, context, holder, new, language)


def _check_grant(context: AppContext, holder: LinkHolder, page_value: str, is_sender: bool) -> None:
    if is_sender:
        why_not = LocalizedText(
            "You are signed in here as somebody who sends mail, so you cannot agree for a recipient. Nothing was changed."
        )
    elif not holder.may_agree:
        why_not = LocalizedText(
            "By this link one can say no at any time, but not yes. Have a fresh link mailed to you below. Nothing was changed."
        )
    elif not preference_links(context).made_by_page(page_value, holder.token, holder.recipient.ledger_entries):
        why_not = LocalizedText(
            "This page was open for a long time, or your choice has changed meanwhile. "
            "Please look again and choose. Nothing was changed."
        )
    else:
        return
    raise ActionError("conflict", why_not)


def check_sees_everything(holder: LinkHolder) -> None:
    if not holder.sees_everything:
        sentence = LocalizedText(
            "This needs the link that we mail to you; it is good for a week. Have one sent from your page."
        )
        raise ActionError("forbidden", sentence)


def refuse(
    session: Session, holder: LinkHolder, purposes: Collection[Purpose], channel: str, *, objecting: bool = False
) -> int:
    """Records a no to each purpose that is not a no already. Returns to how many."""
    states = states_of(session, holder.recipient)
    said = 0
    for purpose in purposes:
        state = no_after(states[purpose], workspace_pack(session), objecting=objecting)
        if state is not None:
            proof = Proof(
                control="a button" if objecting else "a switch", source_url="", more={"link": holder.link.kind.name}
            )
            record_consent(session, holder.recipient, purpose, state, actor="subject", channel=channel, proof=proof)
            said += 1
    return said


def _grant(
    session: Session, context: AppContext, holder: LinkHolder, purposes: Collection[Purpose], language: str
) -> int:
    """Records a yes with the text that was shown."""
    states = states_of(session, holder.recipient)
    shown = notice(session, context, language)
    new = [purpose for purpose in purposes if states[purpose] not in (ConsentState.GRANTED, ConsentState.BLOCKED)]
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
        channel = "consent_mail_page" if holder.link.kind == LinkKind.ASK else "preference_page"
        at = proof.confirmed_at
        record_consent(
            session,
            holder.recipient,
            purpose,
            ConsentState.GRANTED,
            actor="subject",
            channel=channel,
            proof=proof,
            at=at,
        )
    return len(new)


def purposes_in(names: Collection[str]) -> list[Purpose]:
    return [purpose for purpose in MEASURED if purpose.value in names]
