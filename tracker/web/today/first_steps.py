"""What is left to set up before the first tracked mail: a list of four with progress, gone when all is done."""

from dataclasses import dataclass

from sqlalchemy import Text, cast, exists, select
from sqlmodel import Session, col

from tracker.locale import _
from tracker.models import Account, ConsentEntry, Message, MessageState, Preference, Role, User


@dataclass(frozen=True)
class Step:
    text: str
    why: str
    href: str
    is_done: bool


def first_steps(session: Session, user: User) -> list[Step]:
    """The steps, done or not; none when nothing is left. Only administrators name the company."""
    account = exists().where(col(Account.user_id) == user.id, col(Account.removed_at).is_(None))
    unnamed = cast(col(Preference.value), Text).contains('"name": ""')
    company = exists().where(col(Preference.name) == "controller", ~unnamed)
    sent = exists().where(col(Message.user_id) == user.id, col(Message.state) == MessageState.SENT)
    asked = exists().where(col(ConsentEntry.id) > 0)
    has_account, is_named, has_sent, has_asked = session.execute(select(account, company, sent, asked)).one()
    steps = [
        Step(_("Connect your e-mail"), _("The server you already send with."), "/connect", has_account),
        Step(
            _("Name your company"),
            _("Recipients see it when they are asked for consent."),
            "/settings/privacy",
            is_named,
        ),
        Step(
            _("Send a first message"), _("To yourself, to see how it arrives."), f"/compose?to={user.email}", has_sent
        ),
        Step(
            _("Ask for consent"),
            _("Only people who agreed are tracked."),
            "/asking" if has_account else "/recipients",
            has_asked,
        ),
    ]
    steps = [step for step in steps if user.role == Role.ADMIN or step.href != "/settings/privacy"]
    return [] if all(step.is_done for step in steps) else steps
