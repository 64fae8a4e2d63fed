"""Customers as a CSV file: handed to the worker, whose progress is shown, and given out whole."""

from collections.abc import Iterator

from sqlmodel import select
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.csv_import import COLUMNS
from tracker.crm.file_import import begin_import, find_import, imports_of
from tracker.locale import localize
from tracker.models import Customer, Shop, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import restored
from tracker.runtime.paging import read_page
from tracker.web.crm.pages import customer_lines
from tracker.web.http.actions import changing
from tracker.web.http.download import csv_response
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
PAGE = "/customers/import"
MOST_BYTES = 40 * 1024 * 1024
_EXPORT_PAGE = 500


@routes.page(PAGE)
def import_page(request: Request, user: User) -> Response:
    return _form(request, user)


@routes.action(PAGE, max_bytes=MOST_BYTES)
def take_file(request: Request, user: User, form: FormData) -> Response:
    """``file`` is a CSV file; every row is taken or refused alone, by the worker."""
    file = form.get("file")
    name, raw = (file.filename or "", file.file.read()) if isinstance(file, UploadFile) else ("", b"")
    with changing(request, lambda error: _form(request, user, localize(error), 422)) as session:
        row = begin_import(session, user, name, raw)
    return redirect(f"{PAGE}/{row.public_id}")


@routes.page(f"{PAGE}/{{id}}")
def import_progress(request: Request, user: User) -> Response:
    """How far it has come; with ``part`` that alone."""
    with context_of(request).database.reading() as session:
        row = find_import(session, user, request.path_params["id"])
    context = {"row": row, "refusals": [(line, restored(problem)) for line, problem in row.refusals]}
    part = "part" in request.query_params
    return render(request, "crm/_import_progress.html" if part else "crm/import_progress.html", context)


def _form(request: Request, user: User, wrong: str = "", status: int = 200) -> Response:
    with context_of(request).database.reading() as session:
        context = {"imports": imports_of(session, user), "wrong": wrong, "columns": COLUMNS}
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
            shops: dict[int | None, str] = {shop.id: shop.name for shop in session.exec(select(Shop))}
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
