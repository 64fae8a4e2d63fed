"""D24: services that rewrite links by themselves are known by their host."""

import pytest

from tracker.mail_services import PRESETS
from tracker.outgoing.link_rewriters import link_rewriter


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("smtp.sendgrid.net", "SendGrid"),
        ("SMTP.EU.Mailgun.ORG.", "Mailgun"),
        ("email-smtp.eu-west-1.amazonaws.com", "Amazon SES"),
        ("smtp-relay.brevo.com", "Brevo"),
        ("smtp.gmail.com", None),
        ("sendgrid.net.evil.example", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_d24_the_service_is_known_by_its_host(host: str, service: str | None) -> None:
    assert link_rewriter(host) == service


def test_d24_no_mail_service_that_people_write_with_is_among_them() -> None:
    assert not [preset for preset in PRESETS.values() if link_rewriter(preset.smtp_host)]
