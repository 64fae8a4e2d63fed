"""Where letters come from, as API and pages say it; and sources decided again: what would change is shown first, then it is
kept.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import gettext as _
from tracker.locale import localize
from tracker.mail.fields import RequestModel, ResponseModel, SingleLine
from tracker.models import LetterSource, SiteRule, User, Visit
from tracker.models.counting.tables import in_list
from tracker.runtime.localized_text import ActionError
from tracker.sites.attribution_text import FLAG_LABELS, METHOD_LABELS, sentence_of
from tracker.sites.reattribution import ReattributedLetter, attribute_anew, source_changes
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.idempotency import idempotent
from tracker.web.http.actions import changing, problem_at
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.reports.tables import period_of


class LetterSourceResponse(ResponseModel):
    """``id`` is that of a source of one's own, or of a standard one."""

    id: str
    name: str
    channel: str
    group: str


class AttributionResponse(ResponseModel):
    """By what the source was found, how sure that is (``flags``: late, disputed, leaked, robot), and the same in a ``sentence``."""

    method: str
    source: LetterSourceResponse | None
    visit: str | None
    code: str | None
    address: str | None
    rule: str | None
    flags: list[str]
    sentence: str


def attributions(session: Session, letters: Iterable[int]) -> Mapping[int, AttributionResponse]:
    """By letter; those that were never decided about are missing."""
    query = (
        select(LetterSource, Visit.public_id, SiteRule.public_id)
        .join(Visit, col(Visit.id) == col(LetterSource.visit_id), isouter=True)
        .join(SiteRule, col(SiteRule.id) == col(LetterSource.rule_id), isouter=True)
        .where(in_list(session, col(LetterSource.letter_id), letters))
    )
    return {row.letter_id: _shape(session, row, visit, rule) for row, visit, rule in session.exec(query)}


def _shape(session: Session, row: LetterSource, visit: str | None, rule: str | None) -> AttributionResponse:
    return AttributionResponse(
        method=row.method,
        source=LetterSourceResponse(**row.source) if row.source else None,
        visit=visit,
        code=row.code or None,
        address=row.address or None,
        rule=rule,
        flags=row.flags,
        sentence=str(sentence_of(session, row, lambda at: at.date().isoformat())),
    )


reattribution = router("Websites")
routes = Routes()
PAGE = "/sites/attribution"


class Reattribution(RequestModel):
    """Which letters: of a period, or by their ids. With ``preview`` nothing is changed."""

    preview: bool = True
    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""
    letters: Annotated[list[Annotated[SingleLine, Field(max_length=64)]], Field(max_length=500)] = []


class DecidedResponse(ResponseModel):
    method: str
    source: str | None
    flags: list[str]


class SourceChangeResponse(ResponseModel):
    letter: str
    before: DecidedResponse | None
    after: DecidedResponse


class ReattributionResponse(ResponseModel):
    """What changes, or has changed."""

    preview: bool
    changes: list[SourceChangeResponse]


@reattribution.post("/letters/attribution", response_model=ReattributionResponse)
def post_reattribution(call: Caller, asked: Reattribution) -> Response:
    """Decides again where letters come from, on what is known now: rules, visits and leases. At most 2,000 letters at once."""

    def work(session: Session) -> ReattributionResponse:
        changes = _changes(session, call.user, asked.since, asked.until, asked.letters)
        shown = [_response(change) for change in changes]
        if not asked.preview:
            attribute_anew(session, changes)
        return ReattributionResponse(preview=asked.preview, changes=shown)

    return idempotent(call, work)


def _changes(session: Session, user: User, since: str, until: str, letters: list[str]) -> list[ReattributedLetter]:
    period = period_of(user, since, until)
    return source_changes(session, user, since=period.since, until=period.until, letters=letters)


def _response(change: ReattributedLetter) -> SourceChangeResponse:
    def decided(row: Any) -> DecidedResponse:
        return DecidedResponse(method=row.method, source=(row.source or {}).get("name"), flags=list(row.flags))

    before = decided(change.before) if change.before is not None else None
    return SourceChangeResponse(letter=change.letter.public_id, before=before, after=decided(change.after))


@routes.page(PAGE)
def preview_page(request: Request, user: User) -> Response:
    """What would change, before it does."""
    query, changes, wrong = request.query_params, [], ""
    with context_of(request).database.reading() as session:
        try:
            changes = _changes(session, user, *_chosen(query))
        except ActionError as error:
            wrong = localize(error.sentence)
    context = {"changes": changes, "query": query, "wrong": wrong, "methods": METHOD_LABELS, "flags": FLAG_LABELS}
    return render(request, "sites/attribution.html", context)


@routes.action(PAGE)
def decide_again(request: Request, user: User, form: FormData) -> Response:
    chosen = {name: text(form, name) for name in ("since", "until", "letter")}
    with changing(request, problem_at(PAGE)) as session:
        changes = _changes(session, user, *_chosen(chosen))
        attribute_anew(session, changes)
        count = len(changes)
    back = f"/letters/{chosen['letter']}" if chosen["letter"] else "/reports/letters"
    return redirect(back, _("Sources changed: %(count)s.", count=count))


def _chosen(query: Mapping[str, str]) -> tuple[str, str, list[str]]:
    letter = query.get("letter", "")[:64]
    return query.get("since", ""), query.get("until", ""), [letter] if letter else []
