"""``/credentials`` and ``/mailboxes``: how to sign in, and what is read. Secrets go in and never come out."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar
from starlette.responses import Response

from tracker.inbound.check import check_mailbox
from tracker.inbound.credentials import MailboxError, change_credential, delete_credential, make_credential
from tracker.inbound.listening import is_heard
from tracker.inbound.mailboxes import change_mailbox, connect_mailbox, credential_changed, remove_mailbox, sync_now
from tracker.models import Credential, Mailbox
from tracker.web.api.call import Call, Caller
from tracker.web.api.door import router
from tracker.web.api.errors import Problem, known, not_found
from tracker.web.api.idempotency import once, replayed
from tracker.web.api.mailbox_bodies import (
    CredentialsChange,
    CredentialsShape,
    MailboxChange,
    MailboxShape,
    NewCredentials,
    NewMailbox,
    refused,
)
from tracker.web.api.paging import Listing, PageQuery, page
from tracker.web.throttle import connection_tests

mailboxes = router("Mailboxes")


@mailboxes.get("/credentials", response_model=Listing[CredentialsShape])
def list_credentials(call: Caller, paged: PageQuery) -> Listing[CredentialsShape]:
    """My credentials, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, _my_credentials(call), Credential, paged, newest_first=False)
        return Listing(items=[CredentialsShape.of(row) for row in rows], next=after)


@mailboxes.post("/credentials", response_model=CredentialsShape, status_code=201)
def post_credentials(call: Caller, new: NewCredentials) -> Response:
    """Keeps credentials; name them in ``POST /mailboxes``."""
    return _once(call, lambda session: CredentialsShape.of(_made(session, call, new)), status=201)


@mailboxes.get("/credentials/{id}", response_model=CredentialsShape)
def get_credentials(call: Caller, id: str) -> CredentialsShape:
    """One record of credentials."""
    with call.reading() as session:
        return CredentialsShape.of(find_credentials(session, call, id))


@mailboxes.patch("/credentials/{id}", response_model=CredentialsShape)
def patch_credentials(call: Caller, id: str, change: CredentialsChange) -> Response:
    """Changes what is given. Mailboxes that use them are checked again."""

    def work(session: Session) -> CredentialsShape:
        credential = find_credentials(session, call, id)
        change_credential(session, call.house, credential, change.secret, **change.facts())
        credential_changed(session, credential)
        return CredentialsShape.of(credential)

    return _once(call, work)


@mailboxes.delete("/credentials/{id}", status_code=204, response_class=Response)
def delete_credentials(call: Caller, id: str) -> Response:
    """Forgets credentials that no mailbox uses; 409 else."""
    return _once(call, lambda session: delete_credential(session, find_credentials(session, call, id)), status=204)


