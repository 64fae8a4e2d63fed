"""Credentials: made, changed, and what becomes of their secret then."""

import re
from typing import Any

from sqlmodel import Session, col, select

from tracker.connect import ConnectError, Server
from tracker.db import now
from tracker.house import House
from tracker.mail_services import PRESETS, SECURITIES
from tracker.models import Credential, Mailbox, OAuthGrant
from tracker.secrets import Undecryptable
from tracker.sentences import Sentence, Told

PROTOCOLS = ("imap", "pop3")
MAX_SECRET = 1_000
_HOST = re.compile(r"[^\s/@\\:]{1,255}|\[?[0-9A-Fa-f:.]{2,45}\]?")
_WHEREABOUTS = ("protocol", "host", "port", "security", "login")
_FACTS = ("name", "preset", "auth", *_WHEREABOUTS)


class MailboxError(Told):
    """What was asked of credentials or a mailbox cannot be: ``code`` is stable, ``field`` is what to look at (or empty)."""

    def __init__(self, code: str, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.field = field


def make_credential(
    session: Session, house: House, user_id: int, secret: str | None = None, **facts: Any
) -> Credential:
    """New credentials. ``facts``: name, preset, protocol, host, port, security, login, auth; the preset fills in the servers.

    Raises :class:`MailboxError` naming the field.
    """
    credential = Credential(user_id=user_id, host="", port=0, login="")
    _take(credential, facts)
    session.add(credential)
    session.flush()
    set_secret(house, credential, secret)
    return credential


def change_credential(
    session: Session, house: House, credential: Credential, secret: str | None = None, **facts: Any
) -> None:
    """Changes what is given. Another protocol, host, port, security or login forgets the stored secret and the grant, unless a new
    secret comes with it: they were meant for the old place. Mailboxes that use the credentials are checked again.

    Raises :class:`MailboxError`; also when the new login is a mailbox that is connected already.
    """
    before = _whereabouts(credential)
    _take(credential, facts)
    if secret:
        set_secret(house, credential, secret)
    elif _whereabouts(credential) != before:
        credential.secret = credential.grant_id = None
    credential.changed_at = now()
    session.add(credential)


def delete_credential(session: Session, credential: Credential) -> None:
    """Raises :class:`MailboxError` while a mailbox uses them."""
    if mailboxes_of(session, credential):
        text = Sentence("A mailbox uses these credentials. Remove it first, or give it others.")
        raise MailboxError("in_use", "", text)
    session.delete(credential)


def mailboxes_of(session: Session, credential: Credential) -> list[Mailbox]:
    """The connected mailboxes that use the credentials."""
    used = select(Mailbox).where(Mailbox.credential_id == credential.id, col(Mailbox.removed_at).is_(None))
    return list(session.exec(used).all())


def set_secret(house: House, credential: Credential, secret: str | None) -> None:
    """Keeps the secret encrypted and bound to these credentials; None forgets it."""
    if secret and len(secret) > MAX_SECRET:
        text = Sentence("The password is longer than %(most)s characters.", most=MAX_SECRET)
        raise MailboxError("too_long", "secret", text)
    credential.secret = house.ring.encrypt(secret.encode(), _record(credential)) if secret else None


def sign_in_by(credential: Credential, grant: OAuthGrant) -> None:
    """Signs in with a grant of the same person from now on; a stored password is forgotten."""
    assert grant.user_id == credential.user_id
    credential.auth, credential.grant_id, credential.login, credential.secret = "oauth", grant.id, grant.address, None


def can_sign_in(credential: Credential) -> bool:
    return credential.grant_id is not None if credential.auth == "oauth" else credential.secret is not None


def server_of(house: House, credential: Credential) -> Server:
    """Where to sign in and how. Raises :class:`ConnectError` when the secret is missing or cannot be opened."""
    place = credential.host, credential.port, credential.security, credential.login
    if credential.auth == "oauth" and credential.grant_id is not None:
        return Server(*place, "", grant=credential.grant_id)
    if credential.secret is None:
        text = Sentence("The password is missing. Enter it in the settings of the credentials.")
        raise ConnectError("no_secret", text, permanent=True)
    try:
        secret = house.ring.decrypt(credential.secret, _record(credential)).decode()
    except Undecryptable as error:
        raise ConnectError("undecryptable", error.sentence, permanent=True) from None
    return Server(*place, secret)


def _record(credential: Credential) -> str:
    return f"credential:{credential.public_id}"


def _whereabouts(credential: Credential) -> tuple[Any, ...]:
    return tuple(getattr(credential, name) for name in _WHEREABOUTS)


def _take(credential: Credential, facts: dict[str, Any]) -> None:
    given = {name: value for name, value in facts.items() if name in _FACTS and value is not None}
    for name in ("name", "preset", "protocol", "auth"):
        if name in given:
            setattr(credential, name, given[name].strip())
    _check_choices(credential)
    if credential.preset != "other" and (given.keys() & {"preset", "protocol"} or not credential.host):
        _take_preset(credential)
    if credential.preset == "other":
        for name in ("host", "port", "security"):
            if name in given:
                setattr(credential, name, given[name])
        credential.host = credential.host.strip().lower()
    credential.login = str(given.get("login", credential.login)).strip()
    _check_server(credential)


def _take_preset(credential: Credential) -> None:
    preset, kind = PRESETS[credential.preset], credential.protocol
    credential.host = getattr(preset, f"{kind}_host")
    credential.port = getattr(preset, f"{kind}_port")
    credential.security = getattr(preset, f"{kind}_security")
    if not credential.host:
        text = Sentence("%(service)s offers no POP3. Choose IMAP.", service=preset.name)
        raise MailboxError("no_pop3", "protocol", text)


def _check_choices(credential: Credential) -> None:
    if len(credential.name) > 200:
        raise MailboxError("too_long", "name", Sentence("The name is too long. Use 200 characters or fewer."))
    if credential.preset not in PRESETS:
        text = Sentence("There is no such service. Choose one of %(choices)s.", choices=", ".join(PRESETS))
        raise MailboxError("unknown", "preset", text)
    if credential.protocol not in PROTOCOLS:
        raise MailboxError("unknown", "protocol", Sentence("The protocol must be imap or pop3."))
    if credential.auth not in ("password", "oauth"):
        raise MailboxError("unknown", "auth", Sentence("The way to sign in must be password or oauth."))


def _check_server(credential: Credential) -> None:
    if not _HOST.fullmatch(credential.host):
        text = Sentence("The name of the server is missing or cannot be used. It looks like imap.example.com.")
        raise MailboxError("host", "host", text)
    if not 1 <= credential.port <= 65_535:
        text = Sentence("The port must be a number from 1 to 65535, such as 993 or 995.")
        raise MailboxError("port", "port", text)
    if credential.security not in SECURITIES:
        raise MailboxError("unknown", "security", Sentence("The security must be tls, starttls or none."))
    if not 1 <= len(credential.login) <= 254 or any(ord(c) < 32 for c in credential.login):
        text = Sentence("The login is missing or cannot be used. With most services it is your address.")
        raise MailboxError("login", "login", text)
