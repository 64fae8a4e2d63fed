"""Sending accounts: add, change, test, confirm, remove."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize
from tracker.mail.account_servers import shares_secret
from tracker.mail.oauth_providers import Provider, configured
from tracker.mail.services import PRESETS
from tracker.models import Account, OAuthGrant, User
from tracker.models.ownership import owned
from tracker.outbound.account_check import check_account, confirm_account, send_code
from tracker.outbound.account_input import AccountChange, NewAccount
from tracker.outbound.accounts import accounts_of, change_account, create_account, remove_account, sign_in_account
from tracker.outbound.host_health import host_problem
from tracker.outbound.sending_domain.sending_services import link_rewriter
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.accounts.oauth_page import PURPOSES, purpose_of
from tracker.web.http.actions import answering, changing, named_or_none, named_row, perform_on, problem_at
from tracker.web.http.forms import FormErrors, Schema, errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import connection_tests, count_attempt
from tracker.web.http.typed_secrets import typed_secrets, with_typed_secrets

routes = Routes()
BASE_PATH = "/settings/accounts"
_SECRETS = ("smtp_secret", "imap_secret")
_PORT = LocalizedText("The port must be a number from 1 to 65535, such as 587 or 993.")
_CHOOSE = LocalizedText("Choose one of the list.")
_SENTENCES = {
    "address": LocalizedText("This is not an e-mail address. Write it like anna@example.com."),
    **{f"{kind}.port": _PORT for kind in ("smtp", "imap")},
    **{f"{kind}.security": _CHOOSE for kind in ("smtp", "imap")},
    "per_minute": LocalizedText(
        "Use a whole number up to %(most)d; 0 for no limit, empty for what the service takes.", most=1000
    ),
    "per_day": LocalizedText(
        "Use a whole number up to %(most)d; 0 for no limit, empty for what the service takes.", most=100_000
    ),
}


@routes.page(BASE_PATH)
def accounts(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        context = {
            "accounts": accounts_of(session, user),
            "presets": PRESETS,
            "host_problem": host_problem(session),
        }
        return render(request, "accounts/settings_accounts.html", context)


@routes.page(f"{BASE_PATH}/new")
def new(request: Request, _user: User) -> Response:
    return _form(request, None, _texts(None), {})


@routes.page(f"{BASE_PATH}/{{id}}")
def edit(request: Request, user: User) -> Response:
    account = named_row(request, user, Account)
    return _form(request, account, _texts(account), {})


@routes.action(BASE_PATH)
@routes.action(f"{BASE_PATH}/{{id}}")
def save(request: Request, user: User, form: FormData) -> Response:
    """A new account, or one changed; then it is tested."""
    context, before = context_of(request), named_or_none(request, user, Account)
    form = with_typed_secrets(context, form, _SECRETS, user.public_id)
    with changing(request, lambda error: _refused(request, user, before, form, error)) as session:
        if before is None:
            account = create_account(context, session, user, _parse(NewAccount, form))
        else:
            account = owned(session, Account, user, before.public_id)
            change_account(context, session, account, _parse(AccountChange, form))
    return _tested(request, user, account)


@routes.action(f"{BASE_PATH}/{{id}}/check")
def check(request: Request, user: User, _form: FormData) -> Response:
    return _tested(request, user, named_row(request, user, Account))


@routes.action(f"{BASE_PATH}/{{id}}/code")
def ask_code(request: Request, user: User, _form: FormData) -> Response:
    """Sends the code that proves the address; the page then asks for it."""
    account = named_row(request, user, Account)
    here = f"{BASE_PATH}/{account.public_id}"
    with answering(problem_at(here)):
        connection_tests.take(user)
        send_code(context_of(request), account)
    return redirect(f"{here}?code=sent#confirm", _("A code is on its way to %(address)s.", address=account.address))


@routes.action(f"{BASE_PATH}/{{id}}/confirmation")
def confirm(request: Request, user: User, form: FormData) -> Response:
    context, account = context_of(request), named_row(request, user, Account)
    back = f"{BASE_PATH}/{account.public_id}?code=sent#confirm"
    with changing(request, problem_at(back)) as session:
        count_attempt(context, f"code of {account.public_id}")
        account = owned(session, Account, user, account.public_id)
        confirm_account(context, session, account, text(form, "code"))
    return redirect(BASE_PATH, _("%(address)s is confirmed as yours.", address=account.address))


@routes.action(f"{BASE_PATH}/{{id}}/removal")
def remove(request: Request, user: User, _form: FormData) -> Response:
    context, sentence = context_of(request), _("%(address)s is removed, and its passwords are forgotten.")
    return perform_on(
        request, user, Account, BASE_PATH, lambda session, row: remove_account(context, session, row), sentence
    )


def _tested(request: Request, user: User, account: Account) -> Response:
    """Signs in to the servers and says how that went: on the list when it works, else where it can be mended."""
    with answering(problem_at(BASE_PATH, _("Saved, but not tested. %(reason)s"))):
        connection_tests.take(user)
    result = check_account(context_of(request), account.id)
    if result.ok:
        facts = localize(result.imap_text) if result.imap_ok else ""
        return redirect(BASE_PATH, _("%(address)s works. %(facts)s", address=account.address, facts=facts))
    return redirect(
        f"{BASE_PATH}/{account.public_id}",
        _("Saved, but it does not work yet. See below what is wrong."),
        kind="problem",
    )


PURPOSES["account"] = purpose_of(Account, BASE_PATH, sign_in_account, _tested)


def _parse(schema: type[Schema], form: FormData) -> Schema:
    """A known service has its own servers, whatever was typed before it was chosen, and may file no copy to be replaced."""
    values: dict[str, Any] = {**form, "imap": form.get("imap") or None}
    preset = PRESETS.get(text(form, "preset"), PRESETS["other"])
    if preset.smtp_host:
        values = {name: value for name, value in values.items() if not name.endswith(("_host", "_port", "_security"))}
    if values["imap"] is None or not preset.files_own_copy:
        values.pop("replaces_copy", None)
    return parse(schema, values, boxes=["replaces_copy"], sentences=_SENTENCES)


_BLANK: Mapping[str, Any] = {
    **dict.fromkeys(Account.model_fields, ""),
    "preset": "gmail",
    "smtp_port": 587,
    "smtp_security": "starttls",
    "imap_port": 993,
    "imap_security": "tls",
}


def _texts(account: Account | None) -> Mapping[str, Any]:
    """What the form shows before anything was typed. Secrets are never shown."""
    if account is None:
        return {**_BLANK, "imap": True}
    texts = account.model_dump(exclude_none=True, exclude={"smtp_secret", "imap_secret"})
    return {**_BLANK, "imap": account.imap_host, **texts}


def _refused(request: Request, user: User, account: Account | None, form: FormData, error: ActionError) -> Response:
    wrong = errors_of(error)
    passwords = typed_secrets(context_of(request), form, _SECRETS, user.public_id, wrong)
    return _form(request, account, {**_BLANK, "imap": "", **form}, wrong, passwords)


def _form(
    request: Request,
    account: Account | None,
    typed: Mapping[str, Any],
    wrong: FormErrors,
    passwords: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    presets = [(key, _(preset.name)) for key, preset in PRESETS.items()]
    securities = [("tls", _("TLS")), ("starttls", _("STARTTLS")), ("none", _("None (unsafe)"))]
    helps = {key: _(preset.help) for key, preset in PRESETS.items()}
    context: dict[str, Any] = {
        "account": account,
        "typed": typed,
        "wrong": wrong,
        "presets": presets,
        "securities": securities,
        "helps": helps,
        "typed_secrets": passwords,
        "shares_secret": account is not None and shares_secret(context_of(request), account),
    }
    context["own_copy"] = [key for key, preset in PRESETS.items() if preset.files_own_copy]
    context["rewriter"] = link_rewriter(account.smtp_host) if account else None
    context["providers"] = _providers(request, account)
    context["grant"] = _grant(request, account)
    context["code_sent"] = request.query_params.get("code") == "sent"
    return render(request, "accounts/settings_account.html", context, 422 if wrong else 200)


def _providers(request: Request, account: Account | None) -> list[Provider]:
    """Where the person may sign in for this account: at the provider of its preset, or anywhere for another server."""
    preset = account.preset if account else "other"
    wanted = PRESETS[preset].oauth if preset in PRESETS and preset != "other" else None
    return [p for p in configured(context_of(request).settings) if preset == "other" or p.key == wanted]


def _grant(request: Request, account: Account | None) -> OAuthGrant | None:
    if account is None or account.oauth_grant_id is None:
        return None
    with context_of(request).database.reading() as session:
        return session.get(OAuthGrant, account.oauth_grant_id)


@routes.action("/settings/accounts/{id}/measuring")
def save_measuring(request: Request, user: User, form: FormData) -> Response:
    """Works at once, also on mail already sent: what is switched off is no longer recorded."""
    change = parse(AccountChange, form, boxes=["measure_opens", "measure_clicks"])
    with context_of(request).database.session_scope() as session:
        account = owned(session, Account, user, request.path_params["id"])
        change_account(context_of(request), session, account, change)
    return redirect(f"/settings/accounts/{account.public_id}#measuring", _("Saved."))
