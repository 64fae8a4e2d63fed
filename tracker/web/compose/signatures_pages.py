"""Signatures: one of a person's own, and another one for any account that wants it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize
from tracker.models import Account, User
from tracker.models.ownership import owned
from tracker.outbound.accounts import accounts_of
from tracker.outbound.rich_text import plain
from tracker.outbound.templates import change_signature
from tracker.runtime.localized_text import ActionError
from tracker.web.compose.drafts import ComposeForm
from tracker.web.compose.start import signature_inner
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/signatures"
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


@routes.page(BASE_PATH)
def signatures(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        return render(request, "compose/settings_signatures.html", {"forms": _forms(session, user)})


@routes.action(BASE_PATH, max_bytes=FORM_BYTES)
def save(request: Request, user: User, form: FormData) -> Response:
    """``of`` says whose; an empty one of an account means the person's own."""
    html, of = ComposeForm.from_form(form).html, str(form.get("of", ""))
    with context_of(request).database.session_scope() as session:
        owner = owned(session, Account, user, of) if of else session.get_one(User, user.id)
        try:
            change_signature(session, owner, html)
        except ActionError as error:
            context = {"forms": _forms(session, user, {of: localize(error)})}
            return render(request, "compose/settings_signatures.html", context, 422)
    return redirect(BASE_PATH, _("The signature is saved.") if owner.signature else _("The signature is gone."))


def _forms(session: Session, user: User, wrong: Mapping[str, str] | None = None) -> Sequence[SignatureForm]:
    wrong, accounts = wrong or {}, accounts_of(session, user)
    own = session.get_one(User, user.id).signature
    forms = [SignatureForm("", _("For every address"), signature_inner(own), wrong.get("", ""))]
    return forms + [
        SignatureForm(
            account.public_id, account.address, signature_inner(account.signature), wrong.get(account.public_id, "")
        )
        for account in accounts
    ]
