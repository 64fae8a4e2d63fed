"""Connect your e-mail: an address and a password, or a sign-in at the provider, for sending and reading at once."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.inbound.mailbox_input import NewCredentials
from tracker.locale import _, localize
from tracker.mail.addresses import AddressError, domain_of, normalise
from tracker.mail.discovery import PRESET_OF_DOMAIN, MailServers, ServerAddress, preset_of, published_servers
from tracker.mail.oauth_providers import Granted, Provider, configured
from tracker.mail.services import PRESETS
from tracker.models import User
from tracker.outbound.account_input import NewAccount
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.accounts.oauth_page import PURPOSES, OAuthPurpose
from tracker.web.api.errors import STATUS
from tracker.web.connect.connection import Connection, ConnectionCheck, check, connect, connect_by_sign_in
from tracker.web.http.actions import answering, problem_at
from tracker.web.http.forms import errors_of, parse, secret
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import connection_tests, domain_look_ups
from tracker.web.http.typed_secrets import typed_secrets, with_typed_secrets

routes = Routes()
PATH = "/connect"
BY_ADDRESS = "auto"
_SECRETS = ("secret",)
_PORT = LocalizedText("The port must be a number from 1 to 65535, such as 587 or 993.")
_CHOOSE = LocalizedText("Choose one of the list.")
_SENTENCES = {
    "address": LocalizedText("This is not an e-mail address. Write it like anna@example.com."),
    **{f"{kind}.port": _PORT for kind in ("smtp", "imap")},
    **{f"{kind}.security": _CHOOSE for kind in ("smtp", "imap")},
    "preset": _CHOOSE,
}
_UNFOLDED = {"preset", "login"}
"""With the servers: the fields that are folded away until they are needed."""
_BLANK: Mapping[str, Any] = {
    **dict.fromkeys(("address", "login", "imap_host", "smtp_host"), ""),
    "preset": BY_ADDRESS,
    "imap_port": 993,
    "imap_security": "tls",
    "smtp_port": 587,
    "smtp_security": "starttls",
}


@routes.page(PATH)
def form(request: Request, user: User) -> Response:
    return _form(request, {**_BLANK, "address": user.email})


@routes.action(PATH)
def add(request: Request, user: User, form: FormData) -> Response:
    context = context_of(request)
    form = with_typed_secrets(context, form, _SECRETS, user.public_id)
    typed: dict[str, Any] = {**_BLANK, **form}
    try:
        _find_servers(context, user, typed)
        if not secret(form, "secret"):
            raise ActionError("invalid", LocalizedText("The password is missing."), "secret")
        connection_tests.take(user)
        connection = connect(context, user, _account(typed), _credentials(typed))
    except ActionError as error:
        of_address = {"mailbox", "login"} if error.code == "conflict" else set[str]()
        wrong = {"address" if name in of_address else name: said for name, said in errors_of(error).items()}
        return _form(request, typed, wrong, status=STATUS[error.code], form=form, user=user)
    result = check(context, connection)
    if result.ok:
        return _done(connection)
    return _form(request, typed, result=result, status=422, form=form, user=user)


def _find_servers(context: AppContext, user: User, typed: dict[str, Any]) -> None:
    """Puts the servers of the address into what was typed, unless its person named them. Raises :class:`ActionError`, also where
    DNS alone names servers of somebody else: the person looks at them before a password goes there (RFC 6186 section 6)."""
    try:
        typed["address"] = address = normalise(str(typed["address"]))
    except AddressError:
        raise ActionError("invalid", _SENTENCES["address"], "address") from None
    if typed["preset"] != BY_ADDRESS:
        return
    domain_look_ups.take(user)
    if preset := preset_of(context, address):
        typed["preset"] = preset
        return
    typed["preset"] = "other"
    servers, domain = published_servers(context, address), domain_of(address)
    if servers is None:
        unknown = LocalizedText(
            "The servers of %(domain)s could not be found. Name them, or choose the service.", domain=domain
        )
        raise ActionError("invalid", unknown, "preset")
    _put(typed, servers)
    if not servers.vouched_for(domain):
        check = LocalizedText("%(domain)s names these servers. If you know them, press Connect.", domain=domain)
        raise ActionError("invalid", check, "preset")


def _put(typed: dict[str, Any], servers: MailServers) -> None:
    for kind, place in (("imap", servers.imap), ("smtp", servers.smtp)):
        assert isinstance(place, ServerAddress)
        typed |= {f"{kind}_host": place.host, f"{kind}_port": str(place.port), f"{kind}_security": place.security}
    typed["login"] = typed["login"] or servers.login


def _account(typed: Mapping[str, Any]) -> NewAccount:
    login = typed["login"] or typed["address"]
    servers = {
        f"{kind}_{part}": value
        for kind in ("smtp", "imap")
        for part, value in {**_place(typed, kind), "login": login, "secret": typed.get("secret", "")}.items()
    }
    values = {"address": typed["address"], "preset": typed["preset"], **servers}
    return parse(NewAccount, values, sentences=_SENTENCES)


def _credentials(typed: Mapping[str, Any]) -> NewCredentials:
    login = typed["login"] or typed["address"]
    place = _place(typed, "imap")
    values = {"address": typed["address"], "preset": typed["preset"], "login": login, "secret": typed.get("secret", "")}
    return parse(NewCredentials, {**values, **place}, sentences=_SENTENCES)


def _place(typed: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return (
        {part: typed[f"{kind}_{part}"] for part in ("host", "port", "security")} if typed["preset"] == "other" else {}
    )


def _done(connection: Connection) -> Response:
    return redirect(
        "/today",
        _("%(address)s is connected: sending and reading work.", address=connection.account.address),
    )


def complete(request: Request, user: User, provider: Provider, granted: Granted, _subject: str) -> Response:
    """After a sign-in at a provider."""
    context = context_of(request)
    connection = connect_by_sign_in(context, user, provider, granted)
    with answering(problem_at("/today", _("Saved, but not tested. %(reason)s"))):
        connection_tests.take(user)
    result = check(context, connection)
    if result.ok:
        return _done(connection)
    problem = result.reading.detail if result.sending.ok else result.sending.problem
    return redirect(PATH, localize(problem), kind="problem")


PURPOSES["connection"] = OAuthPurpose(complete, lambda _subject: PATH, lambda _request, user, _subject: user.email)


def _form(
    request: Request,
    typed: Mapping[str, Any],
    wrong: Mapping[str, str] | None = None,
    *,
    result: ConnectionCheck | None = None,
    status: int = 200,
    form: FormData | None = None,
    user: User | None = None,
) -> Response:
    wrong, passwords = dict(wrong or {}), {}
    if form is not None and user is not None:
        passwords = dict(typed_secrets(context_of(request), form, _SECRETS, user.public_id, wrong))
    services = [(key, _(preset.name)) for key, preset in PRESETS.items()]
    context = {
        "typed": typed,
        "wrong": wrong,
        "result": result,
        "typed_secrets": passwords,
        "presets": PRESETS,
        "services": [(BY_ADDRESS, _("Found by my address")), *services],
        "securities": [("tls", _("TLS")), ("starttls", _("STARTTLS")), ("none", _("None (unsafe)"))],
        "domains": {
            key: " ".join(domain for domain, preset in PRESET_OF_DOMAIN.items() if preset == key) for key in PRESETS
        },
        "providers": configured(context_of(request).settings),
        "unfolded": any(name in _UNFOLDED or name.startswith(("imap", "smtp")) for name in wrong)
        or (result is not None and typed["preset"] == "other"),
    }
    return render(request, "connect/connect.html", context, status)
