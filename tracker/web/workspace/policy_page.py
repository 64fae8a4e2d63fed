"""The workspace's consent policy, its footer line and its hidden link, for administrators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.preferences import (
    MAX_REASON,
    change_rule,
    operator_ceiling,
    preference,
    set_policy,
    set_preference,
    workspace_pack,
)
from tracker.consent.rules import MEASURED, Pack
from tracker.locale import LANGUAGES, N_, _, ngettext, use_locale
from tracker.models import PolicyChange, Role, User
from tracker.models.rows import rows_by_id
from tracker.outbound.footer_text import LONGEST, WHAT
from tracker.web.http.actions import changing
from tracker.web.http.forms import FormErrors, errors_of, is_checked, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/policy"


@routes.admin_page(BASE_PATH)
def policy(request: Request, _user: User) -> Response:
    with context_of(request).database.reading() as session:
        chosen, reason = workspace_pack(session).value, str(preference(session, "policy_reason"))
    return _page(request, chosen, reason, {})


@routes.admin_action(BASE_PATH)
def save(request: Request, user: User, form: FormData) -> Response:
    chosen, reason, context = text(form, "policy"), text(form, "reason", MAX_REASON + 1), context_of(request)
    with changing(request, lambda error: _page(request, chosen, reason, errors_of(error), 422)) as session:
        set_policy(session, chosen, reason, user.id, ceiling=operator_ceiling(context))
    return redirect(BASE_PATH, _("The consent policy is now “%(policy)s”.", policy=policy_name(Pack(chosen))))


@routes.admin_action("/settings/hidden-link")
def save_hidden_link(request: Request, user: User, form: FormData) -> Response:
    """Whether mail sent from now on carries the hidden link. Links of mail already sent go on as they are."""
    on = is_checked(form, "hidden_link")
    with context_of(request).database.session_scope() as session:
        set_preference(session, "hidden_link", on, user.id)
    return redirect(
        BASE_PATH, _("The hidden link is on for mail sent from now on.") if on else _("The hidden link is off.")
    )


@routes.admin_action("/settings/signed-mail")
def save_signed_mail(request: Request, user: User, form: FormData) -> Response:
    """Whether a signature that a mail program put on its mail (DKIM) is taken off, so that the copies can be changed."""
    on = is_checked(form, "unsign_submissions")
    with context_of(request).database.session_scope() as session:
        set_preference(session, "unsign_submissions", on, user.id)
    said = (
        _("Signatures are taken off mail sent from now on.") if on else _("Mail that is signed already stays as it is.")
    )
    return redirect(BASE_PATH, said)


@routes.admin_action("/settings/footer")
def save_footer(request: Request, user: User, form: FormData) -> Response:
    """The footer line of tracked copies: on or off, and a sentence of one's own per language."""
    words = {language: " ".join(text(form, f"footer_{language}", LONGEST).split()) for language in LANGUAGES}
    with context_of(request).database.session_scope() as session:
        change_rule(session, "footer", is_checked(form, "footer"), by=user.id)
        set_preference(session, "footer_words", {name: said for name, said in words.items() if said}, user.id)
    return redirect(BASE_PATH, _("The footer line was saved. It stands in copies sent from now on."))


@routes.admin_action("/settings/team-totals")
def save_team_totals(request: Request, user: User, form: FormData) -> Response:
    """Whether people may see totals of the team on Today; each decides whether they take part."""
    on = is_checked(form, "team_totals")
    with context_of(request).database.session_scope() as session:
        change_rule(session, "team_totals", on, by=user.id)
    return redirect(
        BASE_PATH,
        _("Team totals are allowed. Everybody decides in their profile whether they take part.")
        if on
        else _("Team totals are off."),
    )


