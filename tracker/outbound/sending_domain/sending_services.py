"""What we know of mail services as senders: their SPF and DKIM names, how much they take, who of them rewrites links. Data.

SPF includes and DKIM selectors as the services' help pages give them; limits as published, cautious where there are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tracker.mail.services import PRESETS


@dataclass(frozen=True)
class Sending:
    """One service. ``spf_include`` is what a domain's SPF record must include so that it may send for it."""

    name: str
    spf_include: str = ""
    dkim_selectors: tuple[str, ...] = ()
    """Under which names it keeps its DKIM keys for a domain of one's own."""
    per_minute: int | None = None
    per_day: int | None = None
    """How many recipients it takes from one mailbox before it refuses; None: no limit that we know of."""


_USUAL_SELECTORS = ("default", "dkim", "mail", "google", "selector1", "selector2", "s1", "s2", "k1", "key1")

SENDING: Mapping[str, Sending] = {
    key: Sending(PRESETS[key].name, *facts)
    for key, facts in {
        "gmail": ("_spf.google.com", ("google",), 30, 500),
        "microsoft": ("spf.protection.outlook.com", ("selector1", "selector2"), 30, 10_000),
        "yandex": ("_spf.yandex.net", ("mail",), 30, 500),
        "mailru": ("_spf.mail.ru", ("mailru",), 30, 500),
        "icloud": ("icloud.com", ("sig1",), 30, 1000),
        "yahoo": ("_spf.mail.yahoo.com", ("s1024", "s2048"), 30, 500),
        "fastmail": ("spf.messagingengine.com", ("fm1", "fm2", "fm3"), 30, 8000),
        "rambler": ("", _USUAL_SELECTORS, 30, 200),
        "other": ("", _USUAL_SELECTORS, None, None),
    }.items()
}


def sending_of(preset: str) -> Sending:
    return SENDING.get(preset, SENDING["other"])


_REWRITERS = {
    "smtp.sendgrid.net": "SendGrid",
    "mailgun.org": "Mailgun",
    "mandrillapp.com": "Mandrill",
    "smtp-relay.brevo.com": "Brevo",
    "smtp-relay.sendinblue.com": "Brevo",
    "smtp.postmarkapp.com": "Postmark",
    "mailjet.com": "Mailjet",
    "amazonaws.com": "Amazon SES",
    "sparkpostmail.com": "SparkPost",
    "smtp.eu.sparkpostmail.com": "SparkPost",
    "elasticemail.com": "Elastic Email",
    "mailersend.net": "MailerSend",
    "smtp2go.com": "SMTP2GO",
    "unisender.com": "Unisender",
    "smtp.go1.unisender.ru": "Unisender Go",
    "smtp-pulse.com": "SendPulse",
}
"""Services that can put links and a pixel of their own into what they send, by the end of their host names."""


def link_rewriter(host: str) -> str | None:
    """The name of the service at this host, where it may rewrite links itself; None for all others."""
    plain = host.lower().rstrip(".")
    return next((name for end, name in _REWRITERS.items() if plain == end or plain.endswith(f".{end}")), None)
