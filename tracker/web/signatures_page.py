"""Signatures: one of a person's own, and another one for any account that wants it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.locale import gettext as _
from tracker.models import Account, User
from tracker.web.auth import action, page
from tracker.web.compose_start import signature_inner
from tracker.web.drafts import Typed, plain
from tracker.web.mail_rows import accounts_of
from tracker.web.page import house, redirect, render

HERE = "/settings/signatures"
MAX_HTML = 200_000
FORM_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class SignatureForm:
    """One signature as its form shows it; ``of`` is the account's public id, empty for the person's own."""

    of: str
    title: str
    html: str
    wrong: str = ""

    @property
    def text(self) -> str:
        return plain(self.html)


@page
def signatures(request: Request, user: User) -> Response:
    with house(request).database.reading() as session:
        return render(request, "settings_signatures.html", {"forms": _forms(session, user)})


@action(max_bytes=FORM_BYTES)
def save(request: Request, user: User, form: FormData) -> Response:
    """``of`` says whose; an empty one of an account means the person's own."""
    html, of = Typed.from_form(form).html, str(form.get("of", ""))
    with house(request).database.session_scope() as session:
        if len(html) > MAX_HTML:
            wrong = {of: _("The signature is too large. Use a smaller picture.")}
            return render(request, "settings_signatures.html", {"forms": _forms(session, user, wrong)}, 422)
        kept = html if plain(html).strip() or "<img" in html.lower() else ""
        if of:
            _account(session, user, of).signature = kept
        else:
            session.get_one(User, user.id).signature = kept
    return redirect(HERE, _("The signature is saved.") if kept else _("The signature is gone."))


def _forms(session: Session, user: User, wrong: Mapping[str, str] | None = None) -> Sequence[SignatureForm]:
    wrong, accounts = wrong or {}, accounts_of(session, user)
    own = session.get_one(User, user.id).signature
    forms = [SignatureForm("", _("For every account"), signature_inner(own), wrong.get("", ""))]
    return forms + [
        SignatureForm(one.public_id, one.address, signature_inner(one.signature), wrong.get(one.public_id, ""))
        for one in accounts
    ]


def _account(session: Session, user: User, public_id: str) -> Account:
    found = session.exec(select(Account).where(Account.public_id == public_id, Account.user_id == user.id)).first()
    if found is None:
        raise HTTPException(404)
    return found


routes = [
    Route(HERE, signatures),
    Route(HERE, save, methods=["POST"]),
]
