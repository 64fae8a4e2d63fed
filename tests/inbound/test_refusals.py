"""What servers say, and what it means for a mailbox."""

import pytest

from tracker.inbound.fetch.refusals import asked_wait, read_refusal

LOGIN = [
    ("imap.yandex.ru", "[AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled", "auth_error", "IMAP"),
    ("imap.yandex.ru", "LOGIN failure", "auth_error", "IMAP"),
    ("imap.mail.ru", "NEOBHODIM parol prilozheniya https://help", "auth_error", "external applications"),
    ("imap.mail.ru", "Aplication password is REQUIRED", "auth_error", "external applications"),
    ("imap.mail.ru", "Application password is REQUIRED", "auth_error", "external applications"),
    ("outlook.office365.com", "LOGIN failed.", "needs_oauth", "Microsoft"),
    ("mail.firm.example", "AUTHENTICATE failed: Basic authentication is disabled", "needs_oauth", "Microsoft"),
    ("imap.gmail.com", "[ALERT] Application-specific password required", "auth_error", "two-step"),
    ("imap.gmail.com", "[WEBALERT https://x] Web login required.", "auth_error", "two-step"),
    ("mail.firm.example", "[AUTHENTICATIONFAILED] Authentication failed.", "auth_error", "app password"),
    ("imap.gmail.com", "[ALERT] Too many simultaneous connections. (Failure)", "throttled", "by itself"),
    ("mail.firm.example", "[LIMIT] Maximum number of connections", "throttled", "by itself"),
    ("mail.firm.example", "[INUSE] mailbox is locked", "throttled", "by itself"),
    ("imap.gmail.com", "[OVERQUOTA] Account exceeded command or bandwidth limits", "throttled", "by itself"),
    ("pop.firm.example", "-ERR [IN-USE] Do you have another POP session running?", "throttled", "by itself"),
]


@pytest.mark.parametrize(("host", "words", "state", "hint"), LOGIN)
def test_a_refused_login_becomes_a_state_with_its_hint(host: str, words: str, state: str, hint: str) -> None:
    """C6, C13, C14 and F28: the table of the specification."""
    refusal = read_refusal(host, words, login=True)
    assert refusal is not None
    assert refusal.state == state
    assert hint in refusal.hint
    assert words[:20] in refusal.hint


def test_outside_of_a_login_only_throttling_means_something() -> None:
    assert read_refusal("imap.gmail.com", "Some messages could not be FETCHed", login=False) is None
    throttled = read_refusal("h", "Request is throttled. Suggested Backoff Time: 299961 milliseconds", login=False)
    assert throttled is not None
    assert throttled.state == "throttled"
    assert throttled.wait == pytest.approx(299.961)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299.961),  # F30
        ("Suggested Backoff Time: 30 seconds", 30.0),
        ("Suggested Backoff Time: 999999999999 milliseconds", 86_400.0),
        ("[OVERQUOTA] Account exceeded command or bandwidth limits.", 86_400.0),  # F29
        ("please wait 120 seconds", 120.0),
        ("Login failed", 0.0),
    ],
)
def test_servers_say_how_long_to_wait(words: str, seconds: float) -> None:
    assert asked_wait(words) == pytest.approx(seconds)
