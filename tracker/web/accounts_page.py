"""Sending accounts: add, change, test, confirm, remove."""

import smtplib
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, func, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.addresses import lookup_form
from tracker.connect import ConnectError
from tracker.db import now
from tracker.locale import gettext as _
from tracker.locale import ngettext, said
from tracker.mail_services import PRESETS
from tracker.models import Account, Message, MessageState, OAuthGrant, User
from tracker.oauth import OAuthError, forget_unused, keep_grant
from tracker.oauth_providers import Granted, Provider, configured
from tracker.outgoing.accounts import CheckResult, check_account, new_by_provider, set_secret, sign_in_by
from tracker.outgoing.host_health import host_problem
from tracker.outgoing.sending_services import link_rewriter
from tracker.sentences import Sentence
from tracker.web import oauth_page
from tracker.web.account_form import AccountForm, fill, form_of, read_form, wrong_in
from tracker.web.address_code import code_fits, send_code
from tracker.web.api.budget import Budget
from tracker.web.attempts import TooMany, attempt
from tracker.web.auth import action, page
from tracker.web.forms import Wrong, text
from tracker.web.page import house, redirect, render
from tracker.web.sign_in import waiting_words

HERE = "/settings/accounts"
_tests = Budget(most=10, per_seconds=60)
"""Connection tests and code mails per person: each opens lines to servers that the person names."""


@page
def accounts(request: Request, user: User) -> Response:
    with house(request).database.reading() as session:
        context = {"accounts": _accounts(session, user), "presets": PRESETS, "host_problem": host_problem(session)}
        return render(request, "settings_accounts.html", context)


@page
def new(request: Request, _user: User) -> Response:
    return _form(request, None, form_of(None), {})


@page
def edit(request: Request, user: User) -> Response:
    with house(request).database.reading() as session:
        account = own_account(session, user, request.path_params["id"])
    return _form(request, account, form_of(account), {})


@action
def add(request: Request, user: User, form: FormData) -> Response:
    typed = read_form(form)
    wrong = wrong_in(typed, None)
    if wrong:
        return _form(request, None, typed, wrong, 422)
    assert user.id is not None
    with house(request).database.session_scope() as session:
        account = Account(user_id=user.id, address="", smtp_host="", smtp_port=0, smtp_security="")
        fill(house(request), account, typed)
        session.add(account)
    return _tested(request, user, account)


@action
def save(request: Request, user: User, form: FormData) -> Response:
    typed = read_form(form)
    with house(request).database.session_scope() as session:
        account = own_account(session, user, request.path_params["id"])
        wrong = wrong_in(typed, account)
        if not wrong:
            grant = account.oauth_grant_id
            fill(house(request), account, typed)
            session.add(account)
            if account.oauth_grant_id != grant:
                forget_unused(session, grant)
    return _form(request, account, typed, wrong, 422) if wrong else _tested(request, user, account)


@action
def check(request: Request, user: User, _form: FormData) -> Response:
    with house(request).database.reading() as session:
        account = own_account(session, user, request.path_params["id"])
    return _tested(request, user, account)


@action
def ask_code(request: Request, user: User, _form: FormData) -> Response:
    """Sends the code that proves the address; the page then asks for it."""
    with house(request).database.reading() as session:
        account = own_account(session, user, request.path_params["id"])
    here = f"{HERE}/{account.public_id}"
    if _tests.wait(user.public_id):
        return redirect(here, _("That were many tests. Wait a minute."), kind="problem")
    try:
        send_code(house(request), account)
    except (ConnectError, OSError, smtplib.SMTPException) as error:
        reason = said(error) if isinstance(error, ConnectError) else type(error).__name__
        return redirect(here, _("The code could not be sent: %(reason)s") % {"reason": reason}, kind="problem")
    return redirect(
        f"{here}?code=sent#confirm", _("A code is on its way to %(address)s.") % {"address": account.address}
    )


@action
def confirm(request: Request, user: User, form: FormData) -> Response:
    here = house(request)
    with here.database.reading() as session:
        account = own_account(session, user, request.path_params["id"])
    back = f"{HERE}/{account.public_id}?code=sent#confirm"
    try:
        attempt(here, request, f"code of {account.public_id}")
    except TooMany as wait:
        return redirect(back, waiting_words(wait), kind="problem")
    if not code_fits(here, account, text(form, "code")):
        return redirect(
            back,
            _("This is not the code, or it is older than an hour. Look at the newest mail from Inkling."),
            kind="problem",
        )
    with here.database.session_scope() as session:
        account = own_account(session, user, account.public_id)
        account.confirmed_at = now()
        session.add(account)
    return redirect(HERE, _("%(address)s is confirmed as yours.") % {"address": account.address})


@action
def remove(request: Request, user: User, _form: FormData) -> Response:
    """Forgets the secrets for good. What was sent from the account stays."""
    with house(request).database.session_scope() as session:
        account = own_account(session, user, request.path_params["id"])
        waiting = _waiting(session, account)
        if waiting:
            return redirect(HERE, _waiting_words(waiting), kind="problem")
        for kind in ("smtp", "imap"):
            set_secret(house(request), account, kind, None)
        grant, account.oauth_grant_id = account.oauth_grant_id, None
        account.removed_at = now()
        session.add(account)
        forget_unused(session, grant)
    return redirect(HERE, _("%(address)s is removed, and its passwords are forgotten.") % {"address": account.address})


