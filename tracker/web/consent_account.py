"""What may be measured in mail from one account: its owner's word, above what any of its messages asks for."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.locale import gettext as _
from tracker.models import User
from tracker.web.accounts_page import own_account
from tracker.web.auth import action
from tracker.web.forms import ticked
from tracker.web.page import house, redirect


@action
def save(request: Request, user: User, form: FormData) -> Response:
    """Works at once, also on mail already sent: what is switched off is no longer recorded."""
    with house(request).database.session_scope() as session:
        account = own_account(session, user, request.path_params["id"])
        account.measure_opens, account.measure_clicks = ticked(form, "measure_opens"), ticked(form, "measure_clicks")
        session.add(account)
    return redirect(f"/settings/accounts/{account.public_id}#measuring", _("Saved."))


routes = [Route("/settings/accounts/{id}/measuring", save, methods=["POST"])]
