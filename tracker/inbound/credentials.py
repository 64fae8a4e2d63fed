"""Credentials: made, changed, and what becomes of their secret then."""

from typing import Any

from sqlmodel import Session, col, select

from tracker.inbound.mailbox_input import CredentialsChange, NewCredentials
from tracker.mail.connections import ConnectError, Server
from tracker.mail.fields import HOST_MISSING
from tracker.mail.services import PRESETS
from tracker.models import Credential, Mailbox, OAuthGrant, User
from tracker.models.ownership import find_owned, owned_rows
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import Undecryptable
from tracker.runtime.localized_text import ActionError, LocalizedText

_WHEREABOUTS = ("protocol", "host", "port", "security", "login")


def make_credential(session: Session, context: AppContext, user_id: int, new: NewCredentials) -> Credential:
    """New credentials; the preset fills in the servers. Raises :class:`ActionError` naming the field."""
    credential = Credential(user_id=user_id, host="", port=0, login="")
    _take(credential, new)
    session.add(credential)
    session.flush()
    set_secret(context, credential, new.secret)
    return credential


def change_credential(session: Session, context: AppContext, credential: Credential, change: CredentialsChange) -> None:
    """Changes what is given. Another protocol, host, port, security or login forgets the stored secret and the grant, unless a new
    secret comes with it: they were meant for the old place. A secret takes the place of a sign-in at the provider.

    Raises :class:`ActionError`.
    """
    before = _whereabouts(credential)
    _take(credential, change)
    if change.secret:
        set_secret(context, credential, change.secret)
        credential.auth, credential.grant_id = "password", None
    elif _whereabouts(credential) != before:
        credential.secret = credential.grant_id = None
    credential.changed_at = now()
    session.add(credential)


def delete_credential(session: Session, credential: Credential) -> None:
    """Raises :class:`ActionError` ``conflict`` while a mailbox uses them."""
    if mailboxes_of(session, credential):
        text = LocalizedText("A mailbox uses these credentials. Remove it first, or give it others.")
        raise ActionError("conflict", text, "mailbox", detail_code="in_use")
    session.delete(credential)


def mailboxes_of(session: Session, credential: Credential) -> list[Mailbox]:
    """The connected mailboxes that use the credentials."""
    used = select(Mailbox).where(Mailbox.credential_id == credential.id, col(Mailbox.removed_at).is_(None))
    return list(session.exec(used).all())


def chosen_credential(session: Session, user: User, public_id: str) -> Credential:
    """A person's own credentials, named in the field ``credentials``. Raises :class:`ActionError`."""
    credential = find_owned(session, Credential, user, public_id)
    if credential is None:
        text = LocalizedText("These credentials are not there any more. Choose others.")
        raise ActionError("invalid", text, "credentials", detail_code="not_found")
    return credential


def credential_of(session: Session, mailbox: Mailbox) -> Credential | None:
    return session.get(Credential, mailbox.credential_id) if mailbox.credential_id else None


def unused_credentials(session: Session, user: User) -> list[Credential]:
    """The person's credentials that no connected mailbox uses."""
    mine = session.exec(owned_rows(Credential, user).order_by(col(Credential.id)))
    return [credential for credential in mine if not mailboxes_of(session, credential)]


def set_secret(context: AppContext, credential: Credential, secret: str | None) -> None:
    """Keeps the secret encrypted and bound to these credentials; None forgets it."""
    credential.secret = context.keyring.encrypt(secret.encode(), record_of(credential)) if secret else None


def sign_in_by(credential: Credential, grant: OAuthGrant) -> None:
    """Signs in with a grant of the same person from now on; a stored password is forgotten."""
    assert grant.user_id == credential.user_id
    credential.auth, credential.grant_id, credential.login, credential.secret = "oauth", grant.id, grant.address, None


def can_sign_in(credential: Credential) -> bool:
    return credential.grant_id is not None if credential.auth == "oauth" else credential.secret is not None


def server_of(context: AppContext, credential: Credential) -> Server:
    """Where to sign in and how. Raises :class:`ConnectError` when the secret is missing or cannot be opened."""
    place = credential.host, credential.port, credential.security, credential.login
    if credential.auth == "oauth" and credential.grant_id is not None:
        return Server(*place, "", grant=credential.grant_id)
    if credential.secret is None:
        text = LocalizedText("The password is missing. Enter it in the settings of the credentials.")
        raise ConnectError("no_secret", text, permanent=True)
    try:
        secret = context.keyring.decrypt(credential.secret, record_of(credential)).decode()
    except Undecryptable as error:
        raise ConnectError("undecryptable", error.sentence, permanent=True) from None
    return Server(*place, secret)


def record_of(credential: Credential) -> str:
    return f"credential:{credential.public_id}"


def _whereabouts(credential: Credential) -> tuple[Any, ...]:
    return tuple(getattr(credential, name) for name in _WHEREABOUTS)


def _take(credential: Credential, change: CredentialsChange) -> None:
    fields_set = change.model_fields_set
    for name in fields_set & {"name", "preset", "protocol"}:
        setattr(credential, name, getattr(change, name))
    if credential.preset == "other":
        for name in fields_set & {"host", "port", "security"}:
            setattr(credential, name, getattr(change, name))
    elif fields_set & {"preset", "protocol"} or not credential.host:
        _take_preset(credential)
    if fields_set & {"login", "address"}:
        credential.login = change.login if "login" in fields_set else change.address
    _check(credential)


def _take_preset(credential: Credential) -> None:
    preset, kind = PRESETS[credential.preset], credential.protocol
    credential.host = getattr(preset, f"{kind}_host")
    credential.port = getattr(preset, f"{kind}_port")
    credential.security = getattr(preset, f"{kind}_security")
    if not credential.host:
        text = LocalizedText("%(service)s offers no POP3. Choose IMAP.", service=preset.name)
        raise ActionError("invalid", text, "protocol", detail_code="no_pop3")


def _check(credential: Credential) -> None:
    wrong: dict[str, str] = {}
    if not credential.host:
        wrong["host"] = HOST_MISSING
    if not credential.port:
        wrong["port"] = LocalizedText("The port must be a number from 1 to 65535, such as 993 or 995.")
    if not credential.login:
        wrong["login"] = LocalizedText("The login is missing or cannot be used. With most services it is your address.")
    if wrong:
        raise ActionError.of_fields(wrong)
