"""Signing in at Google and Microsoft instead of with a password: grants, and access tokens when a line is opened.

For sending and receiving alike. :func:`access_token` is all that a line needs; :func:`keep_grant` is all that a sign-in needs.
"""

import time
from datetime import timedelta
from typing import Any

import httpx
from sqlmodel import Session, SQLModel, col, select

from tracker.mail.oauth_providers import PROVIDERS, BadAnswer, Granted, Provider, read_answer
from tracker.models import OAuthGrant
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import Undecryptable
from tracker.runtime.lease import HeldLease
from tracker.runtime.localized_text import LocalizedError, LocalizedText

ANSWER_SECONDS = 10.0
LEASE = timedelta(seconds=30)
"""How long one process may take to fetch a new token; longer than every answer may."""
MARGIN = timedelta(seconds=60)
"""A token that ends within this time is renewed before it is used."""


class OAuthError(LocalizedError):
    """No access token. ``code`` is ``needs_sign_in`` (the person must sign in again), ``token_server`` (it did not answer: try
    later; says nothing about the grant) or ``oauth_client`` (the operator's client id is not taken)."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code

    @property
    def permanent(self) -> bool:
        """Whether trying again is useless until somebody does something."""
        return self.code == "needs_sign_in"


def exchange(context: AppContext, provider: Provider, *, code: str, verifier: str, redirect_uri: str) -> Granted:
    """The tokens for the code that a person brought back. Raises :class:`OAuthError`."""
    words = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    return _ask(context, provider, words)


def keep_grant(
    context: AppContext, session: Session, user_id: int, provider: Provider, granted: Granted, address: str
) -> OAuthGrant:
    """The row of this sign-in: a new one, or the one of the same mailbox, which works again for all who use it."""
    same = (OAuthGrant.user_id == user_id, OAuthGrant.provider == provider.key, OAuthGrant.address == address)
    grant = session.exec(select(OAuthGrant).where(*same).with_for_update()).first()
    grant = grant or OAuthGrant(user_id=user_id, provider=provider.key, address=address)
    _put_tokens(context, grant, granted)
    if grant.refresh_token is None:
        raise OAuthError(
            "needs_sign_in",
            LocalizedText(
                "%(provider)s let you in, but only for an hour (no refresh token). Remove Inkling from the apps of your "
                "%(provider)s account and sign in again.",
                provider=provider.name,
            ),
        )
    grant.granted_at = now()
    session.add(grant)
    session.flush()
    return grant


def access_token(context: AppContext, grant_id: int, *, refused: str | None = None) -> tuple[str, str]:
    """Login and a valid access token; fetched anew when the kept one ends, or is the one that a mail server just ``refused``.

    Raises :class:`OAuthError`. Any number of processes may ask at once: one fetches, the others wait. Holds no transaction
    while it waits.
    """
    deadline = time.monotonic() + LEASE.total_seconds()
    while True:
        with context.database.reading() as session:
            grant = session.get(OAuthGrant, grant_id)
        if grant is None or grant.state == "needs_sign_in":
            raise _sign_in_again(grant)
        token = _kept_token(context, grant)
        if token is not None and token != refused:
            return grant.address, token
        if (lease := _claim(context, grant)) is not None:
            return grant.address, _renew(context, grant, lease)
        if time.monotonic() > deadline:
            raise OAuthError("token_server", _no_answer(PROVIDERS[grant.provider]))
        time.sleep(0.1)


def forget_unused(session: Session, grant_id: int | None) -> None:
    """Forgets a grant that no account and no mailbox uses any more."""
    if grant_id is None:
        return
    session.flush()
    grant = session.get(OAuthGrant, grant_id)
    if grant is not None and not any(_uses(session, column, grant_id) for column in _columns_of_users()):
        session.delete(grant)


def _columns_of_users() -> list[Any]:
    """Every column of any table that points at a grant."""
    keys = (key for table in SQLModel.metadata.tables.values() for key in table.foreign_keys)
    return [key.parent for key in keys if key.target_fullname == "oauth_grant.id"]


def _uses(session: Session, column: Any, grant_id: int) -> bool:
    return session.exec(select(column).where(column == grant_id).limit(1)).first() is not None


def _kept_token(context: AppContext, grant: OAuthGrant) -> str | None:
    if grant.access_token is None or grant.access_expires_at is None or grant.access_expires_at < now() + MARGIN:
        return None
    try:
        return context.keyring.decrypt(grant.access_token, record_of(grant, "access")).decode()
    except Undecryptable:
        return None


def _claim(context: AppContext, grant: OAuthGrant) -> HeldLease | None:
    """Given when it is on us to renew this very token: nobody does, and nobody has since we looked."""
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, "oauth", grant.id, duration=LEASE)
        same = select(OAuthGrant.id).where(OAuthGrant.id == grant.id)
        same = same.where(col(OAuthGrant.access_token).is_not_distinct_from(grant.access_token))
        if lease is not None and session.exec(same).first() is None:
            context.leases.release(session, lease)
            return None
        return lease


def _renew(context: AppContext, grant: OAuthGrant, lease: HeldLease) -> str:
    provider = PROVIDERS[grant.provider]
    try:
        refresh_token = context.keyring.decrypt(grant.refresh_token or b"", record_of(grant, "refresh")).decode()
        granted = _ask(context, provider, {"grant_type": "refresh_token", "refresh_token": refresh_token})
    except (OAuthError, Undecryptable) as error:
        _note_failure(context, grant, lease, error)
        raise error if isinstance(error, OAuthError) else _sign_in_again(grant) from None
    with context.database.session_scope() as session:
        context.leases.release(session, lease)  # a token that works is kept, whoever fetched it
        row = session.get(OAuthGrant, grant.id, with_for_update=True)
        if row is not None:
            _put_tokens(context, row, granted)
    return granted.access_token


def _note_failure(context: AppContext, grant: OAuthGrant, lease: HeldLease, error: LocalizedError) -> None:
    """Only the provider's own no ends a grant; a line that broke says nothing about it."""
    with context.database.session_scope() as session:
        row = session.get(OAuthGrant, grant.id, with_for_update=True)
        if row is None or not context.leases.release(session, lease):
            return
        # Somebody may have signed in again while the old token was being refused.
        if row.refresh_token == grant.refresh_token and not (isinstance(error, OAuthError) and not error.permanent):
            row.state, row.detail = "needs_sign_in", error.sentence
            row.access_token = row.access_expires_at = None


