"""What a refused login means: login and password are not always what is wrong."""

import smtplib

import pytest
from imapclient.exceptions import LoginError

from tracker.mail.connection_errors import explain
from tracker.mail.connections import Server

SERVER = Server("mail.firm.example", 143, "none", "anna", "secret")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "login_refused"),
        ("[AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled", "login_refused"),
        ("Invalid login or password. Please try again.", "login_refused"),
        ("LOGIN failed.", "login_refused"),
        ("[PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", "tls"),
        ("Must issue a STARTTLS command first", "tls"),
        ("Login only over TLS", "tls"),
        ("[UNAVAILABLE] Temporary authentication failure. [host:2026-11-30]", "server_trouble"),
        ("[INUSE] mailbox is locked by another session", "server_trouble"),
        ("Internal server error, try again later", "server_trouble"),
        ("Too many simultaneous connections. (Failure)", "server_trouble"),
        ("Basic authentication is disabled.", "needs_oauth"),
    ],
)
def test_a_refused_login_is_called_what_it_is(words: str, code: str) -> None:
    assert explain(SERVER, LoginError(words)).code == code
    assert explain(SERVER, smtplib.SMTPAuthenticationError(535, words.encode())).code == code


@pytest.mark.parametrize("status", [421, 450, 454])
def test_a_temporary_answer_to_a_login_says_nothing_about_it(status: int) -> None:
    error = explain(SERVER, smtplib.SMTPAuthenticationError(status, b"4.7.0 Temporary authentication failure"))
    assert (error.code, error.permanent) == ("smtp", False)
