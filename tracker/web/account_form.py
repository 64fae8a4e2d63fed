"""The form of a sending account: reading it, what does not fit, and how it lands on the row."""

import re
from dataclasses import dataclass, replace

from starlette.datastructures import FormData

from tracker.addresses import AddressError, normalise
from tracker.house import House
from tracker.locale import gettext as _
from tracker.mail_services import PRESETS, SECURITIES
from tracker.models import Account
from tracker.outgoing.accounts import set_secret
from tracker.web.forms import Wrong, secret, text, ticked

_HOST = re.compile(r"[^\s/@\\:]{1,255}|\[?[0-9A-Fa-f:.]{2,45}\]?")


@dataclass(frozen=True)
class ServerForm:
    """One server as typed; ``secret`` is empty when it shall stay as it was."""

    host: str
    port: str
    security: str
    login: str
    secret: str


@dataclass(frozen=True)
class AccountForm:
    """An account as typed. ``imap`` is None when no copy is to be filed."""

    name: str
    address: str
    preset: str
    smtp: ServerForm
    imap: ServerForm | None
    replaces_copy: bool = False
    per_minute: str = ""
    per_day: str = ""


def read_form(form: FormData) -> AccountForm:
    """What was typed, with the servers of the preset put in where one was chosen."""
    preset = text(form, "preset") if text(form, "preset") in PRESETS else "other"
    smtp = _server(form, "smtp", preset)
    imap = _server(form, "imap", preset) if ticked(form, "imap") else None
    rates = text(form, "per_minute", 10), text(form, "per_day", 10)
    return AccountForm(
        text(form, "name"), text(form, "address"), preset, smtp, imap, ticked(form, "replaces_copy"), *rates
    )


def form_of(account: Account | None) -> AccountForm:
    """What the form shows before anything was typed. Secrets are never shown."""
    if account is None:
        return AccountForm(
            "", "", "gmail", ServerForm("", "587", "starttls", "", ""), ServerForm("", "993", "tls", "", "")
        )
    smtp = ServerForm(account.smtp_host, str(account.smtp_port), account.smtp_security, account.smtp_login, "")
    imap = ServerForm(
        account.imap_host or "",
        str(account.imap_port or 993),
        account.imap_security or "tls",
        account.imap_login or "",
        "",
    )
    rates = ("" if rate is None else str(rate) for rate in (account.per_minute, account.per_day))
    shown = imap if account.imap_host else None
    return AccountForm(account.name, account.address, account.preset, smtp, shown, account.replaces_copy, *rates)


def wrong_in(typed: AccountForm, account: Account | None) -> Wrong:
    """What does not fit, by field."""
    wrong: Wrong = {}
    if len(typed.name) > 200:
        wrong["name"] = _("The name is too long. Use 200 characters or fewer.")
    try:
        normalise(typed.address)
    except AddressError:
        wrong["address"] = _("This is not an e-mail address. Write it like anna@example.com.")
    for kind, server in (("smtp", typed.smtp), ("imap", typed.imap)):
        if server is not None:
            _check_server(kind, server, wrong)
    for name, most in (("per_minute", 1000), ("per_day", 100_000)):
        rate = getattr(typed, name)
        if rate and not (rate.isascii() and rate.isdigit() and int(rate) <= most):
            wrong[name] = _("Use a whole number up to %(most)d; 0 for no limit, empty for what the service takes.") % {
                "most": most
            }
    known = account is not None and (account.smtp_secret is not None or account.oauth_grant_id is not None)
    if typed.smtp.login and not typed.smtp.secret and not known:
        wrong["smtp_secret"] = _(
            "The password is missing. Most services want an app password here, made in their security settings."
        )
    return wrong


def fill(house: House, account: Account, typed: AccountForm) -> None:
    """Puts the form onto the row. Another host or login forgets the secret of the old one, unless a new one was typed."""
    address = normalise(typed.address)
    if address != account.address:
        account.address, account.confirmed_at = address, None
    account.name, account.preset, account.files_own_copy = (
        typed.name,
        typed.preset,
        PRESETS[typed.preset].files_own_copy,
    )
    account.replaces_copy = typed.replaces_copy and account.files_own_copy and typed.imap is not None
    account.per_minute, account.per_day = (int(r) if r else None for r in (typed.per_minute, typed.per_day))
    if not _keeps_grant(account, typed):
        account.oauth_grant_id = None
    if account.oauth_grant_id is not None:  # the login is the provider's word, and the form does not ask for it
        typed = _with_login(typed, account.smtp_login)
    _put(house, account, "smtp", typed.smtp)
    if typed.imap is not None:
        same = not typed.imap.secret and account.imap_secret is None
        _put(house, account, "imap", replace(typed.imap, secret=typed.smtp.secret) if same else typed.imap)
    else:
        account.imap_host = account.imap_port = account.imap_security = account.imap_login = account.sent_folder = None
        set_secret(house, account, "imap", None)
    account.state, account.state_detail, account.checked_at = "unchecked", "", None


def _keeps_grant(account: Account, typed: AccountForm) -> bool:
    """A sign-in at a provider was meant for these servers; it ends with another host, or with a password in its stead."""
    if typed.smtp.secret or (typed.imap is not None and typed.imap.secret):
        return False
    if typed.imap is not None and account.imap_host and typed.imap.host.lower() != account.imap_host:
        return False
    return typed.smtp.host.lower() == account.smtp_host


def _with_login(typed: AccountForm, login: str) -> AccountForm:
    imap = replace(typed.imap, login=login) if typed.imap is not None else None
    return replace(typed, smtp=replace(typed.smtp, login=login), imap=imap)


def _put(house: House, account: Account, kind: str, server: ServerForm) -> None:
    before = getattr(account, f"{kind}_host"), getattr(account, f"{kind}_login")
    login = server.login or (account.smtp_login if kind == "imap" else "")
    for name, value in (
        ("host", server.host.lower()),
        ("port", int(server.port)),
        ("security", server.security),
        ("login", login),
    ):
        setattr(account, f"{kind}_{name}", value)
    if server.secret:
        set_secret(house, account, kind, server.secret)
    elif before != (server.host.lower(), login):
        set_secret(house, account, kind, None)


def _server(form: FormData, kind: str, preset: str) -> ServerForm:
    known = PRESETS[preset]
    login, password = text(form, f"{kind}_login", 254), secret(form, f"{kind}_secret")
    if preset != "other":
        port = str(getattr(known, f"{kind}_port"))
        return ServerForm(getattr(known, f"{kind}_host"), port, getattr(known, f"{kind}_security"), login, password)
    return ServerForm(
        text(form, f"{kind}_host"), text(form, f"{kind}_port"), text(form, f"{kind}_security"), login, password
    )


def _check_server(kind: str, server: ServerForm, wrong: Wrong) -> None:
    if not _HOST.fullmatch(server.host):
        wrong[f"{kind}_host"] = _(
            "The name of the server is missing or cannot be used. It looks like smtp.example.com."
        )
    if not server.port.isascii() or not server.port.isdigit() or not 1 <= int(server.port[:6]) <= 65535:
        wrong[f"{kind}_port"] = _("The port must be a number from 1 to 65535, such as 587 or 993.")
    if server.security not in SECURITIES:
        wrong[f"{kind}_security"] = _("Choose one of the list.")
