"""The secret of a mailbox: whom it is told, what it is bound to, how the line is protected."""

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from tests.fixtures.contexts import People, opened_context
from tests.inbound.mail_world import SECRET, checked, credential_of, fresh_address, mailbox_on
from tests.servers import Authority, Dovecot
from tests.servers.nasty import NastyImap, nasty_imap
from tracker.inbound.credentials import (
    change_credential,
    delete_credential,
    make_credential,
    server_of,
)
from tracker.inbound.fetch.check import check_mailbox
from tracker.inbound.mailbox_input import CredentialsChange, NewCredentials
from tracker.inbound.mailboxes import connect_mailbox, credential_changed
from tracker.models import Credential
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.5", "localhost"])
def test_private_hosts_are_refused_unless_the_operator_allows_them(tmp_path: Path, host: str) -> None:
    """C8."""
    with opened_context(tmp_path, ALLOW_PRIVATE_HOSTS="192.0.2.0/24") as context:
        user = People(context).user()
        server = NastyImap(1, host=host)
        post = mailbox_on(context, user, server, fresh_address())
        assert checked(post) == "connection_error"
        assert "INKLING_ALLOW_PRIVATE_HOSTS" in post.mailbox.state_detail


@pytest.mark.parametrize(
    "change", [{"host": "evil.example"}, {"port": 1993}, {"login": "x@y.example"}, {"protocol": "pop3"}]
)
def test_another_place_forgets_the_secret(
    context: AppContext, people: People, dovecot: Dovecot, change: dict[str, Any]
) -> None:
    """C9."""
    post = mailbox_on(context, people.user(), dovecot, fresh_address())
    with context.database.session_scope() as session:
        credential = credential_of(session, post)
        change_credential(session, context, credential, CredentialsChange(name="Another name"))
        secret_before = credential.secret
        change_credential(session, context, credential, CredentialsChange(**change))
        credential_changed(session, credential)
    assert secret_before is not None
    with context.database.reading() as session:
        assert credential_of(session, post).secret is None
    assert post.mailbox.state == "no_credentials"
    assert post.mailbox.due_at is None


def test_a_new_secret_may_come_with_the_new_place(context: AppContext, people: People, dovecot: Dovecot) -> None:
    post = mailbox_on(context, people.user(), dovecot, fresh_address())
    with context.database.session_scope() as session:
        credential = credential_of(session, post)
        change_credential(session, context, credential, CredentialsChange(host="other.example", secret="new"))
        assert server_of(context, credential).secret == "new"


def test_the_secret_shows_nowhere(
    context: AppContext, people: People, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """C10: not even when the server says it back."""
    caplog.set_level(logging.DEBUG)

    def parrot(_server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        if command.startswith((b"LOGIN", b"AUTHENTICATE")):
            return tag + b" NO wrong: " + b"swordfish-77" + b"\r\n"
        return None

    with nasty_imap(script=parrot) as server:
        user = people.user()
        post = mailbox_on(context, user, server, fresh_address())
        with context.database.session_scope() as session:
            change_credential(session, context, credential_of(session, post), CredentialsChange(secret="swordfish-77"))
        finding = check_mailbox(context, post.mailbox_id)
        assert server.said(b"swordfish-77")
    with context.database.reading() as session:
        credential = credential_of(session, post)
        shown = [repr(server_of(context, credential)), finding.detail, post.mailbox.state_detail, caplog.text]
    assert finding.state == "auth_error"
    assert "****" in finding.detail
    assert "swordfish-77" not in "".join([*shown, *capfd.readouterr()])


def test_a_secret_moved_to_another_row_does_not_open(context: AppContext, people: People, dovecot: Dovecot) -> None:
    """C11."""
    alice = people.user()
    mailbox, other = (mailbox_on(context, alice, dovecot, fresh_address()) for _ in range(2))
    with context.database.session_scope() as session:
        credential_of(session, other).secret = credential_of(session, mailbox).secret
    assert checked(other) == "auth_error"
    assert "Enter it again" in other.mailbox.state_detail


def test_old_keys_open_old_secrets_and_new_saves_use_the_new_key(tmp_path: Path, dovecot: Dovecot) -> None:
    """C12."""
    old, new = "o" * 40, "n" * 40
    with opened_context(tmp_path, SECRET_KEYS=old) as context:
        post = mailbox_on(context, People(context).user(), dovecot, fresh_address())
        url = context.settings.database_url
    for keys, again in ((f"{new},{old}", True), (new, False)):
        folder = tmp_path / keys[:1]
        with opened_context(folder, url, SECRET_KEYS=keys) as context, context.database.session_scope() as session:
            credential = credential_of(session, post)
            assert server_of(context, credential).secret == SECRET
            if again:
                change_credential(session, context, credential, CredentialsChange(secret=SECRET))


def test_no_password_goes_out_before_starttls(context: AppContext, people: People) -> None:
    """C16: a server that offers none gets none."""
    with nasty_imap(capabilities="IMAP4rev1 LOGINDISABLED") as server:
        user = people.user()
        assert user.id is not None
        with context.database.session_scope() as session:
            credential = make_credential(
                session,
                context,
                user.id,
                NewCredentials(
                    secret="secret", host=server.host, port=server.port, security="starttls", login=fresh_address()
                ),
            )
            mailbox = connect_mailbox(session, user.id, credential)
        assert mailbox.id is not None
        assert check_mailbox(context, mailbox.id).state == "connection_error"
        assert server.said(b"(?i)LOGIN|AUTH") == []


@pytest.mark.parametrize(("trusted", "state"), [(True, "active"), (False, "connection_error")])
def test_a_certificate_must_be_vouched_for(
    tmp_path: Path, dovecot: Dovecot, ca: Authority, trusted: bool, state: str
) -> None:
    """C17."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    settings = {"CA_FILE": str(ca.file)} if trusted else {}
    with opened_context(tmp_path, **settings) as context:
        user = People(context).user()
        assert user.id is not None
        with context.database.session_scope() as session:
            credential = make_credential(
                session,
                context,
                user.id,
                NewCredentials(secret=SECRET, host="localhost", port=dovecot.imaps_port, login=address),
            )
            mailbox = connect_mailbox(session, user.id, credential)
        assert mailbox.id is not None
        finding = check_mailbox(context, mailbox.id)
        assert finding.state == state, finding.detail
        assert ("certificate" in finding.detail) is not trusted


def test_credentials_in_use_stay(context: AppContext, people: People, dovecot: Dovecot) -> None:
    post = mailbox_on(context, people.user(), dovecot, fresh_address())
    with context.database.session_scope() as session, pytest.raises(ActionError) as refused:
        delete_credential(session, credential_of(session, post))
    assert refused.value.detail_code == "in_use"


@pytest.mark.parametrize(
    ("field", "facts"),
    [
        ("host", {"login": "a@b.example", "port": 993}),
        ("port", {"login": "a@b.example", "host": "h.example"}),
        ("login", {"preset": "gmail", "login": ""}),
        ("protocol", {"preset": "icloud", "protocol": "pop3", "login": "a@icloud.com"}),
    ],
)
def test_credentials_that_cannot_be_are_named(
    context: AppContext, people: People, field: str, facts: dict[str, Any]
) -> None:
    alice = people.user()
    assert alice.id is not None
    with pytest.raises(ActionError) as refused, context.database.session_scope() as session:
        make_credential(session, context, alice.id, NewCredentials(**facts))
    assert refused.value.field == field
    with context.database.reading() as session:
        assert session.exec(select(func.count()).select_from(Credential)).one() == 0