@mailboxes.get("/mailboxes", response_model=Listing[MailboxShape])
def list_mailboxes(call: Caller, paged: PageQuery) -> Listing[MailboxShape]:
    """My mailboxes, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, _my_mailboxes(call), Mailbox, paged, newest_first=False)
        return Listing(items=[_shape(session, row) for row in rows], next=after)


@mailboxes.post("/mailboxes", response_model=MailboxShape, status_code=201)
def post_mailbox(call: Caller, new: NewMailbox) -> Response:
    """Connects a mailbox. It is tested and read at once; ``POST /mailboxes/{id}/check`` waits for the outcome."""

    def work(session: Session) -> MailboxShape:
        given = new.credentials
        if isinstance(given, NewCredentials):
            credential = _made(session, call, given)
        else:
            credential = find_credentials(session, call, given, field="credentials")
        assert call.user.id is not None
        mailbox = connect_mailbox(session, call.user.id, credential, **new.choices())
        session.flush()
        return _shape(session, mailbox)

    return _once(call, work, status=201)


@mailboxes.get("/mailboxes/{id}", response_model=MailboxShape)
def get_mailbox(call: Caller, id: str) -> MailboxShape:
    """One mailbox with its state and last run."""
    with call.reading() as session:
        return _shape(session, find_mailbox(session, call, id))


@mailboxes.patch("/mailboxes/{id}", response_model=MailboxShape)
def patch_mailbox(call: Caller, id: str, change: MailboxChange) -> Response:
    """Changes what is given."""

    def work(session: Session) -> MailboxShape:
        mailbox = find_mailbox(session, call, id)
        credential = session.get(Credential, mailbox.credential_id) if mailbox.credential_id else None
        if "credentials" in change.model_fields_set:
            credential = find_credentials(session, call, change.credentials, field="credentials")
        change_mailbox(session, mailbox, credential, **change.choices())
        session.flush()
        return _shape(session, mailbox)

    return _once(call, work)


@mailboxes.delete("/mailboxes/{id}", status_code=204, response_class=Response)
def delete_mailbox(call: Caller, id: str) -> Response:
    """Disconnects a mailbox. Its letters stay, and come back to it when it is connected again."""

    def work(session: Session) -> None:
        remove_mailbox(session, find_mailbox(session, call, id))

    return _once(call, work, status=204)


@mailboxes.post("/mailboxes/{id}/check", response_model=MailboxShape)
def post_mailbox_check(call: Caller, id: str) -> Response:
    """Signs in to the mailbox and says how that went, in ``state`` and ``state_detail``. May take half a minute."""
    if (first := replayed(call)) is not None:
        return first
    with call.reading() as session:
        mailbox = find_mailbox(session, call, id)
    assert mailbox.id is not None
    connection_tests.take(call.user)
    check_mailbox(call.house, mailbox.id)
    return once(call, lambda session: _shape(session, find_mailbox(session, call, id)))


@mailboxes.post("/mailboxes/{id}/sync", response_model=MailboxShape, status_code=202)
def post_mailbox_sync(call: Caller, id: str) -> Response:
    """Reads the mailbox as soon as a worker is free. 409 while it is switched off."""

    def work(session: Session) -> MailboxShape:
        mailbox = find_mailbox(session, call, id)
        if not sync_now(mailbox):
            raise Problem(409, "The mailbox is switched off, or has nothing to sign in with.")
        session.add(mailbox)
        return _shape(session, mailbox)

    return once(call, work, status=202)


def find_credentials(session: Session, call: Call, id: str, field: str = "") -> Credential:
    """The caller's own credentials; raises :class:`Problem` 404, or 422 at ``field`` of a body."""
    found = None
    if not field or id:
        found = session.exec(_my_credentials(call).where(Credential.public_id == (id if field else known(id)))).first()
    if found is None and field:
        raise Problem(422, f"“{field}” are not credentials of yours.", field=field, code="not_found")
    if found is None:
        raise not_found("There are no such credentials.")
    return found


def find_mailbox(session: Session, call: Call, id: str) -> Mailbox:
    """The caller's own mailbox; raises :class:`Problem` 404."""
    found = session.exec(_my_mailboxes(call).where(Mailbox.public_id == known(id))).first()
    if found is None:
        raise not_found("There is no such mailbox.")
    return found


def _my_credentials(call: Call) -> SelectOfScalar[Credential]:
    return select(Credential).where(Credential.user_id == call.user.id)


def _my_mailboxes(call: Call) -> SelectOfScalar[Mailbox]:
    return select(Mailbox).where(Mailbox.user_id == call.user.id, col(Mailbox.removed_at).is_(None))


def _made(session: Session, call: Call, new: NewCredentials) -> Credential:
    assert call.user.id is not None
    return make_credential(session, call.house, call.user.id, new.secret, **new.facts())


def _shape(session: Session, mailbox: Mailbox) -> MailboxShape:
    credential = session.get(Credential, mailbox.credential_id) if mailbox.credential_id else None
    return MailboxShape.of(mailbox, credential, noticed_at_once=is_heard(session, mailbox))


def _once(call: Call, work: Callable[[Session], BaseModel | None], **more: Any) -> Response:
    try:
        return once(call, work, **more)
    except MailboxError as error:
        raise refused(error) from None
