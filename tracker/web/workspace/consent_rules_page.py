"""The rules behind the consent policy (evidence, validity, pause, roles), and the history of every change. For administrators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.preferences import change_rule, preference
from tracker.consent.rules import MEASURED, Pack
from tracker.locale import N_, _, ngettext
from tracker.models import PolicyChange, Role, User
from tracker.web.http.forms import is_checked, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect
from tracker.web.workspace.policy_labels import policy_name

routes = Routes()
BASE_PATH = "/settings/policy"
GRADES = (
    ("C", N_("Only what people did or wrote themselves (A–C)")),
    ("D", N_("Also what one of us noted (A–D)")),
    ("E", N_("Also consents imported from elsewhere, with their origin (A–E)")),
)
MONTHS = (6, 12, 18, 24, 36)
DAYS = (90, 182, 365)
SHOWN = 50
_RULES: Mapping[str, str] = {
    "policy": N_("Policy"),
    "accepted_grades": N_("Evidence that counts"),
    "consent_months": N_("A consent is good for"),
    "ask_again_days": N_("Left in peace after a no"),
    "role_rules": N_("Who measures"),
    "footer": N_("Footer line"),
}


@dataclass(frozen=True)
class Change:
    """One change of a rule: what from, what to, by whom, why."""

    at: datetime
    rule: str
    before: str
    after: str
    by: str
    reason: str


@routes.admin_action("/settings/consent-rules")
def save_rules(request: Request, user: User, form: FormData) -> Response:
    """Everything of this form at once; what does not differ leaves no trace in the history."""
    grades, months, days = text(form, "accepted_grades"), text(form, "consent_months"), text(form, "ask_again_days")
    known = (grades in dict(GRADES), months in map(str, MONTHS), days in map(str, DAYS))
    if not all(known):
        return redirect(BASE_PATH, _("Choose from the lists; nothing was changed."), kind="problem")
    with context_of(request).database.session_scope() as session:
        change_rule(session, "accepted_grades", grades, by=user.id)
        change_rule(session, "consent_months", int(months), by=user.id)
        change_rule(session, "ask_again_days", int(days), by=user.id)
        change_rule(session, "role_rules", _roles(form), by=user.id)
    return redirect(BASE_PATH, _("The rules of consent are saved."))


def _roles(form: FormData) -> dict[str, list[str]]:
    """What each role may measure; a role that may measure everything needs no rule."""
    chosen = {role.value: [p.value for p in MEASURED if is_checked(form, f"{role.value}_{p.value}")] for role in Role}
    return {role: purposes for role, purposes in chosen.items() if len(purposes) < len(MEASURED)}


def rules_context(session: Session) -> dict[str, Any]:
    """What the second form and the history show."""
    roles = dict(preference(session, "role_rules"))
    everything = [purpose.value for purpose in MEASURED]
    return {
        "rules": {
            name: str(preference(session, name)) for name in ("accepted_grades", "consent_months", "ask_again_days")
        },
        "grade_options": [(grade, _(words)) for grade, words in GRADES],
        "month_options": [(str(months), _months(months)) for months in MONTHS],
        "day_options": [(str(days), _days(days)) for days in DAYS],
        "role_options": [
            (role.value, _role(role.value), purpose, _purpose(purpose), purpose in roles.get(role.value, everything))
            for role in Role
            for purpose in everything
        ],
        "history": _history(session),
    }


def _history(session: Session) -> Sequence[Change]:
    rows = session.exec(select(PolicyChange).order_by(col(PolicyChange.id).desc()).limit(SHOWN)).all()
    people = session.exec(select(User).where(col(User.id).in_({row.changed_by for row in rows}))).all()
    names = {person.id: person.name for person in people}
    return [
        Change(
            at=row.at,
            rule=_(_RULES.get(row.name, row.name)),
            before=_value(row.name, row.before),
            after=_value(row.name, row.after),
            by=names.get(row.changed_by) or _("the operator, on the command line"),
            reason=row.reason,
        )
        for row in rows
    ]


def _value(name: str, value: Any) -> str:
    if name == "policy":
        return policy_name(Pack(value))
    if name == "accepted_grades":
        return f"A–{value}"
    if name == "consent_months":
        return _months(int(value))
    if name == "ask_again_days":
        return _days(int(value))
    if name == "footer":
        return _("on") if value else _("off")
    return _limits(value)


def _limits(rules: Mapping[str, Sequence[str]]) -> str:
    if not rules:
        return _("everybody measures everything")
    told = [f"{_role(role)}: {', '.join(map(_purpose, may)) or _('nothing')}" for role, may in sorted(rules.items())]
    return "; ".join(told)


def _months(count: int) -> str:
    return ngettext("%(num)s month", "%(num)s months", count)


def _days(count: int) -> str:
    return ngettext("%(num)s day", "%(num)s days", count)


def _role(role: str) -> str:
    return {"admin": _("Administrators"), "member": _("Members")}.get(role, role)


def _purpose(purpose: str) -> str:
    return {"opens": _("Opens"), "clicks": _("Clicks")}.get(purpose, purpose)
