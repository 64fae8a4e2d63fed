"""Importing consents from a CSV file, for administrators: what became of each row stands on the page that answers."""

from collections.abc import Sequence

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.bulk_import import COLUMNS, NEEDED, ConsentRowResult, import_consents
from tracker.consent.preferences import preference
from tracker.locale import _, localize
from tracker.models import User
from tracker.runtime.csv_file import UnreadableFile
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render

routes = Routes()
BASE_PATH = "/recipients/import"
LARGEST = 900_000
SHOWN = 500


@routes.admin_page(BASE_PATH)
def import_form(request: Request, _user: User) -> Response:
    return _page(request)


@routes.admin_action(BASE_PATH)
def import_file(request: Request, user: User, form: FormData) -> Response:
    """Takes what can be taken; refused rows are listed with the reason, to be mended and given again."""
    upload = form.get("file")
    if not isinstance(upload, UploadFile) or not upload.filename:
        return _page(request, wrong=_("Choose a CSV file first."))
    try:
        results = list(import_consents(context_of(request), upload.file.read(LARGEST + 1), by=f"user:{user.id}"))
    except UnreadableFile as error:
        return _page(request, wrong=localize(error))
    return _page(request, results=results)


def _page(request: Request, results: Sequence[ConsentRowResult] | None = None, wrong: str = "") -> Response:
    with context_of(request).database.reading() as session:
        accepted = str(preference(session, "accepted_grades"))
    refused = [row for row in results or () if row.problem]
    context = {
        "columns": COLUMNS,
        "needed": NEEDED,
        "imports_count": accepted == "E",
        "done": results is not None,
        "rows": len(results or ()),
        "recorded": sum(row.recorded for row in results or ()),
        "refused": refused[:SHOWN],
        "more": max(0, len(refused) - SHOWN),
        "said_of": localize,
        "wrong": wrong,
    }
    return render(request, "recipients/consent_import.html", context, 422 if wrong else 200)
