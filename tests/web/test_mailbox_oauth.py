"""Connecting a mailbox by signing in at its provider, against a real authorisation server."""

import httpx
from sqlmodel import select

from tests.servers import AuthorisationServer
from tests.web.conftest import ClientOf
from tests.web.letters_world import make_mailbox
from tests.web.reading import text_at
from tests.web.test_oauth_sign_in import LOGIN, address, allow, context, grants, port
from tests.web.test_settings_accounts import use_up_tests
from tracker.models import Credential, Mailbox, User
from tracker.runtime.context import AppContext

__all__ = ["address", "context", "port"]


def sign_in(client: httpx.Client, alice: User, subject: str = "") -> httpx.Response:
    """There and back; the provider's mail servers are not asked, for the tests of this person are used up."""
    use_up_tests(alice)
    answer = client.post("/settings/oauth/google", data={"purpose": "mailbox", "subject": subject})
    assert answer.status_code == 200, answer.text
    return client.get(allow(answer.headers["refresh"].removeprefix("0; url=")))


def only(context: AppContext) -> tuple[Mailbox, Credential]:
    with context.database.reading() as session:
        return session.exec(select(Mailbox)).one(), session.exec(select(Credential)).one()


def test_a_mailbox_is_connected_without_a_password(
    client: httpx.Client, context: AppContext, alice: User, authorisation: AuthorisationServer
) -> None:
    assert "Sign in with Google" in client.get("/mailboxes/new").text
    answer = sign_in(client, alice)
    assert answer.headers["location"] == "/mailboxes"
    mailbox, credential = only(context)
    assert (mailbox.address, mailbox.state) == (LOGIN, "checking")
    assert (credential.auth, credential.host, credential.grant_id) == ("oauth", "imap.gmail.com", grants(context)[0].id)
    assert credential.secret is None
    page = client.get(f"/mailboxes/{mailbox.public_id}").text
    assert "signs in that way now" in page
    assert not [token for token in (*authorisation.access_tokens, *authorisation.refresh_tokens) if token in page]


def test_signing_in_again_keeps_the_one_mailbox(client: httpx.Client, context: AppContext, alice: User) -> None:
    sign_in(client, alice)
    mailbox, credential = only(context)
    sign_in(client, alice, mailbox.public_id)
    assert only(context)[0].id == mailbox.id
    assert only(context)[1].id == credential.id


def test_a_mailbox_that_is_connected_already_is_said_to_be(
    client: httpx.Client, context: AppContext, alice: User, bob: User
) -> None:
    make_mailbox(context, bob, LOGIN)
    answer = sign_in(client, alice)
    assert answer.headers["location"] == "/mailboxes/new"
    assert "connected to Inkling already" in text_at(client.get("/mailboxes/new"), "[data-flash]")


def test_somebody_elses_mailbox_is_no_subject(
    client: httpx.Client, client_of: ClientOf, context: AppContext, bob: User
) -> None:
    box = make_mailbox(context, bob)
    answer = client.post("/settings/oauth/google", data={"purpose": "mailbox", "subject": box.public_id})
    assert answer.status_code == 404
