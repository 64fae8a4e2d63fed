"""``/consents/imports``: consents out of a CSV file, with a result for each row. For administrators."""

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from tracker.consent.bulk_import import UnreadableFile, import_consents
from tracker.mail.fields import RequestModel, ResponseModel
from tracker.models import Role
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.errors import Problem
from tracker.web.api.idempotency import cached_response, idempotent

consents = router("Recipients")


class ConsentFile(RequestModel):
    """``csv``: the file as text, with a heading. Needed are the columns address, purpose and state."""

    csv: Annotated[str, Field(max_length=5_000_000)]


class ImportedRow(ResponseModel):
    """``recorded``: entries made, 0 where the ledger says so already; ``problem`` and ``field`` where the row was refused."""

    line: int
    address: str
    recorded: int
    field: str
    problem: str


class Imported(ResponseModel):
    recorded: int
    refused: int
    rows: list[ImportedRow]


@consents.post("/consents/imports", response_model=Imported)
def post_import(call: Caller, body: ConsentFile) -> Response:
    """Records what can be recorded and says of every row what became of it. The same file may be given again."""
    if call.user.role != Role.ADMIN:
        raise Problem(403, "Only an administrator imports consents.")
    if (first := cached_response(call)) is not None:
        return first
    try:
        results = list(import_consents(call.context, body.csv.encode("utf-8", "replace"), by=call.actor))
    except UnreadableFile as error:
        raise Problem(422, str(error), field="csv", code="unreadable") from None
    rows = [
        ImportedRow(line=r.line, address=r.address, recorded=r.recorded, field=r.field, problem=str(r.problem))
        for r in results
    ]
    answer = Imported(recorded=sum(r.recorded for r in rows), refused=sum(1 for r in rows if r.problem), rows=rows)
    return idempotent(call, lambda _session: answer)
