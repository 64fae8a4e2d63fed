"""What may be measured in mail from one account: its owner's word, above what any of its messages asks for."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _
from tracker.models import Account, User
from tracker.models.ownership import owned
from tracker.outbound.account_input import AccountChange
from tracker.outbound.accounts import change_account
from tracker.web.http.forms import parse
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect

routes = Routes()


@routes.action("/settings/accounts/{id}/measuring")
def save(request: Request, user: User, form: FormData) -> Response:
    """Works at once, also on mail already sent: what is switched off is no longer recorded."""
    change = parse(AccountChange, form, boxes=["measure_opens", "measure_clicks"])
    with context_of(request).database.session_scope() as session:
        account = owned(session, Account, user, request.path_params["id"])
        change_account(context_of(request), session, account, change)
    return redirect(f"/settings/accounts/{account.public_id}#measuring", _("Saved."))
