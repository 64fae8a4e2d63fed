"""The secret keys: none may be missing that stored data and links in mail were made with; new ones are added, old ones given up.

The database holds a digest of each key that it was used with. Nobody makes the key of it: keys are random.
"""

import argparse
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from tracker.commands import CommandError
from tracker.consent.preferences import preference, set_preference
from tracker.inbound.credentials import record_of as credential_record
from tracker.mail.account_servers import record_of as account_record
from tracker.mail.oauth import record_of as grant_record
from tracker.models import Account, Credential, OAuthGrant, PushKey, PushSubscription, WebhookEndpoint
from tracker.notifications.push import KEY_RECORD
from tracker.notifications.push import record_of as push_record
from tracker.notifications.webhooks import record_of as webhook_record
from tracker.runtime.backup import KEY_FILE
from tracker.runtime.context import AppContext, create_context
from tracker.runtime.database import now
from tracker.runtime.keyring import Keyring, Undecryptable
from tracker.runtime.settings import Settings, read_settings


def digest_of(key: str) -> str:
    """What tells a key from others, and says nothing of it."""
    return hashlib.sha256(f"inkling key {key}".encode()).hexdigest()[:12]


def missing_keys(context: AppContext) -> list[str]:
    """The digests of keys that the database was used with, that are not here and were not given up."""
    here = set(map(digest_of, context.keyring.keys))
    with context.database.reading() as session:
        known = preference(session, "key_digests")
    return sorted(digest for digest, facts in known.items() if not facts["retired"] and digest not in here)


def check_keys(context: AppContext) -> None:
    """Notes which keys the database is used with. Raises :class:`CommandError` when one is missing: with another one every link in
    mail already sent, every stored password and every erased address would be lost in silence."""
    if missing := missing_keys(context):
        raise CommandError(missing_sentence(context.settings, missing))
    digests = {digest_of(key) for key in context.keyring.keys}
    with context.database.reading() as session:
        is_known = digests <= preference(session, "key_digests").keys()
    if not is_known:
        with context.database.session_scope() as session:
            _note(session, {digest: {"since": now().isoformat(), "retired": None} for digest in digests})


def missing_sentence(settings: Settings, missing: list[str]) -> str:
    where = "INKLING_SECRET_KEYS" if settings.secret_keys else f"the file {settings.data_dir / KEY_FILE}"
    return (
        f"The secret key {', '.join(missing)} is missing, which this database was made with: links in mail already sent and "
        f"stored passwords need it. Restore {where} from your backup, or, if the key is lost for good, run: "
        f"inkling key retire {missing[0]}"
    )


def _note(session: Session, digests: dict[str, Any]) -> None:
    known = preference(session, "key_digests")
    set_preference(session, "key_digests", {**digests, **known})


def list_keys(_words: argparse.Namespace) -> int:
    """A key a line: digest, what it does, since when the database knows it."""
    with _context() as context:
        here = [digest_of(key) for key in context.keyring.keys]
        with context.database.reading() as session:
            known = preference(session, "key_digests")
        for digest in dict.fromkeys([*here, *known]):
            facts = known.get(digest, {"since": "not used yet", "retired": None})
            state = "retired" if facts["retired"] else "missing" if digest not in here else "opens"
            print(f"{digest}\t{'signs' if digest == here[0] else state}\t{facts['since'][:10]}")
    return 0


def add_key(_words: argparse.Namespace) -> int:
    """A new key signs and seals from now on; the others go on opening."""
    with _context() as context:
        check_keys(context)
        path, new = _key_file(context), secrets.token_urlsafe(48)
        _write_keys(path, [new, *context.keyring.keys])
        keyring = Keyring((new, *context.keyring.keys))
        resealed, _left = _reseal(context, keyring)
        with context.database.session_scope() as session:
            _note(session, {digest_of(new): {"since": now().isoformat(), "retired": None}})
    print(
        f"{digest_of(new)} signs from now on; {resealed} stored secrets are sealed with it. Back up {path}, copy it to"
    )
    print("every machine of this installation, and start every process anew.")
    return 0


def retire_key(words: argparse.Namespace) -> int:
    """Gives a key up for good: what was signed with it alone opens no more."""
    with _context() as context:
        keys = [key for key in context.keyring.keys if digest_of(key) != words.digest]
        with context.database.reading() as session:
            known = preference(session, "key_digests")
        is_here = len(keys) < len(context.keyring.keys)
        if words.digest not in known and not is_here:
            raise CommandError("There is no such key. See: inkling key list")
        if not keys or (is_here and digest_of(context.keyring.keys[0]) == words.digest):
            raise CommandError("This key signs. Add another one first: inkling key add")
        _resealed, left = _reseal(context, Keyring(tuple(keys)))
        if is_here:
            _write_keys(_key_file(context), keys)
        facts = {"since": known.get(words.digest, {}).get("since", ""), "retired": now().isoformat()}
        with context.database.session_scope() as session:
            set_preference(session, "key_digests", {**preference(session, "key_digests"), words.digest: facts})
    print(f"{words.digest} is given up: links in mail that were signed with it lead nowhere from now on.")
    if left:
        print(f"{left} stored secrets cannot be opened any more; enter them again in the settings.")
    return 0


@contextmanager
def _context() -> Iterator[AppContext]:
    """The context of keys that may be missing."""
    settings = read_settings()
    made = not settings.secret_keys and not (settings.data_dir / KEY_FILE).exists()
    context = create_context(settings)
    try:
        if context.database.is_sqlite:
            context.database.migrate()
        yield context
    finally:
        context.database.close()
        if made and missing_keys(context):
            (settings.data_dir / KEY_FILE).unlink()


def _key_file(context: AppContext) -> Path:
    if context.settings.secret_keys:
        raise CommandError("The keys come from INKLING_SECRET_KEYS: change them there, the newest first.")
    return context.settings.data_dir / KEY_FILE


def _write_keys(path: Path, keys: list[str]) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _reseal(context: AppContext, keyring: Keyring) -> tuple[int, int]:
    """Seals every stored secret with the newest key of ``keyring``. How many were, and how many none of the present keys opens."""
    done = left = 0
    with context.database.session_scope() as session:
        for row, column, record in _sealed(session):
            if getattr(row, column) is None:
                continue
            try:
                plain = context.keyring.decrypt(getattr(row, column), record)
            except Undecryptable:
                left += 1
                continue
            setattr(row, column, keyring.encrypt(plain, record))
            done += 1
    return done, left


def _sealed(session: Session) -> Iterator[tuple[Any, str, str]]:
    """Row, column and record of every stored secret. Evidence of hits is gone before long and is left as it is."""
    for account in session.exec(select(Account)).all():
        yield from ((account, f"{kind}_secret", account_record(account, kind)) for kind in ("smtp", "imap"))
    for credential in session.exec(select(Credential)).all():
        yield credential, "secret", credential_record(credential)
    for grant in session.exec(select(OAuthGrant)).all():
        yield from ((grant, f"{kind}_token", grant_record(grant, kind)) for kind in ("refresh", "access"))
    for endpoint in session.exec(select(WebhookEndpoint)).all():
        yield from ((endpoint, column, webhook_record(endpoint)) for column in ("secret", "secret_before"))
    for key in session.exec(select(PushKey)).all():
        yield key, "secret", KEY_RECORD
    for subscription in session.exec(select(PushSubscription)).all():
        yield subscription, "sealed", push_record(subscription)
