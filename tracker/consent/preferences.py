"""Preferences of the workspace: what people change while Inkling runs."""

from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.consent.rules import ASK_AGAIN_AFTER, Ceiling, CeilingError, Pack, ceiling_of
from tracker.models import PolicyChange, Preference
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

MIN_REASON = 10
MAX_REASON = 2000
DEFAULTS: dict[str, Any] = {
    "policy": Pack.STRICT.value,
    "policy_reason": "",
    "accepted_grades": "C",
    "consent_months": 24,
    "role_rules": {},
    "ask_again_days": ASK_AGAIN_AFTER.days,
    "recipient_limit": 10,
    "mailbox_limit": 10,
    "presence_minutes": 5,
    "office_hours": {},
    "leave_text_urls": True,
    "hidden_link": False,
    "unsign_submissions": False,
    "erasure_text": "delete",
    "retention": {},
    "controller": {},
    "team_totals": False,
    "footer": True,
    "footer_words": {},
    "setup_code_digest": None,
    "key_digests": {},
}

_READ = "preferences"
_ALL = columns(col(Preference.name), col(Preference.value))


def preference(session: Session, name: str) -> Any:
    """The value of a preference, or its default. All are read at once, since a session that asks for one asks for more."""
    preferences: dict[str, Any] | None = session.info.get(_READ)
    if preferences is None:
        preferences = session.info[_READ] = {name: value for name, value in session.execute(_ALL)}  # noqa: C416 (rows are no tuples to mypy)
    return preferences.get(name, DEFAULTS[name])


def set_preference(session: Session, name: str, value: Any, by: int | None = None) -> None:
    if name not in DEFAULTS:
        raise KeyError(name)
    session.info.pop(_READ, None)
    session.merge(Preference(name=name, value=value, changed_at=now(), changed_by=by))


def operator_ceiling(context: AppContext) -> Ceiling:
    """What the operator allows at most."""
    return ceiling_of(context.settings.tracking_ceiling)


def workspace_pack(session: Session) -> Pack:
    """The consent policy in force."""
    return Pack(preference(session, "policy"))


def policy_problems(policy: str, reason: str, ceiling: Ceiling) -> dict[str, str]:
    """Why this policy cannot be chosen, by field: none of ours, looser than strict without a written reason, a reason of
    more than :data:`MAX_REASON` characters, above the ceiling."""
    if policy not in set(Pack):
        return {"policy": LocalizedText("Choose one of the three policies.")}
    if policy == Pack.NOTICE and len(reason.strip()) < MIN_REASON:
        sentence = LocalizedText(
            "The reason is missing. Write in ten characters or more on what ground you track people who were not asked."
        )
        return {"reason": sentence}
    if len(reason) > MAX_REASON:
        return {"reason": LocalizedText("This is longer than %(most)s characters.", most=MAX_REASON)}
    try:
        ceiling.check_policy(Pack(policy))
    except CeilingError as error:
        return {"policy": error.sentence}
    return {}


def set_policy(
    session: Session, policy: str, reason: str, by: int | None = None, *, ceiling: Ceiling | None = None
) -> None:
    """Chooses the consent policy. Raises :class:`ActionError` with :func:`policy_problems`."""
    if problems := policy_problems(policy, reason, ceiling or Ceiling()):
        raise ActionError.of_fields(problems)
    pack = Pack(policy)
    same = (workspace_pack(session), preference(session, "policy_reason")) == (pack, reason.strip())
    if not same or session.get(Preference, "policy") is None:
        _note_change(session, "policy", pack.value, reason.strip(), by)
    set_preference(session, "policy", pack.value, by)
    set_preference(session, "policy_reason", reason.strip(), by)


def change_rule(session: Session, name: str, value: Any, by: int | None = None) -> None:
    """Changes one of the other rules of consent, and notes it in their history when it is different."""
    if preference(session, name) != value:
        _note_change(session, name, value, "", by)
        set_preference(session, name, value, by)


def _note_change(session: Session, name: str, value: Any, reason: str, by: int | None) -> None:
    session.add(
        PolicyChange(name=name, before=preference(session, name), after=value, reason=reason, changed_by=by, at=now())
    )
