"""What a failed line means for the state of a mailbox."""

import pytest

from tracker.inbound.fetch.check import meaning
from tracker.mail.connections import ConnectError, Server
from tracker.runtime.localized_text import LocalizedText

PASSWORD = Server("imap.firm.example", 993, "tls", "info@firm.example", "swordfish-77")
GRANT = Server("outlook.office365.com", 993, "tls", "info@firm.example", "", grant=1)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("token_server", "connection_error"),
        ("oauth_client", "connection_error"),
        ("needs_sign_in", "needs_oauth"),
        ("no_secret", "no_credentials"),
        ("undecryptable", "auth_error"),
        ("certificate", "connection_error"),
        ("no_such_host", "connection_error"),
        ("private_host", "connection_error"),
    ],
)
def test_codes_become_states(code: str, state: str) -> None:
    """C20: a token server that is away says nothing about the sign-in."""
    assert meaning(GRANT, ConnectError(code, LocalizedText("It did not work."))).state == state


def test_a_refused_sign_in_by_a_provider_does_not_ask_for_a_password() -> None:
    said = LocalizedText(
        "%(where)s does not take the sign-in. The server said: “%(said)s”", where="o:993", said="LOGIN failed."
    )
    refusal = meaning(GRANT, ConnectError("login_refused", said))
    assert refusal.state == "auth_error"
    assert "does not take the sign-in" in refusal.hint


@pytest.mark.parametrize("error", [OSError("broken: swordfish-77"), ValueError("swordfish-77")])
def test_no_failure_tells_the_secret(error: Exception) -> None:
    """C10."""
    refusal = meaning(PASSWORD, error)
    assert refusal.state == "connection_error"
    assert "swordfish-77" not in refusal.hint
    assert "****" in refusal.hint


def test_throttling_is_understood_wherever_it_is_said() -> None:
    """F28: even instead of a greeting."""
    said = LocalizedText(
        "The connection to %(where)s failed: %(problem)s.", where="h:993", problem="Too many simultaneous connections"
    )
    assert meaning(PASSWORD, ConnectError("line", said)).state == "throttled"
