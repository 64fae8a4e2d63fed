"""Access tokens against a real authorisation server, SMTP sink and Dovecot: renewal, refusal, a token server that is away."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from imapclient.exceptions import LoginError
from sqlmodel import select, update

from tests.fixtures.contexts import People, opened_context
from tests.fixtures.leases import hold, holder
from tests.servers import AuthorisationServer, Authority, Dovecot, SmtpSink, smtp_sink, wait_until
from tests.servers import dovecot as start_dovecot
from tracker.inbound.fetch.idle_connection import IdleConnection
from tracker.inbound.fetch.idle_leases import Target
from tracker.inbound.fetch.idle_watcher import opened_connection
from tracker.inbound.fetch.refusals import ServerRefusal
from tracker.mail.connection_errors import explain
from tracker.mail.connections import ConnectError, Server
from tracker.mail.imap_session import imap
from tracker.mail.oauth import OAuthError, access_token, forget_unused, keep_grant
from tracker.mail.oauth_providers import PROVIDERS, BadAnswer, Granted, read_answer
from tracker.mail.smtp_submission import smtp
from tracker.models import Credential, OAuthGrant, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

GOOGLE = PROVIDERS["google"]
LOGIN = "alice@seller.example"


@pytest.fixture
def context(tmp_path, ca: Authority, authorisation: AuthorisationServer) -> Iterator[AppContext]:  # type: ignore[no-untyped-def]
    with opened_context(tmp_path, CA_FILE=str(ca.file), **authorisation.settings()) as made:
        yield made


@pytest.fixture
def sink(authorisation: AuthorisationServer) -> Iterator[SmtpSink]:
    """Takes only access tokens."""
    with smtp_sink() as server:
        server.rules.tokens = authorisation.takes
        yield server


@pytest.fixture
def alice(people: People) -> User:
    return people.user()


@pytest.fixture
def grant(context: AppContext, authorisation: AuthorisationServer, alice: User) -> int:
    """As after a sign-in."""
    answer = authorisation._tokens()
    granted = Granted(answer["access_token"], answer["expires_in"], answer["refresh_token"], LOGIN, True)
    with context.database.session_scope() as session:
        assert alice.id is not None
        row = keep_grant(context, session, alice.id, GOOGLE, granted, LOGIN)
    assert row.id is not None
    return row.id


def row_of(context: AppContext, grant: int) -> OAuthGrant:
    with context.database.reading() as session:
        return session.get_one(OAuthGrant, grant)


def by_grant(sink: SmtpSink, grant: int) -> Server:
    return Server(sink.host, sink.port, "none", "", "", grant)


def open_smtp(context: AppContext, server: Server) -> None:
    with smtp(context, server) as line:
        line.noop()


def lapse(context: AppContext) -> None:
    """As an hour later."""
    with context.database.session_scope() as session:
        session.exec(update(OAuthGrant).values(access_expires_at=now() - timedelta(seconds=1)))


def test_a_line_is_signed_in_by_the_kept_token(context: AppContext, sink: SmtpSink, grant: int) -> None:
    open_smtp(context, by_grant(sink, grant))
    assert sink.logins[LOGIN] == 1


def test_neither_token_is_readable_in_the_database(
    context: AppContext, authorisation: AuthorisationServer, grant: int
) -> None:
    row = row_of(context, grant)
    for sealed in (row.access_token, row.refresh_token):
        assert sealed is not None
        assert b"at-" not in sealed
        assert b"rt-" not in sealed
    assert "at-" not in repr(row)


def test_a_sealed_token_moved_to_another_record_opens_nothing(context: AppContext, people: People, grant: int) -> None:
    bob = people.user("Bob")
    with context.database.session_scope() as session:
        alices = session.get_one(OAuthGrant, grant)
        assert bob.id is not None
        stolen = OAuthGrant(user_id=bob.id, provider="google", address=LOGIN, refresh_token=alices.refresh_token)
        stolen.access_token, stolen.access_expires_at = alices.access_token, alices.access_expires_at
        session.add(stolen)
    assert stolen.id is not None
    with pytest.raises(OAuthError) as error:
        access_token(context, stolen.id)
    assert error.value.code == "needs_sign_in"


def test_a_token_that_ends_is_renewed_before_it_is_used(
    context: AppContext, sink: SmtpSink, grant: int, authorisation: AuthorisationServer
) -> None:
    lapse(context)
    open_smtp(context, by_grant(sink, grant))
    assert [words["grant_type"] for words in authorisation.asked] == ["refresh_token"]
    assert sink.logins[LOGIN] == 1


def test_C20_a_token_that_expired_in_the_middle_means_one_refresh_and_one_retry(
    context: AppContext, sink: SmtpSink, grant: int, authorisation: AuthorisationServer
) -> None:
    authorisation.expire()
    open_smtp(context, by_grant(sink, grant))
    assert (len(authorisation.asked), sink.logins[LOGIN]) == (1, 2)
    assert sink.xoauth2_answers == [b"\r\n"]  # the reasons were answered by nothing, not by the token again


def test_C20_no_third_try_when_the_fresh_token_is_refused_too(
    context: AppContext, sink: SmtpSink, grant: int, authorisation: AuthorisationServer
) -> None:
    sink.rules.tokens = lambda login, token: False
    with pytest.raises(ConnectError) as error:
        open_smtp(context, by_grant(sink, grant))
    assert (error.value.code, error.value.permanent) == ("login_refused", True)
    assert "protocol switched on" in str(error.value)
    assert (len(authorisation.asked), sink.logins[LOGIN]) == (1, 2)
    assert row_of(context, grant).state == "works"  # the grant itself is good


@pytest.mark.parametrize("how", ["502", "garbage", "list", "cut off"])
def test_C20_a_token_server_that_is_away_is_no_authentication_failure(
    context: AppContext, sink: SmtpSink, grant: int, authorisation: AuthorisationServer, how: str
) -> None:
    lapse(context)
    authorisation.down = how == "502"
    authorisation.raw_answer = {"garbage": b"{", "list": b"[]", "cut off": b""}.get(how)
    check_away(context, sink, grant)
    authorisation.down, authorisation.raw_answer = False, None
    open_smtp(context, by_grant(sink, grant))


def test_C20_nor_is_one_that_nobody_listens_at(
    context: AppContext, sink: SmtpSink, grant: int, authorisation: AuthorisationServer
) -> None:
    lapse(context)
    google = replace(context.settings.oauth_clients["google"], token_url="http://127.0.0.1:1/token")
    check_away(replace(context, settings=replace(context.settings, oauth_clients={"google": google})), sink, grant)


def check_away(context: AppContext, sink: SmtpSink, grant: int) -> None:
    with pytest.raises(ConnectError) as error:
        open_smtp(context, by_grant(sink, grant))
    assert (error.value.code, error.value.permanent) == ("token_server", False)
    row = row_of(context, grant)
    assert (row.state, holder(context, "oauth", grant)) == ("works", None)
    assert sink.logins[LOGIN] == 0


def test_a_revoked_grant_wants_a_new_sign_in_and_the_server_is_not_asked_again(
    context: AppContext, sink: SmtpSink, grant: int, authorisation: AuthorisationServer
) -> None:
    authorisation.revoke()
    for _ in range(2):
        with pytest.raises(ConnectError) as error:
            open_smtp(context, by_grant(sink, grant))
        assert (error.value.code, error.value.permanent) == ("needs_sign_in", True)
    assert len(authorisation.asked) == 1
    assert row_of(context, grant).state == "needs_sign_in"


def test_a_client_id_that_is_not_taken_is_the_operators_affair(
    context: AppContext, grant: int, authorisation: AuthorisationServer
) -> None:
    lapse(context)
    authorisation.client_secret = "another"
    with pytest.raises(OAuthError) as error:
        access_token(context, grant)
    assert (error.value.code, error.value.permanent) == ("oauth_client", False)
    assert "Tell whoever runs Inkling" in str(error.value)
    assert row_of(context, grant).state == "works"


def test_many_at_once_fetch_one_token(context: AppContext, grant: int, authorisation: AuthorisationServer) -> None:
    """Refresh tokens rotate: two renewals at once would end the grant."""
    lapse(context)
    tokens: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: tokens.append(access_token(context, grant))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(tokens) == 8
    assert len(set(tokens)) == 1
    assert len(authorisation.asked) == 1
    assert row_of(context, grant).state == "works"


def test_a_process_that_died_while_renewing_does_not_block_for_ever(context: AppContext, grant: int) -> None:
    lapse(context)
    hold(context, "oauth", grant, seconds=1)
    assert access_token(context, grant)[0] == LOGIN


def test_a_token_never_goes_over_a_plain_line_to_another_machine(context: AppContext, grant: int) -> None:
    with pytest.raises(ConnectError) as error, smtp(context, Server("127.0.0.2", 1, "none", "", "", grant)):
        pass
    assert error.value.code in ("refused", "tls")


def test_a_server_without_xoauth2_is_said_to_have_none(context: AppContext, grant: int) -> None:
    with smtp_sink(login="alice", secret="s") as sink, pytest.raises(ConnectError) as error:
        open_smtp(context, by_grant(sink, grant))
    assert error.value.code == "not_supported"


def test_dovecot_takes_the_token_and_wants_a_fresh_one_once(
    context: AppContext, grant: int, authorisation: AuthorisationServer
) -> None:
    with start_dovecot(f"{authorisation.url}/introspect") as dovecot:
        server = Server("localhost", dovecot.imaps_port, "tls", "", "", grant)
        check_imap(context, server)
        authorisation.expire()
        check_imap(context, server)
        assert len(authorisation.asked) == 1
        authorisation.revoke()
        with pytest.raises(ConnectError) as error, imap(context, server):
            pass
        assert error.value.code == "needs_sign_in"


def test_a_mailbox_is_listened_to_by_the_grant(
    context: AppContext, grant: int, authorisation: AuthorisationServer
) -> None:
    with start_dovecot(f"{authorisation.url}/introspect") as dovecot:
        facts = {"host": "localhost", "port": dovecot.imaps_port, "security": "tls", "login": LOGIN}
        credential = Credential.model_validate({"user_id": 1, "auth": "oauth", "grant_id": grant, **facts})
        target = Target(1, credential, (), "INBOX", 0)
        connection = opened_connection(context, target)
        assert isinstance(connection, IdleConnection)
        connection.begin()
        wait_until(lambda: is_subscribed(connection))
        connection.close()
        lapse(context)
        authorisation.revoke()
        refused = opened_connection(context, target)
        assert isinstance(refused, ServerRefusal)
        assert refused.state == "needs_oauth"


def is_subscribed(connection: IdleConnection) -> bool:
    connection.hear()
    return connection.idle.is_subscribed


def check_imap(context: AppContext, server: Server) -> None:
    with imap(context, server) as client:
        assert client.select_folder("INBOX", readonly=True)[b"EXISTS"] == 0


def test_imap_without_xoauth2(context: AppContext, grant: int, dovecot: Dovecot) -> None:
    server = Server("localhost", dovecot.imaps_port, "tls", "", "", grant)
    with pytest.raises(ConnectError) as error, imap(context, server):
        pass
    assert error.value.code == "not_supported"


def test_C13_microsofts_refusal_of_passwords_is_told_from_a_wrong_one(context: AppContext) -> None:
    outlook = Server("outlook.office365.com", 993, "tls", "a@b.example", "x")
    for said in ("LOGIN failed.", "AUTHENTICATE failed. Basic authentication is disabled."):
        assert explain(outlook, LoginError(said)).code == "needs_oauth"
    assert (
        explain(Server("imap.other.example", 993, "tls", "a", "x"), LoginError("LOGIN failed.")).code == "login_refused"
    )


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": "a\r\nb"},
        {"access_token": 7},
        {"access_token": "x" * 20_000},
        {"access_token": "ok", "token_type": "mac"},
        {"access_token": "ok", "scope": "openid email"},
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(answer: dict[str, object]) -> None:
    with pytest.raises(BadAnswer):
        read_answer(GOOGLE, answer)


@pytest.mark.parametrize("id_token", [None, "", "a.b", "a.!!.c", "a.bnVsbA.c", "a.W10.c", "x." + "é" + ".y", 5])
@pytest.mark.parametrize("expires", [None, "soon", -5, 10**30, float("inf")])
def test_odd_claims_and_spans_do_not_stop_a_sign_in(id_token: object, expires: object) -> None:
    granted = read_answer(GOOGLE, {"access_token": "t", "id_token": id_token, "expires_in": expires})
    assert granted.address is None
    assert 0 <= granted.seconds <= 86_400


def test_a_grant_goes_with_its_last_user(
    context: AppContext, people: People, alice: User, sink: SmtpSink, grant: int
) -> None:
    account = people.account(alice, sink, oauth_grant_id=grant)
    with context.database.session_scope() as session:
        forget_unused(session, grant)
        assert session.get(OAuthGrant, grant) is not None
        session.delete(session.merge(account))
        forget_unused(session, grant)
    with context.database.reading() as session:
        assert session.exec(select(OAuthGrant)).first() is None