def _page(request: Request, chosen: str, reason: str, wrong: FormErrors, status: int = 200) -> Response:
    with context_of(request).database.reading() as session:
        in_force, roles = workspace_pack(session).value, dict(preference(session, "role_rules"))
        rules, hidden_link = rules_context(session), bool(preference(session, "hidden_link"))
        team_totals = bool(preference(session, "team_totals"))
        unsigns = bool(preference(session, "unsign_submissions"))
        footer, footer_words = bool(preference(session, "footer")), preference(session, "footer_words")
    context = {
        "policies": policy_options(),
        "chosen": chosen,
        "reason": reason,
        "wrong": wrong,
        "ceiling": operator_ceiling(context_of(request)),
        **rules,
        "team_totals": team_totals,
        "hidden_link": hidden_link,
        "unsign_submissions": unsigns,
        "footer": footer,
        "footer_words": footer_words,
        "footer_examples": _footer_examples(),
        "values": {
            "policy": policy_name(Pack(in_force)),
            "consent": _consent_value(rules["rules"], roles),
            "footer": _switched(footer),
            "team_totals": _switched(team_totals),
            "hidden_link": _switched(hidden_link),
            "unsign_submissions": _switched(unsigns),
        },
    }
    return render(request, "workspace/settings_policy.html", context, status)


def _consent_value(rules: Mapping[str, str], roles: Mapping[str, Sequence[str]]) -> str:
    """What of the consent rules is seen at a glance."""
    values = [_value(name, rules[name]) for name in ("accepted_grades", "consent_months")]
    return " · ".join([*values, *([_limits(roles)] if roles else [])])


def _switched(on: bool) -> str:
    return _("on") if on else _("off")


def _footer_examples() -> dict[str, str]:
    examples = {}
    for language in LANGUAGES:
        with use_locale(language):
            examples[language] = _(WHAT[True, True])
    return examples


def policy_options() -> list[tuple[str, str, str]]:
    """Value, name and meaning of each policy, the safest to choose first."""
    return [
        (
            Pack.STRICT.value,
            _("Strict: ask first"),
            _(
                "Only people who agreed are tracked, opens and clicks separately. Everybody else gets your mail untouched."
            ),
        ),
        (
            Pack.NOTICE.value,
            _("Notice: tell and let object"),
            _(
                "People who were never asked are tracked too, with a footer that says so and lets them object. "
                "Not for recipients in the EEA, the United Kingdom or an unknown country. Needs a written reason."
            ),
        ),
        (
            Pack.OFF.value,
            _("Off"),
            _("Nobody is tracked. Mail is sent as written, and nothing more is recorded about mail sent before."),
        ),
    ]


def policy_name(pack: Pack) -> str:
    return next(name for value, name, _meaning in policy_options() if value == pack.value)


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
    "consent_months": N_("Consent is valid for"),
    "ask_again_days": N_("Wait before asking again"),
    "role_rules": N_("Who may track"),
    "footer": N_("Footer line"),
    "team_totals": N_("Team totals"),
}


@dataclass(frozen=True)
class ChangedRule:
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


def _history(session: Session) -> Sequence[ChangedRule]:
    rows = session.exec(select(PolicyChange).order_by(col(PolicyChange.id).desc()).limit(SHOWN)).all()
    people = rows_by_id(session, User, (row.changed_by for row in rows))
    names = {id_: person.name for id_, person in people.items()}
    return [
        ChangedRule(
            at=row.at,
            rule=_(_RULES.get(row.name, row.name)),
            before=_value(row.name, row.before),
            after=_value(row.name, row.after),
            by=names.get(row.changed_by or 0) or _("the operator, on the command line"),
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
    if name in ("footer", "team_totals"):
        return _switched(value)
    return _limits(value)


def _limits(rules: Mapping[str, Sequence[str]]) -> str:
    if not rules:
        return _("everybody may track everything")
    sentences = [
        _role(role) + ": " + (", ".join(map(_purpose, may)) or _("no tracking")) for role, may in sorted(rules.items())
    ]
    return "; ".join(sentences)


def _months(count: int) -> str:
    return ngettext("%(num)s month", "%(num)s months", count)


def _days(count: int) -> str:
    return ngettext("%(num)s day", "%(num)s days", count)


def _role(role: str) -> str:
    return {"admin": _("Administrators"), "member": _("Members")}.get(role, role)


def _purpose(purpose: str) -> str:
    return {"opens": _("Opens"), "clicks": _("Clicks")}.get(purpose, purpose)
