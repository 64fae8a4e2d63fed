"""The form of a mailbox: reading it, what does not fit, and the values that it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from starlette.datastructures import FormData

from tracker.addresses import AddressError, normalise
from tracker.house import House
from tracker.locale import N_
from tracker.locale import gettext as _
from tracker.mail_services import PRESETS
from tracker.models import Credential, FirstWindow, Mailbox
from tracker.web.forms import Wrong, secret, text, ticked
from tracker.web.mailbox_services import BY_ADDRESS, preset_of

FIRST_WINDOWS: Mapping[str, tuple[str, str]] = {
    FirstWindow.LAST_24H: (N_("The last 24 hours"), N_("Enough to see at once that it works.")),
    FirstWindow.ALL_UNREAD: (N_("Everything unread"), N_("May take hours in a full mailbox; it can be interrupted.")),
    FirstWindow.FROM_NOW: (N_("Only what comes from now on"), ""),
}


@dataclass(frozen=True)
class MailboxForm:
    """A mailbox with its credentials as typed. ``credential`` is the public id of saved ones, empty for new ones; ``secret``
    is empty when it shall stay as it was."""

    credential: str = ""
    address: str = ""
    preset: str = BY_ADDRESS
    protocol: str = "imap"
    host: str = ""
    port: str = "993"
    security: str = "tls"
    login: str = ""
    secret: str = ""
    name: str = ""
    active: bool = True
    repeat_period_days: str = "1"
    folders: str = "INBOX"
    all_folders: bool = False
    first_window: str = FirstWindow.LAST_24H
    collect_pause_days: str = "0"
    only_unread: bool = False
    mark_read: bool = False
    delete_loaded: bool = False
    delete_after_days: str = "0"
    notify_manager: bool = True
    notify_skipped: bool = True

    @classmethod
    def read(cls, form: FormData) -> "MailboxForm":
        typed: dict[str, Any] = {name: ticked(form, name) for name in _SWITCHES}
        for field in fields(cls):
            if field.name not in _SWITCHES and (
                (value := text(form, field.name, 5000)) or field.name not in _DEFAULTED
            ):
                typed[field.name] = value
        return cls(**{**typed, "secret": secret(form, "secret")})

    @classmethod
    def of(cls, mailbox: Mailbox, credential: Credential | None) -> "MailboxForm":
        """What the form of a mailbox shows before anything was typed. The secret is never shown."""
        server: dict[str, Any] = {}
        if credential is not None:
            server = {name: getattr(credential, name) for name in ("preset", "protocol", "host", "security", "login")}
            server |= {"port": str(credential.port), "credential": credential.public_id}
        same = {f.name: getattr(mailbox, f.name) for f in fields(cls) if f.name in _AS_THEY_ARE}
        days: dict[str, Any] = {name: str(getattr(mailbox, name)) for name in _DAYS}
        return cls(**server, **same, **days, folders="\n".join(mailbox.folders))

    def choices(self, wrong: Wrong) -> dict[str, Any]:
        """The choices about the mailbox; what cannot be a number is noted in ``wrong``."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _AS_THEY_ARE if name != "address"}
        if self.address:
            found["address"] = self.address
        for name in _DAYS:
            value = getattr(self, name)
            if value.isascii() and value.isdigit() and len(value) <= 4:
                found[name] = int(value)
            else:
                wrong[name] = _("Give whole days, such as 1 or 30.")
        found["folders"] = [line.strip() for line in self.folders.replace(";", "\n").splitlines() if line.strip()]
        return found

    def server(self, house: House, wrong: Wrong) -> dict[str, Any]:
        """The facts of the credentials; what cannot be is noted in ``wrong``. May ask DNS for the service of the address."""
        try:
            normalise(self.address)
        except AddressError:
            wrong["address"] = _("This is not an e-mail address. Write it like anna@example.com.")
        preset: str | None = self.preset if self.preset in PRESETS else None
        if self.preset == BY_ADDRESS and "address" not in wrong:
            preset = preset_of(house, self.address)
            if preset is None:
                wrong["preset"] = _(
                    "The service behind this address is not known here. Choose it, or “Another server” and its host."
                )
        facts: dict[str, Any] = {
            "preset": preset or "other",
            "protocol": self.protocol,
            "login": self.login or self.address,
        }
        return facts | (self._other(wrong) if preset == "other" else {})

    def _other(self, wrong: Wrong) -> dict[str, Any]:
        if not (self.port.isascii() and self.port.isdigit() and len(self.port) <= 5):
            wrong["port"] = _("The port must be a number from 1 to 65535, such as 993 or 995.")
            return {}
        return {"host": self.host, "port": int(self.port), "security": self.security}


_SWITCHES = (
    *("active", "all_folders", "only_unread", "mark_read", "delete_loaded"),
    *("notify_manager", "notify_skipped"),
)
_AS_THEY_ARE = ("address", "name", "first_window", *_SWITCHES)
_DAYS = ("repeat_period_days", "collect_pause_days", "delete_after_days")
_DEFAULTED = ("preset", "protocol", "port", "security", "first_window", *_DAYS)
