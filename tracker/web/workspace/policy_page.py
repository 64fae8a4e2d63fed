"""The workspace's consent policy, its footer line and its hidden link, for administrators."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.preferences import (
    change_rule,
    operator_ceiling,
    preference,
    set_policy,
    set_preference,
    workspace_pack,
)
from tracker.consent.rules import Pack
from tracker.locale import LANGUAGES, _, use_locale
from tracker.models import User
from tracker.outbound.footer_text import LONGEST, WHAT
from tracker.runtime.localized_text import ActionError
from tracker.web.http.forms import FormErrors, errors_of, is_checked, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.workspace.consent_rules_page import rules_context
from tracker.web.workspace.policy_labels import policy_name, policy_options

routes = Routes()
BASE_PATH = "/settings/policy"


@routes.admin_page(BASE_PATH)
def policy(request: Request, _user: User) -> Response:
    with context_of(request).database.reading() as session:
        chosen, reason = workspace_pack(session).value, str(preference(session, "policy_reason"))
    return _page(request, chosen, reason, {})


@routes.admin_action(BASE_PATH)
def save(request: Request, user: User, form: FormData) -> Response:
    chosen, reason, context = text(form, "policy"), text(form, "reason", 2000), context_of(request)
    try:
        with context.database.session_scope() as session:
            set_policy(session, chosen, reason, user.id, ceiling=operator_ceiling(context))
    except ActionError as error:
        return _page(request, chosen, reason, errors_of(error), 422)
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


def _page(request: Request, chosen: str, reason: str, wrong: FormErrors, status: int = 200) -> Response:
    with context_of(request).database.reading() as session:
        rules, hidden_link = rules_context(session), bool(preference(session, "hidden_link"))
        unsigns = bool(preference(session, "unsign_submissions"))
        footer, footer_words = bool(preference(session, "footer")), preference(session, "footer_words")
    context = {
        "policies": policy_options(),
        "chosen": chosen,
        "reason": reason,
        "wrong": wrong,
        "ceiling": operator_ceiling(context_of(request)),
        **rules,
        "hidden_link": hidden_link,
        "unsign_submissions": unsigns,
        "footer": footer,
        "footer_words": footer_words,
        "footer_examples": _footer_examples(),
    }
    return render(request, "settings_policy.html", context, status)


def _footer_examples() -> dict[str, str]:
    found = {}
    for language in LANGUAGES:
        with use_locale(language):
            found[language] = _(WHAT[True, True])
    return found
