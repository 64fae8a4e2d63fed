"""What Google and Microsoft want to hear when a person lets us into a mailbox, and what their answers say. No network.

The authorisation-code flow of RFC 6749 section 4.1 with PKCE (RFC 7636, S256). Scopes and extra parameters as the providers
publish them for IMAP and SMTP with SASL XOAUTH2.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from tracker.mail.addresses import AddressError, normalise
from tracker.runtime.localized_text import LocalizedError, LocalizedText
from tracker.runtime.settings import OAuthClient, Settings

LONGEST_TOKEN = 16_384


@dataclass(frozen=True)
class Provider:
    """One provider: its name for people, what we ask for, what proves that mail was among what was granted."""

    key: str
    name: str
    scopes: tuple[str, ...]
    mail_scopes: tuple[str, ...]
    extra: Mapping[str, str]


PROVIDERS: Mapping[str, Provider] = {
    "google": Provider(
        "google",
        "Google",
        ("openid", "email", "https://mail.google.com/"),
        ("https://mail.google.com/",),
        # Without these there is no refresh token from the second sign-in on.
        {"access_type": "offline", "prompt": "consent"},
    ),
    "microsoft": Provider(
        "microsoft",
        "Microsoft",
        (
            "openid",
            "email",
            "profile",
            "offline_access",
            "https://outlook.office.com/SMTP.Send",
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/POP.AccessAsUser.All",
        ),
        ("https://outlook.office.com/SMTP.Send", "https://outlook.office.com/IMAP.AccessAsUser.All"),
        {"prompt": "select_account"},
    ),
}


@dataclass(frozen=True)
class Granted:
    """What a token answer gave. ``address`` and ``is_proved`` come from the id token and are there only after a sign-in."""

    access_token: str
    seconds: int
    refresh_token: str | None
    address: str | None
    is_proved: bool
    """The provider itself vouches that the mailbox is this person's."""


class BadAnswer(LocalizedError):
    """A token answer that cannot be used."""


def configured(settings: Settings) -> list[Provider]:
    """The providers that the operator set up, in the order people see."""
    return [provider for key, provider in PROVIDERS.items() if key in settings.oauth_clients]


def challenge_of(verifier: str) -> str:
    """RFC 7636 section 4.2, S256."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def authorisation_url(
    provider: Provider, client: OAuthClient, *, redirect_uri: str, state: str, verifier: str, hint: str = ""
) -> str:
    """Where to send the person."""
    query = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        **provider.extra,
        **({"login_hint": hint} if hint else {}),
    }
    return f"{client.authorize_url}?{urlencode(query)}"


def read_answer(provider: Provider, answer: Mapping[str, Any]) -> Granted:
    """A successful token answer (RFC 6749 section 5.1). Raises :class:`BadAnswer`."""
    token = _token(answer, "access_token")
    if token is None or str(answer.get("token_type", "bearer")).lower() != "bearer":
        raise BadAnswer(LocalizedText("%(provider)s gave no access token.", provider=provider.name))
    scope = answer.get("scope")
    if isinstance(scope, str) and not {s.lower() for s in provider.mail_scopes} <= set(scope.lower().split()):
        raise BadAnswer(
            LocalizedText(
                "%(provider)s was not allowed to let Inkling read and send mail. Sign in again and leave every box ticked.",
                provider=provider.name,
            )
        )
    address, is_proved = _whose(provider, answer.get("id_token"))
    return Granted(token, _seconds(answer.get("expires_in")), _token(answer, "refresh_token"), address, is_proved)


def _token(answer: Mapping[str, Any], name: str) -> str | None:
    value = answer.get(name)
    usable = isinstance(value, str) and 0 < len(value) <= LONGEST_TOKEN and value.isascii() and value.isprintable()
    return value if usable else None


def _seconds(value: Any) -> int:
    """How long the access token lives; an hour when the answer does not say (it is only recommended to)."""
    try:
        return max(0, min(int(value), 86_400))
    except (TypeError, ValueError, OverflowError):
        return 3600


def _whose(provider: Provider, id_token: Any) -> tuple[str | None, bool]:
    """Address in the id token. It came from the provider over TLS, so its signature need not be checked (OpenID Connect Core
    3.1.3.7). Only Google proves an address: at Microsoft any tenant's administrator may write any into a profile."""
    claims = _claims(id_token)
    names = ("email",) if provider.key == "google" else ("email", "preferred_username", "upn")
    for name in names:
        try:
            address = normalise(str(claims.get(name, "")))
        except AddressError:
            continue
        return address, provider.key == "google" and claims.get("email_verified") in (True, "true")
    return None, False


def _claims(id_token: Any) -> Mapping[str, Any]:
    if not isinstance(id_token, str) or len(id_token) > LONGEST_TOKEN or id_token.count(".") != 2:
        return {}
    body = id_token.split(".")[1]
    try:
        claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
