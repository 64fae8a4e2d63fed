"""Customers as a CSV file: taken in with a result for each line, and given out whole."""

from collections import Counter
from collections.abc import Iterator

from sqlmodel import select
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.csv_import import COLUMNS, RowResult, import_customers
from tracker.locale import localize
from tracker.models import Customer, Shop, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError
from tracker.runtime.paging import read_page
from tracker.web.crm.pages import customer_lines
from tracker.web.http.csv_export import csv_response
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render

routes = Routes()
MOST_BYTES = 40 * 1024 * 1024
SHOWN = 200
_EXPORT_PAGE = 500


@routes.page("/customers/import")
def import_page(request: Request, user: User) -> Response:
    return _shown(request, None, [], "")


@routes.action("/customers/import", max_bytes=MOST_BYTES)
def take_file(request: Request, user: User, form: FormData) -> Response:
    """``file`` is a CSV file; every row is taken or refused alone."""
    file = form.get("file")
    raw = file.file.read() if isinstance(file, UploadFile) else b""
    counts: Counter[str] = Counter()
    refused: list[RowResult] = []
    try:
        for result in import_customers(context_of(request), raw, user):
            counts[result.status] += 1
            if result.status == "refused" and len(refused) < SHOWN:
                refused.append(result)
    except ActionError as error:
        return _shown(request, None, [], localize(error), 422)
    return _shown(request, counts, refused, "")


def _shown(
    request: Request, counts: Counter[str] | None, refused: list[RowResult], wrong: str, status: int = 200
) -> Response:
    context = {"counts": counts, "refused": refused, "wrong": wrong, "columns": COLUMNS}
    return render(request, "crm/import.html", context, status)


@routes.page("/customers/export")
def export(request: Request, user: User) -> Response:
    """Every customer, in the columns that an import reads."""
    return csv_response("customers.csv", COLUMNS, _rows(context_of(request)))


def _rows(context: AppContext) -> Iterator[list[str]]:
    """Page by page, each in a short transaction."""
    after = None
    while True:
        with context.database.reading() as session:
            order = (Customer.created_at, Customer.id)
            rows, after = read_page(session, select(Customer), order, after, _EXPORT_PAGE, newest_first=False)
            shops = {shop.id: shop.name for shop in session.exec(select(Shop))}
            lines = customer_lines(session, rows)
        for line in lines:
            customer = line.customer
            yield [
                customer.external_id or "",
                customer.name,
                ", ".join(row.address for row in line.addresses),
                line.manager.email if line.manager else "",
                shops.get(customer.shop_id, ""),
                ", ".join(customer.tags),
            ]
        if after is None:
            return
