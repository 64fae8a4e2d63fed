"""What the workspace and the people say now about measuring: the facts that a policy is decided from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.consent.ledger import ConsentStatus
from tracker.consent.preferences import operator_ceiling, preference, workspace_pack
from tracker.consent.rules import MEASURED, Ceiling, Facts, Pack, Purpose, accepted_grades, jurisdiction_of
from tracker.models import Account, Message, User
from tracker.runtime.context import AppContext
from tracker.runtime.values import value


@value
class RecipientFacts:
    """What is known of a recipient besides the ledger."""

    domain: str
    declared: str | None = None
    country: str | None = None
    never_track: bool = False
    paused: bool = False


@value
class Sender:
    """Who sends, and what may be measured in mail of the account it goes out by."""

    role: str
    account: frozenset[Purpose] = frozenset(Purpose)


@dataclass(frozen=True)
class WorkspaceRules:
    """The rules of this context, read once for many recipients."""

    ceiling: Ceiling
    pack: Pack
    """In force: the policy that was chosen, lowered to a ceiling that came later."""
    least_grade: str
    footer: bool
    roles: Mapping[str, Any]

    def facts(
        self, purpose: Purpose, person: RecipientFacts, status: ConsentStatus, sender: Sender, **message: Any
    ) -> Facts:
        """Everything the policy is decided from; ``message`` are the facts of the message itself."""
        whose = jurisdiction_of(person.declared, person.country, person.domain)
        return Facts(
            pack=self.pack,
            state=status.state,
            grade=status.grade,
            accepted=accepted_grades(self.pack, whose.is_strict, self.least_grade),
            jurisdiction=whose.code,
            ceiling=self.ceiling.allows(purpose),
            role=purpose.value in self.roles.get(sender.role, (purpose.value,)),
            account=purpose in sender.account,
            never_track=person.never_track,
            paused=person.paused,
            **{"notice_given": self.footer, **message},
        )


def workspace_rules(session: Session, context: AppContext) -> WorkspaceRules:
    """The rules as they are now."""
    return WorkspaceRules(
        ceiling=operator_ceiling(context),
        pack=operator_ceiling(context).lowered(workspace_pack(session)),
        least_grade=str(preference(session, "accepted_grades")),
        footer=bool(preference(session, "footer")),
        roles=dict(preference(session, "role_rules")),
    )


def senders_of(session: Session, message_ids: Collection[int]) -> dict[int, Sender]:
    """By message, who sent it as they are now."""
    statement = (
        columns(col(Message.id), col(User.role), col(Account.measure_opens), col(Account.measure_clicks))
        .join(User, col(User.id) == col(Message.user_id))
        .outerjoin(Account, col(Account.id) == col(Message.account_id))
        .where(col(Message.id).in_(message_ids))
    )
    rows = session.connection().execute(statement).all()
    return {id_: Sender(role, allowed(opens, clicks)) for id_, role, opens, clicks in rows if id_ is not None}


def measured_by(account: Account | None) -> frozenset[Purpose]:
    """What may be measured in mail of this account; everything where there is none (any more)."""
    if account is None:
        return frozenset(Purpose)
    return allowed(account.measure_opens, account.measure_clicks)


def allowed(opens: bool | None, clicks: bool | None) -> frozenset[Purpose]:
    """As an account has it; None for an account that is gone."""
    return frozenset(purpose for purpose, yes in zip(MEASURED, (opens, clicks), strict=True) if yes is not False)
