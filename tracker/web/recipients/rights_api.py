"""``/recipients/{address}/export`` and ``DELETE /recipients/{address}``: a person's archive, and their erasure with a receipt."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from tracker.mail.fields import ResponseModel
from tracker.models import Role
from tracker.privacy.archive import archive_name, archive_of
from tracker.privacy.erase import erase
from tracker.privacy.views import note_view
from tracker.recipients import look_up, printable
from tracker.runtime.database import now
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.errors import Problem

rights = router("Recipients")
_ZIP: dict[int | str, dict[str, Any]] = {200: {"description": "The archive.", "content": {"application/zip": {}}}}


class ReceiptResponse(ResponseModel):
    """What is left of an erased person: the digest by which the address is known when it is met again, and what was done."""

    receipt: str
    at: datetime
    digest: str
    text: str
    done: dict[str, int]


@rights.get("/recipients/{address:path}/export", response_class=Response, responses=_ZIP)
def export_recipient(call: Caller, address: str) -> Response:
    """A ZIP file with ``data.json`` and ``index.html``: the ledger, and whatever is held of the mail between you and this person.

    What colleagues wrote is not in it; the person gets everything on their own page, the operator by ``inkling recipient export``.
    """
    with call.reading() as session:
        recipient = look_up(session, address)
    content = archive_of(call.context, recipient, call.user.locale, call.user.id)
    note_view(call.context, call.user, "export", [recipient.id])
    name = archive_name(now())
    return Response(
        content, media_type="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@rights.delete("/recipients/{address:path}", response_model=ReceiptResponse)
def delete_recipient(call: Caller, address: str) -> ReceiptResponse:
    """Erases a person in the whole workspace, for administrators. An address that is not known yet is blocked all the same."""
    if call.user.role != Role.ADMIN:
        raise Problem(
            403, "Erasure takes colleagues’ mail as well, so it is an administrator’s to do. Ask one of them."
        )
    receipt = erase(call.context, printable(address), call.actor)
    return ReceiptResponse.of_row(receipt, receipt=receipt.public_id)
