"""Signing in at Google or Microsoft: the way there and the way back. What for is the affair of who registered a purpose.

PURPOSES["account"] = Purpose(…)             when the module of those pages is loaded
<form method="post" action="/settings/oauth/google"> purpose, subject
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

from sqlmodel import Session, col, delete, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize
from tracker.mail.oauth import OAuthError, exchange
from tracker.mail.oauth_providers import PROVIDERS, Granted, Provider, authorisation_url, configured
from tracker.models import OAuthAttempt, User
from tracker.models.ownership import owned
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import new_token, token_digest
from tracker.runtime.localized_text import ActionError
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.sessions import session_token_of
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/oauth"
SPAN = timedelta(minutes=15)
"""How long a person may take at the provider."""


@dataclass(frozen=True)
class OAuthPurpose:
    """``finish`` takes over what was granted and may raise :class:`OAuthError`; ``back`` is the page of a subject (empty: a
    new one); ``owned`` says whether the subject is this person's, and what address to propose; it raises 404 otherwise."""

    finish: Callable[[Request, User, Provider, Granted, str], Response]
    back: Callable[[str], str]
    owned: Callable[[Request, User, str], str]


PURPOSES: dict[str, OAuthPurpose] = {}
"""What a sign-in may be for; the modules of those pages add theirs."""


def purpose_of(
    model: type[Any],
    base_path: str,
    sign_in: Callable[[AppContext, Session, User, Provider, Granted, Any], Any],
    tested: Callable[[Request, User, Any], Response],
) -> OAuthPurpose:
    """For a row of the person's that signs in that way from now on (a new one when the subject is empty), and is tested then."""

    def finish(request: Request, user: User, provider: Provider, granted: Granted, subject: str) -> Response:
        context = context_of(request)
        with context.database.session_scope() as session:
            row = owned(session, model, user, subject) if subject else None
            row = sign_in(context, session, user, provider, granted, row)
        return tested(request, user, row)

    def proposed_login(request: Request, user: User, subject: str) -> str:
        with context_of(request).database.reading() as session:
            return str(owned(session, model, user, subject).address) if subject else ""

    return OAuthPurpose(finish, lambda subject: f"{base_path}/{subject or 'new'}", proposed_login)


def callback_url(context: AppContext, provider: Provider) -> str:
    """One address per provider, so that one's answer cannot pass for the other's (RFC 9207 names the attack)."""
    return f"{context.settings.base_url}{BASE_PATH}/{provider.key}/callback"


@routes.action(f"{BASE_PATH}/{{provider}}")
def authorize(request: Request, user: User, form: FormData) -> Response:
    """Remembers the attempt and leads the person to the provider. By a page, not a redirect: browsers hold a form's redirects
    to our Content-Security-Policy, wherever the provider may send people on."""
    context, provider = context_of(request), _provider(request)
    wanted, subject = text(form, "purpose"), text(form, "subject", 16)
    if wanted not in PURPOSES:
        raise HTTPException(404)
    hint = PURPOSES[wanted].owned(request, user, subject)
    state, verifier = new_token(), token_urlsafe(64)
    attempt = OAuthAttempt(
        state_digest=token_digest(state), user_id=user.id, visit_digest=_visit(request), provider=provider.key,
        verifier=b"", purpose=wanted, subject=subject, expires_at=now() + SPAN,
    )  # fmt: skip
    _remember(context, attempt, verifier)
    url = authorisation_url(
        provider,
        context.settings.oauth_clients[provider.key],
        redirect_uri=callback_url(context, provider),
        state=state,
        verifier=verifier,
        hint=hint,
    )
    response = render(request, "accounts/settings_oauth.html", {"provider": provider, "url": url})
    response.headers["Refresh"] = f"0; url={url}"
    return response


@routes.page(f"{BASE_PATH}/{{provider}}/callback")
def callback(request: Request, user: User) -> Response:
    """The provider's answer. A GET that changes something, as the protocol has it: good once, on the visit that asked."""
    context, provider = context_of(request), _provider(request)
    attempt = _take(context, request, user, provider)
    if attempt is None:
        gone = _("This sign-in has lapsed or was used already. Nothing was changed; start again.")
        return redirect("/settings/accounts", gone, kind="problem")
    purpose = PURPOSES[attempt.purpose]
    try:
        granted = exchange(
            context, provider, code=_code(request, provider), verifier=_verifier(context, attempt),
            redirect_uri=callback_url(context, provider),
        )  # fmt: skip
        return purpose.finish(request, user, provider, granted, attempt.subject)
    except _Refused as refused:
        return redirect(purpose.back(attempt.subject), str(refused), kind="problem")
    except (OAuthError, ActionError) as error:
        return redirect(purpose.back(attempt.subject), localize(error), kind="problem")


class _Refused(Exception):
    """The provider, or the person there, said no."""


def _code(request: Request, provider: Provider) -> str:
    error, code = request.query_params.get("error", ""), request.query_params.get("code", "")
    if error == "access_denied":
        raise _Refused(_("You did not let Inkling in at %(provider)s. Nothing was changed.", provider=provider.name))
    if error or not 0 < len(code) <= 4096:
        broken = _(
            "%(provider)s broke the sign-in off (%(error)s). Nothing was changed.",
            provider=provider.name,
            error=error[:100] or "no code",
        )
        raise _Refused(broken)
    return code


def _provider(request: Request) -> Provider:
    provider = PROVIDERS.get(request.path_params["provider"])
    if provider is None or provider not in configured(context_of(request).settings):
        raise HTTPException(404)
    return provider


def _visit(request: Request) -> str:
    return token_digest(session_token_of(context_of(request), request))


def _remember(context: AppContext, attempt: OAuthAttempt, verifier: str) -> None:
    attempt.verifier = context.keyring.encrypt(verifier.encode(), _record(attempt))
    with context.database.session_scope() as session:
        session.exec(delete(OAuthAttempt).where(col(OAuthAttempt.expires_at) < now()))
        session.add(attempt)


def _take(context: AppContext, request: Request, user: User, provider: Provider) -> OAuthAttempt | None:
    """The attempt of this state, which is gone from now on; None unless it is this person's, of this visit and provider."""
    digest = token_digest(request.query_params.get("state", "")[:200])
    with context.database.session_scope() as session:
        attempt = session.exec(select(OAuthAttempt).where(OAuthAttempt.state_digest == digest)).first()
        if attempt is None:
            return None
        session.expunge(attempt)
        once = session.exec(delete(OAuthAttempt).where(col(OAuthAttempt.state_digest) == digest)).rowcount == 1
    fits = (attempt.user_id, attempt.visit_digest, attempt.provider) == (user.id, _visit(request), provider.key)
    return attempt if once and fits and attempt.expires_at > now() and attempt.purpose in PURPOSES else None


def _verifier(context: AppContext, attempt: OAuthAttempt) -> str:
    return context.keyring.decrypt(attempt.verifier, _record(attempt)).decode()


def _record(attempt: OAuthAttempt) -> str:
    return f"oauth-attempt:{attempt.state_digest}"
