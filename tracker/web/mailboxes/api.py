"""``/credentials`` and ``/mailboxes``: how to sign in, and what is read. Secrets go in and never come out."""

from sqlmodel import Session
from starlette.responses import Response

from tracker.inbound.credentials import (
    change_credential,
    chosen_credential,
    credential_of,
    delete_credential,
    make_credential,
)
from tracker.inbound.fetch.check import check_mailbox
from tracker.inbound.fetch.idle_leases import is_subscribed
from tracker.inbound.mailbox_input import CredentialsChange, MailboxChange, NewCredentials, NewMailbox
from tracker.inbound.mailboxes import change_mailbox, connect_mailbox, credential_changed, remove_mailbox, sync_now
from tracker.models import Credential, Mailbox
from tracker.models.ownership import owned
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import cached_response
from tracker.web.api.resource import Resource
from tracker.web.http.throttle import connection_tests
from tracker.web.mailboxes.responses import CredentialsResponse, MailboxResponse

mailboxes = router("Mailboxes")


def _save_credentials(
    session: Session, call: RequestContext, credential: Credential | None, change: CredentialsChange
) -> Credential:
    if credential is None:
        assert isinstance(change, NewCredentials)
        return make_credential(session, call.context, call.user.id, change)
    change_credential(session, call.context, credential, change)
    credential_changed(session, credential)
    return credential


def _save_mailbox(
    session: Session, call: RequestContext, mailbox: Mailbox | None, change: NewMailbox | MailboxChange
) -> Mailbox:
    if isinstance(change, NewMailbox):
        chosen = change.credentials
        made = _save_credentials(session, call, None, chosen) if isinstance(chosen, NewCredentials) else None
        return connect_mailbox(
            session, call.user.id, made or chosen_credential(session, call.user, str(chosen)), change
        )
    assert mailbox is not None
    credential = credential_of(session, mailbox)
    if "credentials" in change.model_fields_set:
        credential = chosen_credential(session, call.user, change.credentials)
    change_mailbox(session, mailbox, credential, change)
    return mailbox


def _shape(session: Session, mailbox: Mailbox) -> MailboxResponse:
    heard = is_subscribed(session, mailbox)
    return MailboxResponse.of(mailbox, credential_of(session, mailbox), noticed_at_once=heard)


CREDENTIALS = Resource(
    plural="credentials",
    singular="credentials",
    model=Credential,
    new=NewCredentials,
    change=CredentialsChange,
    response=CredentialsResponse,
    show=lambda session, call, rows: [CredentialsResponse.of(row) for row in rows],
    save=_save_credentials,
    remove=lambda session, call, row: delete_credential(session, row),
    texts=(
        "My credentials, the oldest first.",
        "One record of credentials.",
        "Keeps credentials; name them in ``POST /mailboxes``.",
        "Changes what is given. Mailboxes that use them are checked again.",
        "Forgets credentials that no mailbox uses; 409 else.",
    ),
)
MAILBOXES = Resource(
    plural="mailboxes",
    singular="mailbox",
    model=Mailbox,
    new=NewMailbox,
    change=MailboxChange,
    response=MailboxResponse,
    show=lambda session, call, rows: [_shape(session, row) for row in rows],
    save=_save_mailbox,
    remove=lambda session, call, row: remove_mailbox(session, row),
    texts=(
        "My mailboxes, the oldest first.",
        "One mailbox with its state and last run.",
        "Connects a mailbox. It is tested and read at once; ``POST /mailboxes/{id}/check`` waits for the outcome.",
        "Changes what is given.",
        "Disconnects a mailbox. Its letters stay, and come back to it when it is connected again.",
    ),
)
CREDENTIALS.add_to(mailboxes)
MAILBOXES.add_to(mailboxes)


@mailboxes.post("/mailboxes/{id}/check", response_model=MailboxResponse)
def post_mailbox_check(call: Caller, id: str) -> Response:
    """Signs in to the mailbox and says how that went, in ``state`` and ``state_detail``. May take half a minute."""
    if (first := cached_response(call)) is not None:
        return first
    with call.reading() as session:
        mailbox = owned(session, Mailbox, call.user, id)
    connection_tests.take(call.user)
    check_mailbox(call.context, mailbox.id)
    return MAILBOXES.act(call, id, lambda session, row: None)


@mailboxes.post("/mailboxes/{id}/sync", response_model=MailboxResponse, status_code=202)
def post_mailbox_sync(call: Caller, id: str) -> Response:
    """Reads the mailbox as soon as a worker is free. 409 while it is switched off."""
    return MAILBOXES.act(call, id, sync_now, status=202)
