"""What we know of mail services: hosts, ports, what they do with copies, and how to sign in. Data, for sending and reading.

Ports are those of RFC 8314 section 3.3 (465, 993, 995 implicit TLS) and RFC 6409 (587 with STARTTLS); hosts as the services
publish them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tracker.runtime.localized_text import N_


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
    pop3_host: str = ""
    """Empty where there is no POP3."""
    pop3_port: int = 995
    pop3_security: str = "tls"
    reading_help: str = ""
    """How to make the password for reading mail; empty where :attr:`help` says it."""
    plus_addresses: bool = False
    """Takes ``name+tag@``."""
    takes_passwords: bool = True
    """Reading mail with a password is possible at all."""
    oauth: str | None = None
    """The provider whose sign-in serves instead of a password."""
    help_page: str = ""
    """Where the service makes app passwords."""


_APP_PASSWORD = N_(
    "Make an app password in the security settings of the service and enter it here, not your own password."
)

PRESETS: Mapping[str, Preset] = {
    "gmail": Preset(
        "Gmail", "smtp.gmail.com", 465, "tls", "imap.gmail.com", 993, "tls", True, _APP_PASSWORD,
        pop3_host="pop.gmail.com", plus_addresses=True, oauth="google",
        help_page="https://myaccount.google.com/apppasswords",
        reading_help=N_(
            "Switch on two-step verification in your Google account, then make an app password there and enter it here. "
            "Or sign in with Google, where it is offered."
        ),
    ),
    "microsoft": Preset(
        "Microsoft 365, Outlook.com", "smtp.office365.com", 587, "starttls", "outlook.office365.com", 993, "tls", True,
        N_("Passwords are refused by Microsoft, or must be allowed by the organisation’s administrator; sign in with Microsoft."),
        pop3_host="outlook.office365.com", plus_addresses=True, takes_passwords=False, oauth="microsoft",
        reading_help=N_("Microsoft takes no passwords for reading mail. Sign in with Microsoft instead."),
    ),
    "yandex": Preset(
        "Yandex", "smtp.yandex.com", 465, "tls", "imap.yandex.ru", 993, "tls", False, _APP_PASSWORD,
        pop3_host="pop.yandex.ru", plus_addresses=True,
        help_page="https://id.yandex.ru/security/app-passwords",
        reading_help=N_(
            "In the settings of Yandex Mail, under “Email clients”, switch on reading by IMAP with app passwords; "
            "then make an app password for mail in your Yandex ID and enter it here."
        ),
    ),
    "mailru": Preset(
        "Mail.ru", "smtp.mail.ru", 465, "tls", "imap.mail.ru", 993, "tls", False, _APP_PASSWORD,
        pop3_host="pop.mail.ru", plus_addresses=True,
        help_page="https://account.mail.ru/user/2-step-auth/passwords",
        reading_help=N_(
            "In the security settings of your Mail.ru account make a password for external applications "
            "with full access to mail, and enter it here. It serves mail.ru, inbox.ru, bk.ru and list.ru alike."
        ),
    ),
    "icloud": Preset(
        "iCloud", "smtp.mail.me.com", 587, "starttls", "imap.mail.me.com", 993, "tls", False, _APP_PASSWORD,
        plus_addresses=True, help_page="https://account.apple.com/account/manage",
        reading_help=N_("Make an app-specific password on your Apple account’s page and enter it here."),
    ),
    "yahoo": Preset(
        "Yahoo", "smtp.mail.yahoo.com", 465, "tls", "imap.mail.yahoo.com", 993, "tls", False, _APP_PASSWORD,
        plus_addresses=True, help_page="https://login.yahoo.com/account/security",
    ),
    "fastmail": Preset(
        "Fastmail", "smtp.fastmail.com", 465, "tls", "imap.fastmail.com", 993, "tls", False, _APP_PASSWORD,
        pop3_host="pop.fastmail.com", plus_addresses=True,
        help_page="https://app.fastmail.com/settings/security",
    ),
    "rambler": Preset(
        "Rambler", "smtp.rambler.ru", 465, "tls", "imap.rambler.ru", 993, "tls", False,
        N_("Switch on access for mail programs in the settings of Rambler Mail, then enter your ordinary password."),
        pop3_host="pop.rambler.ru", help_page="https://mail.rambler.ru/settings/mailapps",
    ),
    "other": Preset(
        N_("Another server"), "", 587, "starttls", "", 993, "tls", False,
        N_("Your provider’s help pages name the servers for outgoing (SMTP) and incoming (IMAP) mail."),
    ),
}  # fmt: skip

BY_PROVIDER: Mapping[str, str] = {preset.oauth: key for key, preset in PRESETS.items() if preset.oauth}
"""The preset that each provider signs in to."""
