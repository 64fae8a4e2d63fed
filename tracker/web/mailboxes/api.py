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
from tracker.models.ownership import owned, owned_rows
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import cached_response, idempotent
from tracker.web.api.paging import Listing, PageQuery, page
from tracker.web.http.throttle import connection_tests
from tracker.web.mailboxes.responses import CredentialsResponse, MailboxResponse

mailboxes = router("Mailboxes")


@mailboxes.get("/credentials", response_model=Listing[CredentialsResponse])
def list_credentials(call: Caller, paged: PageQuery) -> Listing[CredentialsResponse]:
    """My credentials, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, owned_rows(Credential, call.user), Credential, paged, newest_first=False)
        return Listing(items=[CredentialsResponse.of(row) for row in rows], next=after)


@mailboxes.post("/credentials", response_model=CredentialsResponse, status_code=201)
def post_credentials(call: Caller, new: NewCredentials) -> Response:
    """Keeps credentials; name them in ``POST /mailboxes``."""
    return idempotent(call, lambda session: CredentialsResponse.of(_make(session, call, new)), status=201)


@mailboxes.get("/credentials/{id}", response_model=CredentialsResponse)
def get_credentials(call: Caller, id: str) -> CredentialsResponse:
    """One record of credentials."""
    with call.reading() as session:
        return CredentialsResponse.of(owned(session, Credential, call.user, id))


@mailboxes.patch("/credentials/{id}", response_model=CredentialsResponse)
def patch_credentials(call: Caller, id: str, change: CredentialsChange) -> Response:
    """Changes what is given. Mailboxes that use them are checked again."""

    def work(session: Session) -> CredentialsResponse:
        credential = owned(session, Credential, call.user, id)
        change_credential(session, call.context, credential, change)
        credential_changed(session, credential)
        return CredentialsResponse.of(credential)

    return idempotent(call, work)


@mailboxes.delete("/credentials/{id}", status_code=204, response_class=Response)
def delete_credentials(call: Caller, id: str) -> Response:
    """Forgets credentials that no mailbox uses; 409 else."""
    return idempotent(
        call, lambda session: delete_credential(session, owned(session, Credential, call.user, id)), status=204
    )


@mailboxes.get("/mailboxes", response_model=Listing[MailboxResponse])
def list_mailboxes(call: Caller, paged: PageQuery) -> Listing[MailboxResponse]:
    """My mailboxes, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, owned_rows(Mailbox, call.user), Mailbox, paged, newest_first=False)
        return Listing(items=[_shape(session, row) for row in rows], next=after)


@mailboxes.post("/mailboxes", response_model=MailboxResponse, status_code=201)
def post_mailbox(call: Caller, new: NewMailbox) -> Response:
    """Connects a mailbox. It is tested and read at once; ``POST /mailboxes/{id}/check`` waits for the outcome."""

    def work(session: Session) -> MailboxResponse:
        credentials = new.credentials
        if isinstance(credentials, NewCredentials):
            credential = _make(session, call, credentials)
        else:
            credential = chosen_credential(session, call.user, credentials)
        assert call.user.id is not None
        mailbox = connect_mailbox(session, call.user.id, credential, new)
        session.flush()
        return _shape(session, mailbox)

    return idempotent(call, work, status=201)


@mailboxes.get("/mailboxes/{id}", response_model=MailboxResponse)
def get_mailbox(call: Caller, id: str) -> MailboxResponse:
    """One mailbox with its state and last run."""
    with call.reading() as session:
        return _shape(session, owned(session, Mailbox, call.user, id))


@mailboxes.patch("/mailboxes/{id}", response_model=MailboxResponse)
def patch_mailbox(call: Caller, id: str, change: MailboxChange) -> Response:
    """Changes what is given."""

    def work(session: Session) -> MailboxResponse:
        mailbox = owned(session, Mailbox, call.user, id)
        credential = credential_of(session, mailbox)
        if "credentials" in change.model_fields_set:
            credential = chosen_credential(session, call.user, change.credentials)
        change_mailbox(session, mailbox, credential, change)
        session.flush()
        return _shape(session, mailbox)

    return idempotent(call, work)


@mailboxes.delete("/mailboxes/{id}", status_code=204, response_class=Response)
def delete_mailbox(call: Caller, id: str) -> Response:
    """Disconnects a mailbox. Its letters stay, and come back to it when it is connected again."""

    def work(session: Session) -> None:
        remove_mailbox(session, owned(session, Mailbox, call.user, id))

    return idempotent(call, work, status=204)


@mailboxes.post("/mailboxes/{id}/check", response_model=MailboxResponse)
def post_mailbox_check(call: Caller, id: str) -> Response:
    """Signs in to the mailbox and says how that went, in ``state`` and ``state_detail``. May take half a minute."""
    if (first := cached_response(call)) is not None:
        return first
    with call.reading() as session:
        mailbox = owned(session, Mailbox, call.user, id)
    assert mailbox.id is not None
    connection_tests.take(call.user)
    check_mailbox(call.context, mailbox.id)
    return idempotent(call, lambda session: _shape(session, owned(session, Mailbox, call.user, id)))


@mailboxes.post("/mailboxes/{id}/sync", response_model=MailboxResponse, status_code=202)
def post_mailbox_sync(call: Caller, id: str) -> Response:
    """Reads the mailbox as soon as a worker is free. 409 while it is switched off."""

    def work(session: Session) -> MailboxResponse:
        mailbox = owned(session, Mailbox, call.user, id)
        sync_now(session, mailbox)
        return _shape(session, mailbox)

    return idempotent(call, work, status=202)


def _make(session: Session, call: RequestContext, new: NewCredentials) -> Credential:
    assert call.user.id is not None
    return make_credential(session, call.context, call.user.id, new)


def _shape(session: Session, mailbox: Mailbox) -> MailboxResponse:
    heard = is_subscribed(session, mailbox)
    return MailboxResponse.of(mailbox, credential_of(session, mailbox), noticed_at_once=heard)
