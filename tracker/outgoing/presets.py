"""What we know of mail services: hosts, ports, and whether they file a copy of what was submitted. Data.

Ports are those of RFC 8314 section 3.3 (465 implicit TLS) and RFC 6409 (587 with STARTTLS); hosts as the services publish them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


def N_(text: str) -> str:
    return text


@dataclass(frozen=True)
class Preset:
    """Where a service takes and keeps mail."""

    name: str
    smtp_host: str
    smtp_port: int
    smtp_security: str
    imap_host: str
    imap_port: int
    imap_security: str
    files_own_copy: bool
    help: str
    oauth: str | None = None
    """The provider whose sign-in serves instead of a password."""


_APP_PASSWORD = N_(
    "Make an app password in the security settings of the service and enter it here, not your own password."
)

PRESETS: Mapping[str, Preset] = {
    "gmail": Preset("Gmail", "smtp.gmail.com", 465, "tls", "imap.gmail.com", 993, "tls", True, _APP_PASSWORD, "google"),
    "microsoft": Preset(
        "Microsoft 365, Outlook.com", "smtp.office365.com", 587, "starttls", "outlook.office365.com", 993, "tls", True,
        N_("Passwords are refused by Microsoft, or must be allowed by the organisation’s administrator; sign in with Microsoft."),
        "microsoft",
    ),
    "yandex": Preset("Yandex", "smtp.yandex.com", 465, "tls", "imap.yandex.com", 993, "tls", False, _APP_PASSWORD),
    "mailru": Preset("Mail.ru", "smtp.mail.ru", 465, "tls", "imap.mail.ru", 993, "tls", False, _APP_PASSWORD),
    "icloud": Preset("iCloud", "smtp.mail.me.com", 587, "starttls", "imap.mail.me.com", 993, "tls", False, _APP_PASSWORD),
    "yahoo": Preset("Yahoo", "smtp.mail.yahoo.com", 465, "tls", "imap.mail.yahoo.com", 993, "tls", False, _APP_PASSWORD),
    "fastmail": Preset("Fastmail", "smtp.fastmail.com", 465, "tls", "imap.fastmail.com", 993, "tls", False, _APP_PASSWORD),
    "other": Preset(
        N_("Another server"), "", 587, "starttls", "", 993, "tls", False,
        N_("Your provider’s help pages name the servers for outgoing (SMTP) and incoming (IMAP) mail."),
    ),
}  # fmt: skip

SECURITIES = ("tls", "starttls", "none")
