"""Signing in at a provider, against a real authorisation server: there and back, once, on the same visit, for oneself."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlmodel import select, update

from tests.servers import AuthorisationServer, Pages, SmtpSink, free_port, smtp_sink
from tests.web.conftest import ClientOf, server, session_token
from tests.web.test_settings_accounts import form, only_account
from tracker.mail.oauth_providers import challenge_of
from tracker.models import Account, OAuthAttempt, OAuthGrant, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.http.sessions import COOKIE

LOGIN = "alice@seller.example"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def context(make_context: Callable[..., AppContext], authorisation: AuthorisationServer, port: int) -> AppContext:
    return make_context(
        BASE_URL=f"http://127.0.0.1:{port}", **authorisation.settings(), **authorisation.settings("MICROSOFT")
    )


@pytest.fixture
def address(context: AppContext, port: int) -> Iterator[str]:
    with server(context, port=port) as address:
        yield address


@pytest.fixture
def sink(authorisation: AuthorisationServer) -> Iterator[SmtpSink]:
    with smtp_sink() as made:
        made.rules.tokens = authorisation.takes
        yield made


def go(client: httpx.Client, subject: str = "", provider: str = "google") -> str:
    """Where the person is led."""
    answer = client.post(f"/settings/oauth/{provider}", data={"purpose": "account", "subject": subject})
    assert answer.status_code == 200, answer.text
    url = answer.headers["refresh"].removeprefix("0; url=")
    assert url.replace("&", "&amp;") in answer.text  # a link for who has no refresh
    return url


def allow(url: str, button: str = "allow") -> str:
    """Presses a button at the provider; gives the path that it sends the person back to."""
    page = httpx.get(url)
    assert page.status_code == 200, page.text
    link = re.search(rf'id="{button}" href="([^"]+)"', page.text)
    assert link is not None
    back = urlsplit(unescape(link[1]))
    return f"{back.path}?{back.query}"


def sign_in(client: httpx.Client, subject: str = "", provider: str = "google") -> httpx.Response:
    return client.get(allow(go(client, subject, provider)))


def grants(context: AppContext) -> list[OAuthGrant]:
    with context.database.reading() as session:
        return list(session.exec(select(OAuthGrant)).all())


def added(client: httpx.Client, context: AppContext, sink: SmtpSink) -> Account:
    """An account on the test's own server, without a password."""
    client.post("/settings/accounts", data=form(sink))
    return only_account(context)


def test_the_way_there_asks_for_mail_with_pkce_and_a_state(client: httpx.Client, context: AppContext) -> None:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(go(client)).query).items()}
    assert asked["scope"] == "openid email https://mail.google.com/"
    assert (asked["code_challenge_method"], asked["access_type"], asked["prompt"]) == ("S256", "offline", "consent")
    assert asked["redirect_uri"] == f"{context.settings.base_url}/settings/oauth/google/callback"
    with context.database.reading() as session:
        attempt = session.exec(select(OAuthAttempt)).one()
    assert asked["state"] not in attempt.state_digest
    verifier = context.keyring.decrypt(attempt.verifier, f"oauth-attempt:{attempt.state_digest}").decode()
    assert challenge_of(verifier) == asked["code_challenge"]
    assert 43 <= len(verifier) <= 128