def take_grant(request: Request, user: User, provider: Provider, granted: Granted, subject: str) -> Response:
    """After a sign-in at a provider: the account (a new one when ``subject`` is empty) uses it from now on."""
    assert user.id is not None
    here = house(request)
    with here.database.session_scope() as session:
        account = own_account(session, user, subject) if subject else None
        address = granted.address or (account.smtp_login or account.address if account else None)
        if address is None:
            text = Sentence("%(provider)s did not say whose mailbox it is.", provider=provider.name)
            raise OAuthError("needs_sign_in", text)
        account = account or _account_of(session, user, address) or new_by_provider(user.id, provider.key, address)
        session.add(account)
        sign_in_by(here, session, account, keep_grant(here, session, user.id, provider, granted, address))
        if granted.is_proved and lookup_form(account.address) == lookup_form(address):
            account.confirmed_at = account.confirmed_at or now()
    return _tested(request, user, account)


def _account_of(session: Session, user: User, address: str) -> Account | None:
    return next((a for a in _accounts(session, user) if lookup_form(a.address) == lookup_form(address)), None)


def _proposed_login(request: Request, user: User, subject: str) -> str:
    if not subject:
        return ""
    with house(request).database.reading() as session:
        return own_account(session, user, subject).address


oauth_page.purpose(
    "account",
    finish=take_grant,
    back=lambda subject: f"{HERE}/{subject or 'new'}",
    owned=_proposed_login,
)


def own_account(session: Session, user: User, public_id: str) -> Account:
    """404 for an account that is somebody else's, removed, or none."""
    mine = select(Account).where(
        Account.user_id == user.id, Account.public_id == public_id, col(Account.removed_at).is_(None)
    )
    account = session.exec(mine).first()
    if account is None:
        raise HTTPException(404)
    return account


def _accounts(session: Session, user: User) -> Sequence[Account]:
    mine = select(Account).where(Account.user_id == user.id, col(Account.removed_at).is_(None))
    return session.exec(mine.order_by(col(Account.id))).all()


def _tested(request: Request, user: User, account: Account) -> Response:
    """Signs in to the servers and says how that went: on the list when it works, else where it can be mended."""
    assert account.id is not None
    if _tests.wait(user.public_id):
        return redirect(HERE, _("Saved, but not tested: that were many tests. Wait a minute."), kind="problem")
    result = check_account(house(request), account.id)
    if result.ok:
        return redirect(HERE, _("%(address)s works. %(facts)s") % {"address": account.address, "facts": _facts(result)})
    return redirect(
        f"{HERE}/{account.public_id}", _("Saved, but it does not work yet. See below what is wrong."), kind="problem"
    )


def _facts(result: CheckResult) -> str:
    return said(result.imap_text) if result.imap_ok else ""


def _waiting(session: Session, account: Account) -> int:
    on_their_way = (MessageState.QUEUED, MessageState.SCHEDULED)
    count = select(func.count()).select_from(Message).where(Message.account_id == account.id)
    return session.exec(count.where(col(Message.state).in_(on_their_way))).one()


def _waiting_words(waiting: int) -> str:
    return ngettext(
        "%(num)d message still waits to be sent from this account. Cancel it or let it leave first.",
        "%(num)d messages still wait to be sent from this account. Cancel them or let them leave first.",
        waiting,
    ) % {"num": waiting}


def _form(request: Request, account: Account | None, typed: AccountForm, wrong: Wrong, status: int = 200) -> Response:
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
    }
    context["own_copy"] = [key for key, preset in PRESETS.items() if preset.files_own_copy]
    context["rewriter"] = link_rewriter(account.smtp_host) if account else None
    context["providers"] = _providers(request, account)
    context["grant"] = _grant(request, account)
    context["code_sent"] = request.query_params.get("code") == "sent"
    return render(request, "settings_account.html", context, status)


def _providers(request: Request, account: Account | None) -> list[Provider]:
    """Where the person may sign in for this account: at the provider of its preset, or anywhere for another server."""
    preset = account.preset if account else "other"
    wanted = PRESETS[preset].oauth if preset in PRESETS and preset != "other" else None
    return [p for p in configured(house(request).settings) if preset == "other" or p.key == wanted]


def _grant(request: Request, account: Account | None) -> OAuthGrant | None:
    if account is None or account.oauth_grant_id is None:
        return None
    with house(request).database.reading() as session:
        return session.get(OAuthGrant, account.oauth_grant_id)


routes = [
    Route(HERE, accounts),
    Route(HERE, add, methods=["POST"]),
    Route(f"{HERE}/new", new),
    Route(f"{HERE}/{{id}}", edit),
    Route(f"{HERE}/{{id}}", save, methods=["POST"]),
    Route(f"{HERE}/{{id}}/check", check, methods=["POST"]),
    Route(f"{HERE}/{{id}}/code", ask_code, methods=["POST"]),
    Route(f"{HERE}/{{id}}/confirmation", confirm, methods=["POST"]),
    Route(f"{HERE}/{{id}}/removal", remove, methods=["POST"]),
]
