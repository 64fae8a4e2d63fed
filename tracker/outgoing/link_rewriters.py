"""Data: submission services that put redirects of their own into links, so that a click would pass through two.

Written down 2026-11 from the vendors' public documents; all of them can have it switched off.
"""

from collections.abc import Mapping

SERVICES: Mapping[str, str] = {
    "sendgrid.net": "SendGrid",
    "mailgun.org": "Mailgun",
    "mailgun.com": "Mailgun",
    "mandrillapp.com": "Mandrill",
    "mailjet.com": "Mailjet",
    "postmarkapp.com": "Postmark",
    "sparkpostmail.com": "SparkPost",
    "brevo.com": "Brevo",
    "sendinblue.com": "Brevo",
    "amazonaws.com": "Amazon SES",
    "elasticemail.com": "Elastic Email",
    "smtp2go.com": "SMTP2GO",
    "mailersend.net": "MailerSend",
    "unisender.com": "UniSender",
    "sendpulse.com": "SendPulse",
    "socketlabs.com": "SocketLabs",
    "pepipost.com": "Netcore",
}


def link_rewriter(host: str) -> str | None:
    """The service behind a submission host that may rewrite links by itself; None for any other host."""
    labels = host.lower().rstrip(".").split(".")
    return SERVICES.get(".".join(labels[-2:]))