def test_an_account_signs_in_without_a_password(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    answer = sign_in(client, account.public_id)
    assert answer.headers["location"] == "/settings/accounts"
    account, (grant,) = only_account(context), grants(context)
    assert (account.state, account.oauth_grant_id, account.smtp_login) == ("works", grant.id, LOGIN)
    assert account.smtp_secret is None
    assert account.confirmed_at is not None  # Google says that it is hers
    page = client.get(f"/settings/accounts/{account.public_id}").text
    assert "Signed in with Google" in page
    assert not [token for token in (*authorisation.access_tokens, *authorisation.refresh_tokens) if token in page]


@pytest.mark.parametrize(("provider", "host"), [("google", "smtp.gmail.com"), ("microsoft", "smtp.office365.com")])
def test_a_new_account_has_the_servers_of_its_provider(
    client: httpx.Client, context: AppContext, smtp_sink: SmtpSink, provider: str, host: str
) -> None:
    use_up_connection_tests(client, context, smtp_sink)
    answer = sign_in(client, provider=provider)
    assert "not tested" in client.get(answer.headers["location"]).text
    account = only_account(context)
    assert (account.address, account.smtp_host, account.files_own_copy) == (LOGIN, host, True)
    assert account.imap_login == LOGIN
    client.post(f"/settings/accounts/{account.public_id}/removal")
    assert grants(context) == []  # forgotten with the last account that used it


def use_up_connection_tests(client: httpx.Client, context: AppContext, sink: SmtpSink) -> None:
    """So that nothing is opened to the real providers' servers."""
    client.post("/settings/accounts", data=form(sink))
    account = only_account(context)
    for _ in range(9):
        client.post(f"/settings/accounts/{account.public_id}/check")
    with context.database.session_scope() as session:
        session.delete(session.merge(account))


def test_an_address_that_the_provider_did_not_verify_is_not_confirmed(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    authorisation.email_verified = False
    sign_in(client, account.public_id)
    assert only_account(context).confirmed_at is None


def test_microsofts_word_on_an_address_confirms_nothing(
    client: httpx.Client, context: AppContext, sink: SmtpSink
) -> None:
    """An administrator of any tenant may write any address into a profile."""
    account = added(client, context, sink)
    sign_in(client, account.public_id, "microsoft")
    account = only_account(context)
    assert (account.state, account.confirmed_at) == ("works", None)


def test_another_address_signs_in_but_is_not_confirmed(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    authorisation.address = "team@seller.example"
    sign_in(client, account.public_id)
    account = only_account(context)
    assert (account.address, account.smtp_login, account.confirmed_at) == (
        "Alice@seller.example",
        "team@seller.example",
        None,
    )


def test_who_says_no_at_the_provider_changes_nothing(client: httpx.Client, context: AppContext, sink: SmtpSink) -> None:
    account = added(client, context, sink)
    answer = client.get(allow(go(client, account.public_id), "deny"))
    assert answer.headers["location"] == f"/settings/accounts/{account.public_id}"
    assert "You did not let Inkling in at Google" in client.get(answer.headers["location"]).text
    assert grants(context) == []


def test_a_state_is_good_once(
    client: httpx.Client, context: AppContext, authorisation: AuthorisationServer, sink: SmtpSink
) -> None:
    back = allow(go(client, added(client, context, sink).public_id))
    client.get(back)
    asked = len(authorisation.asked)
    assert "lapsed or was used already" in client.get(client.get(back).headers["location"]).text
    assert len(authorisation.asked) == asked


@pytest.mark.parametrize("state", ["", "x" * 5000, "none"])
def test_a_state_that_we_did_not_give_is_refused(
    client: httpx.Client, context: AppContext, authorisation: AuthorisationServer, state: str
) -> None:
    answer = client.get(f"/settings/oauth/google/callback?code=abc&state={state}")
    assert answer.headers["location"] == "/settings/accounts"
    assert (authorisation.asked, grants(context)) == ([], [])


def test_a_state_of_another_visit_of_the_same_person_is_refused(
    client: httpx.Client, client_of: ClientOf, alice: User, context: AppContext, authorisation: AuthorisationServer
) -> None:
    """Else somebody who lures a person to a prepared address could hang an account of their own onto theirs."""
    back = allow(go(client))
    client_of(alice).get(back)
    assert (authorisation.asked, grants(context)) == ([], [])


def test_a_state_of_another_person_is_refused(
    client: httpx.Client, client_of: ClientOf, bob: User, context: AppContext, authorisation: AuthorisationServer
) -> None:
    client_of(bob).get(allow(go(client)))
    assert (authorisation.asked, grants(context)) == ([], [])


def test_one_providers_answer_does_not_pass_for_the_others(
    client: httpx.Client, context: AppContext, authorisation: AuthorisationServer
) -> None:
    client.get(allow(go(client)).replace("/google/", "/microsoft/"))
    assert (authorisation.asked, grants(context)) == ([], [])


def test_a_sign_in_lapses(client: httpx.Client, context: AppContext, authorisation: AuthorisationServer) -> None:
    back = allow(go(client))
    with context.database.session_scope() as session:
        session.exec(update(OAuthAttempt).values(expires_at=now() - timedelta(seconds=1)))
    client.get(back)
    assert (authorisation.asked, grants(context)) == ([], [])


def test_somebody_elses_account_cannot_be_signed_in(
    client: httpx.Client, client_of: ClientOf, bob: User, context: AppContext, sink: SmtpSink
) -> None:
    account = added(client, context, sink)
    answer = client_of(bob).post("/settings/oauth/google", data={"purpose": "account", "subject": account.public_id})
    assert answer.status_code == 404
    assert client.post("/settings/oauth/google", data={"purpose": "nonsense"}).status_code == 404
    assert client.post("/settings/oauth/yahoo", data={"purpose": "account"}).status_code == 404


def test_the_token_server_away_says_so_and_keeps_what_was(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    back = allow(go(client, account.public_id))
    authorisation.down = True
    answer = client.get(back)
    assert "does not answer properly" in client.get(answer.headers["location"]).text
    assert (grants(context), only_account(context).oauth_grant_id) == ([], None)


def test_permission_for_mail_that_was_not_given_is_said(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    authorisation.scope = "openid email"
    answer = sign_in(client, account.public_id)
    assert "leave every box ticked" in client.get(answer.headers["location"]).text


def test_no_refresh_token_is_said_with_the_way_out(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    authorisation.with_refresh_token = False
    answer = sign_in(client, account.public_id)
    assert "no refresh token" in client.get(answer.headers["location"]).text
    assert grants(context) == []


def test_a_revoked_sign_in_asks_for_a_new_one_and_works_again(
    client: httpx.Client, context: AppContext, sink: SmtpSink, authorisation: AuthorisationServer
) -> None:
    account = added(client, context, sink)
    sign_in(client, account.public_id)
    authorisation.revoke()
    url = f"/settings/accounts/{account.public_id}"
    client.post(f"{url}/check")
    assert only_account(context).state == "needs_sign_in"
    assert "sign in again" in client.get("/settings/accounts").text
    assert "wants you to sign in again" in client.get(url).text
    sign_in(client, account.public_id)
    assert (only_account(context).state, [grant.state for grant in grants(context)]) == ("works", ["works"])


@pytest.mark.parametrize("change", [{"smtp_host": "localhost"}, {"smtp_login": "alice", "smtp_secret": "pw"}])
def test_another_host_or_a_password_ends_the_sign_in(
    client: httpx.Client, context: AppContext, sink: SmtpSink, change: dict[str, str]
) -> None:
    account = added(client, context, sink)
    sign_in(client, account.public_id)
    url = f"/settings/accounts/{account.public_id}"
    client.post(url, data=form(sink, name="Renamed"))
    assert (only_account(context).name, len(grants(context))) == ("Renamed", 1)
    client.post(url, data=form(sink, **change))
    assert (only_account(context).oauth_grant_id, grants(context)) == (None, [])


def test_without_a_client_id_nobody_is_offered_a_sign_in(make_context: Callable[..., AppContext]) -> None:
    plain = make_context()
    with plain.database.session_scope() as session:
        user = User(email="a@b.example", name="A")
        session.add(user)
    with server(plain) as address, httpx.Client(base_url=address) as client:
        client.cookies.set(COOKIE, session_token(plain, user))
        assert "Sign in with" not in client.get("/settings/accounts/new").text
        assert client.post("/settings/oauth/google", data={"purpose": "account"}).status_code == 404


@pytest.mark.browser
def test_the_whole_way_in_a_real_browser(
    client: httpx.Client, context: AppContext, address: str, alice: User, sink: SmtpSink, open_page: Pages
) -> None:
    """Its Content-Security-Policy, cookies and redirects are the browser's own."""
    account = added(client, context, sink)
    page = open_page(base_url=address)
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, alice), "url": address}])
    page.goto(f"/settings/accounts/{account.public_id}")
    page.get_by_role("button", name="Sign in with Google").click()
    page.get_by_role("link", name="Allow").click()
    page.get_by_text("Alice@seller.example works").first.wait_for()
    assert only_account(context).oauth_grant_id is not None