def _put_tokens(context: AppContext, grant: OAuthGrant, granted: Granted) -> None:
    grant.access_token = context.keyring.encrypt(granted.access_token.encode(), record_of(grant, "access"))
    grant.access_expires_at = now() + timedelta(seconds=granted.seconds)
    if granted.refresh_token is not None:  # else the old one stays good (RFC 6749 section 6)
        grant.refresh_token = context.keyring.encrypt(granted.refresh_token.encode(), record_of(grant, "refresh"))
    grant.state, grant.detail = "works", ""


def record_of(grant: OAuthGrant, kind: str) -> str:
    return f"oauth:{grant.public_id}:{kind}"


def _ask(context: AppContext, provider: Provider, words: dict[str, str]) -> Granted:
    client = context.settings.oauth_clients.get(provider.key)
    if client is None:
        raise OAuthError(
            "oauth_client",
            LocalizedText(
                "Signing in with %(provider)s is not set up here any more. Tell whoever runs Inkling.",
                provider=provider.name,
            ),
        )
    data = {**words, "client_id": client.id, **({"client_secret": client.secret} if client.secret else {})}
    try:
        answer = context.web_request("POST", client.token_url, data=data, seconds=ANSWER_SECONDS)
        content = answer.json() if answer.status_code < 500 and answer.status_code != 429 else None
    except (httpx.HTTPError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OAuthError("token_server", _no_answer(provider))
    if answer.status_code != 200:
        raise _refusal(provider, content)
    try:
        return read_answer(provider, content)
    except BadAnswer as error:
        raise OAuthError("needs_sign_in", error.sentence) from None


def _refusal(provider: Provider, content: dict[str, Any]) -> OAuthError:
    """RFC 6749 section 5.2. Only ``invalid_grant`` and its kin say that the person must act."""
    error = str(content.get("error", ""))[:60]
    if error in ("invalid_grant", "interaction_required", "consent_required", "login_required"):
        text = LocalizedText(
            "%(provider)s wants you to sign in again: the access was withdrawn or has lapsed.", provider=provider.name
        )
        return OAuthError("needs_sign_in", text)
    if error in ("invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type", "invalid_scope"):
        text = LocalizedText(
            "%(provider)s does not take Inkling’s client id or secret (%(error)s). Tell whoever runs Inkling.",
            provider=provider.name,
            error=error,
        )
        return OAuthError("oauth_client", text)
    return OAuthError("token_server", _no_answer(provider))


def _no_answer(provider: Provider) -> LocalizedText:
    return LocalizedText(
        "The sign-in server of %(provider)s does not answer properly at the moment. Inkling tries again by itself.",
        provider=provider.name,
    )


def _sign_in_again(grant: OAuthGrant | None) -> OAuthError:
    text = LocalizedText("The sign-in at the mail provider is gone. Sign in again.")
    return OAuthError("needs_sign_in", grant.detail if grant and grant.detail else text)
