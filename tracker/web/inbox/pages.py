"""The enquiries page: letters that count, with their repeats folded under them; filters, export, and taking spam out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.access import find_letter
from tracker.crm.enquiries import list_counts
from tracker.inbound.mark_spam import mark_spam, unmark_spam
from tracker.locale import _, zone
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.paging import Cursor
from tracker.web.http.actions import answering, problem_at
from tracker.web.http.download import csv_response
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, local_path, redirect, render
from tracker.web.inbox.filter import CATEGORIES, LetterFilter
from tracker.web.inbox.labels import STATUS_LABELS, category_label, status_label, status_of
from tracker.web.inbox.rows import LetterRow, mailboxes_of, read_letters
from tracker.web.profile.saved_views import views_of

routes = Routes()
_PARTS = {"rows": "inbox/_letter_list.html", "more": "inbox/_letter_rows.html"}
_EXPORT_PAGE = 500


@routes.page("/enquiries")
def enquiries(request: Request, user: User) -> Response:
    """The list, or with ``part`` a piece of it: ``rows`` the list alone, ``more`` the rows after a place."""
    part = request.query_params.get("part", "")
    chosen, after, problem = LetterFilter.from_request(request)
    with context_of(request).database.reading() as session:
        listing = read_letters(session, user, chosen, after)
        mailboxes = mailboxes_of(session, user)
        context = {
            "listing": listing,
            "chosen": chosen,
            "counts": list_counts(session, user) if not part else {},
            "mailboxes": mailboxes,
            "views": views_of(session, user, "enquiries"),
            "first_page": after is None,
            "more_url": chosen.address(cursor=str(listing.next)) if listing.next else "",
            "export_url": chosen.address().replace("/enquiries", "/enquiries/export", 1),
            "category_label": category_label,
            "status_label": status_label,
            "problem": problem,
        }
    return render(request, _PARTS.get(part, "inbox/enquiries.html"), context, 400 if problem else 200)


@routes.page("/enquiries/export")
def export(request: Request, user: User) -> Response:
    """Everything that passes the filter as a CSV file, however much it is."""
    with answering(problem_at("/enquiries")):
        chosen = LetterFilter.from_query(request.query_params)
    head = [
        _("Received"), _("Sender"), _("Sender’s name"), _("Recipient"), _("Subject"), _("Mailbox"), _("Category"),
        _("Standing"), _("Attachments"), _("Address in Inkling"),
    ]  # fmt: skip
    # Words and zone are the reader's now; the rows are made later, when nobody is being spoken to any more.
    speech = Speech(
        {category: category_label(category) for category in CATEGORIES},
        {standing: _(words) for standing, words in STATUS_LABELS.items()},
        zone(),
    )
    return csv_response(_("enquiries") + ".csv", head, _export_rows(context_of(request), user, chosen, speech))


@routes.action("/letters/{id}/withdrawal")
def withdrawal(request: Request, user: User, form: FormData) -> Response:
    """Takes an enquiry out as spam; ``back`` is the page to return to. Can be undone."""
    back = local_path(str(form.get("back", "")), "/enquiries")
    with context_of(request).database.session_scope() as session:
        letter = find_letter(session, user, request.path_params["id"])
        mark_spam(session, letter)
    undo = f"/letters/{letter.public_id}/withdrawal-end?back={quote(back)}"
    return redirect(back, _("Withdrawn as spam. It counts no more."), action=undo, action_label=_("Undo"))


@routes.action("/letters/{id}/withdrawal-end")
def withdrawal_end(request: Request, user: User, form: FormData) -> Response:
    """Undoes a withdrawal. What counted meanwhile stays: then the letter becomes its repeat."""
    back = local_path(str(form.get("back", "")) or request.query_params.get("back"), "/enquiries")
    with context_of(request).database.session_scope() as session:
        letter = find_letter(session, user, request.path_params["id"])
        unmark_spam(session, letter)
    if letter.counted:
        return redirect(back, _("It counts as an enquiry again."))
    return redirect(
        back, _("No longer withdrawn. Another letter of this sender counts meanwhile, so it is its repeat.")
    )


@dataclass(frozen=True)
class Speech:
    """How the rows of an export speak."""

    categories: Mapping[str, str]
    standings: Mapping[str, str]
    zone: ZoneInfo


def _export_rows(context: AppContext, user: User, chosen: LetterFilter, speech: Speech) -> Iterator[list[str]]:
    """Page by page, each in a short transaction, so that a long download holds nothing up."""
    after: Cursor | None = None
    while True:
        with context.database.reading() as session:
            listing = read_letters(session, user, chosen, after, _EXPORT_PAGE)
        yield from (_export_row(context, row, speech) for row in listing.rows)
        after = listing.next
        if after is None:
            return


def _export_row(context: AppContext, row: LetterRow, speech: Speech) -> list[str]:
    letter = row.letter
    return [
        f"{letter.received_at.astimezone(speech.zone):%Y-%m-%d %H:%M:%S}",
        letter.sender_address or letter.sender,
        letter.sender_name,
        letter.recipient,
        letter.subject,
        row.mailbox,
        speech.categories.get(letter.category, letter.category),
        speech.standings[status_of(letter)],
        "x" if letter.has_attachments else "",
        f"{context.settings.base_url}/letters/{letter.public_id}",
    ]
