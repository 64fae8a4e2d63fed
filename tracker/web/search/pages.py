"""One search over everything: people, customers, orders, mail sent and received, the newest of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.customers import addresses_of
from tracker.locale import _
from tracker.models import Customer, Letter, Message, MessageState, Order, Recipient, SearchKind, User
from tracker.models.rows import PublicRow, rows_by_id
from tracker.models.search_query import newest
from tracker.runtime.word_search import other_layout
from tracker.web.http.list_filter import MAX_WORDS
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render

routes = Routes()
EACH = 6
_MODELS: Mapping[SearchKind, type[PublicRow]] = {
    SearchKind.RECIPIENT: Recipient,
    SearchKind.CUSTOMER: Customer,
    SearchKind.ORDER: Order,
    SearchKind.MESSAGE: Message,
    SearchKind.LETTER: Letter,
}
"""What is looked for, in the order of the page."""


@dataclass(frozen=True)
class SearchResult:
    """One line: ``who`` and ``what`` it is about, where it leads, and the row itself for what stands beside."""

    href: str
    who: str
    what: str
    detail: str
    row: PublicRow


@dataclass(frozen=True)
class Group:
    kind: str
    title: str
    more: str
    """The list with everything of this kind that fits; empty when this is all."""
    lines: Sequence[SearchResult]


@routes.page("/search")
def search(request: Request, user: User) -> Response:
    """``q`` are the words, on the other keyboard where nothing holds them; with ``part=lines`` the first lines alone."""
    words = " ".join(request.query_params.get("q", "").split())[:MAX_WORDS]
    with context_of(request).database.reading() as session:
        groups, meant = find_everywhere(session, user, words), ""
        if not groups and (other := other_layout(words)):
            groups = find_everywhere(session, user, other)
            meant = other if groups else ""
    template = "search/_lines.html" if request.query_params.get("part") == "lines" else "search/search.html"
    return render(request, template, {"q": words, "groups": groups, "meant": meant})


def find_everywhere(session: Session, user: User, words: str) -> list[Group]:
    """The newest of each kind that the user may see."""
    owned = (SearchKind.MESSAGE, SearchKind.LETTER)
    kinds = {kind: user.id if kind in owned else None for kind in _MODELS}
    numbers = newest(session, kinds, words, EACH + 1)
    groups = []
    for kind, model in _MODELS.items():
        ids = numbers.get(kind, [])
        rows = rows_by_id(session, model, ids[:EACH])
        lines = _lines(session, [rows[id_] for id_ in ids[:EACH] if id_ in rows])
        if lines:
            groups.append(_group(kind, lines, words if len(ids) > EACH else ""))
    return groups


def _lines(session: Session, rows: Sequence[PublicRow]) -> list[SearchResult]:
    customers = [row.id for row in rows if isinstance(row, Customer)]
    addresses = addresses_of(session, customers) if customers else {}
    return [_line(row, [address.address for address in addresses.get(row.id, ())]) for row in rows]


def _line(row: PublicRow, addresses: Sequence[str]) -> SearchResult:
    match row:
        case Message():
            draft = row.state == MessageState.DRAFT
            href = f"{'/compose' if draft else '/mail'}/{row.public_id}"
            return SearchResult(
                href, row.names or _("(nobody yet)"), row.subject or _("(no subject)"), row.snippet, row
            )
        case Letter():
            who = row.sender_name or row.sender_address or _("(no sender)")
            return SearchResult(f"/letters/{row.public_id}", who, row.subject or _("(no subject)"), row.snippet, row)
        case Recipient():
            return SearchResult(f"/recipients/{row.public_id}", row.name or row.address, row.address, row.company, row)
        case Customer():
            name = row.name or (addresses[0] if addresses else _("(no name)"))
            return SearchResult(f"/customers/{row.public_id}", name, ", ".join(addresses[:3]), "", row)
    assert isinstance(row, Order)
    return SearchResult(f"/orders/{row.public_id}", _("Order %(number)s", number=row.number), row.status, "", row)


def _group(kind: SearchKind, lines: Sequence[SearchResult], more: str) -> Group:
    titles = {
        SearchKind.RECIPIENT: (_("Recipients"), "/recipients", {}),
        SearchKind.CUSTOMER: (_("Customers"), "/customers", {}),
        SearchKind.ORDER: (_("Orders"), "", {}),
        SearchKind.MESSAGE: (_("Mail"), "/mail", {}),
        SearchKind.LETTER: (_("Letters"), "/enquiries", {"show": "letters"}),
    }
    title, path, query = titles[kind]
    return Group(kind.name.lower(), title, f"{path}?{urlencode({**query, 'q': more})}" if more and path else "", lines)
