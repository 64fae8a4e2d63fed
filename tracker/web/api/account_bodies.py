"""What callers say of an account, and how it lands on the row."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tracker.fields import Address, Body, Line, Name
from tracker.house import House
from tracker.mail_services import PRESETS
from tracker.models import Account, User
from tracker.outgoing.accounts import set_secret
from tracker.web.api.errors import Problem

_HOST = re.compile(r"[^\s/@\\\x00-\x20\x7f]+")
_PORTS = {
    "smtp": {"tls": 465, "starttls": 587, "none": 25},
    "imap": {"tls": 993, "starttls": 143, "none": 143},
}


def _host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ValueError("This is not the name of a server; it looks like smtp.example.com.")
    return host.lower()


def _secret(secret: str) -> str:
    if any(c in secret for c in "\0\r\n"):
        raise ValueError("A secret cannot hold line breaks.")
    return secret


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"There is no such preset; known are {', '.join(PRESETS)}.")
    return name


class ServerBody(Body):
    """A mail server. What is left out comes from the preset, from the security (port), or stays as it was."""

    host: Annotated[str, AfterValidator(_host)] = Field(default_factory=str, max_length=255)
    port: int = Field(default_factory=int, ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = Field(default_factory=lambda: "starttls")
    login: Line = Field(default_factory=str, max_length=254)
    secret: Annotated[str, Field(max_length=8192), AfterValidator(_secret)] | None = Field(
        default=None, description="Password, app password or token. Written, never shown; null or empty forgets it."
    )


class AccountChange(Body):
    """What to change of an account; what is left out stays. ``imap`` null: no copies are filed in the Sent folder."""

    name: Name = Field(default_factory=str)
    address: Address = Field(default_factory=str)
    preset: Annotated[str, AfterValidator(_preset)] = Field(default_factory=lambda: "other")
    smtp: ServerBody = Field(default_factory=ServerBody)
    imap: ServerBody | None = Field(default_factory=lambda: None)
    replaces_copy: bool = Field(
        default=False, description="Where the service files a copy of its own: replace it by the clean one."
    )
    per_minute: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Copies a minute; null is what the service takes, 0 no limit."
    )
    per_day: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        default=None, description="Copies a day; null is what the service takes, 0 no limit."
    )
    measure_opens: bool = Field(
        default=True,
        description="Whether opens of mail from this account may be measured, whatever its messages ask for.",
    )
    measure_clicks: bool = Field(default=True, description="The same of clicks.")


class NewAccount(AccountChange):
    """A new account. With a ``preset`` the servers are known; ``smtp.secret`` serves both unless ``imap.secret`` is given."""

    address: Address


def make_account(house: House, user: User, new: NewAccount) -> Account:
    """The row of a new account. Raises :class:`Problem` naming what is missing."""
    assert user.id is not None
    account = Account(
        user_id=user.id,
        name=new.name if "name" in new.model_fields_set else user.name,
        address=new.address,
        smtp_host="",
        smtp_port=0,
        smtp_security="",
    )
    _take_preset(
        account, new.preset, ("smtp",) if "imap" in new.model_fields_set and new.imap is None else ("smtp", "imap")
    )
    _take_choices(account, new)
    account.smtp_login = account.address if new.smtp.secret else ""
    _take_server(house, account, "smtp", new.smtp)
    if new.imap is not None:
        _take_server(house, account, "imap", new.imap)
    if account.imap_host and "secret" not in (new.imap.model_fields_set if new.imap else ()):
        account.imap_login = account.imap_login or account.smtp_login
        set_secret(house, account, "imap", new.smtp.secret)
    return account


def change_account(house: House, account: Account, change: AccountChange) -> None:
    """Changes what is given, and with it what can no longer be true: confirmation of the address, result of the test."""
    given = change.model_fields_set
    if "name" in given:
        account.name = change.name
    if "address" in given and change.address != account.address:
        account.address, account.confirmed_at = change.address, None
    if "preset" in given and change.preset != account.preset:
        before = _whereabouts(account)
        _take_preset(account, change.preset, ("smtp", "imap") if account.imap_host else ("smtp",))
        _clear_moved(house, account, before)
    _take_choices(account, change)
    if "smtp" in given:
        _take_server(house, account, "smtp", change.smtp)
    if "imap" in given:
        _take_imap(house, account, change.imap)
    if given & {"smtp", "imap", "preset"}:
        account.state, account.state_detail, account.checked_at = "unchecked", "", None


def _take_choices(account: Account, change: AccountChange) -> None:
    for name in change.model_fields_set & {"replaces_copy", "per_minute", "per_day", "measure_opens", "measure_clicks"}:
        setattr(account, name, getattr(change, name))


def _take_preset(account: Account, name: str, kinds: Iterable[str]) -> None:
    preset = PRESETS[name]
    account.preset, account.files_own_copy = name, preset.files_own_copy
    for kind in kinds:
        if getattr(preset, f"{kind}_host"):
            for part in ("host", "port", "security"):
                setattr(account, f"{kind}_{part}", getattr(preset, f"{kind}_{part}"))


def _take_imap(house: House, account: Account, body: ServerBody | None) -> None:
    if body is not None:
        _take_server(house, account, "imap", body)
        return
    account.imap_host = account.imap_port = account.imap_security = account.imap_login = None
    account.sent_folder = None
    set_secret(house, account, "imap", None)


def _take_server(house: House, account: Account, kind: str, body: ServerBody) -> None:
    """The given parts of a server. A new host or login without its secret clears the stored one: it was meant for the old one."""
    before, given = _whereabouts(account), body.model_fields_set
    for part in given & {"host", "port", "security", "login"}:
        setattr(account, f"{kind}_{part}", getattr(body, part))
    if kind == "imap":
        account.imap_login = account.imap_login or account.smtp_login
    if not getattr(account, f"{kind}_host"):
        text = f"“{kind}.host” is missing. Name the server, or a preset."
        raise Problem(422, text, field=f"{kind}.host", code="missing")
    if not getattr(account, f"{kind}_security"):
        setattr(account, f"{kind}_security", "starttls" if kind == "smtp" else "tls")
    if not getattr(account, f"{kind}_port"):
        setattr(account, f"{kind}_port", _PORTS[kind][getattr(account, f"{kind}_security")])
    if "secret" in given:
        set_secret(house, account, kind, body.secret)
        account.oauth_grant_id = None if body.secret else account.oauth_grant_id
    else:
        _clear_moved(house, account, before)


def _whereabouts(account: Account) -> dict[str, tuple[str | None, str | None]]:
    return {"smtp": (account.smtp_host, account.smtp_login), "imap": (account.imap_host, account.imap_login)}


def _clear_moved(house: House, account: Account, before: dict[str, tuple[str | None, str | None]]) -> None:
    hosts = {kind: host for kind, (host, _) in before.items()}
    if any(hosts[kind] and host != hosts[kind] for kind, (host, _) in _whereabouts(account).items()):
        account.oauth_grant_id = None  # the sign-in was meant for those servers
    for kind, place in _whereabouts(account).items():
        if place != before[kind]:
            set_secret(house, account, kind, None)
