"""``/visits``: who came to the sites, from where, what they were shown, and what they wrote."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, col, select

from tracker.mail.fields import ResponseModel
from tracker.models import Letter, LetterSource, PageView, Site, SiteLease, SiteRule, Visit
from tracker.models.ownership import find_owned, owned, owned_rows
from tracker.models.rows import public_ids
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.paging import Listing, Paged, page
from tracker.web.reports.tables import period_of

visits = router("Websites")


class VisitLine(ResponseModel):
    """One session of one visitor. ``source`` is where it came from, ``attributed`` what letters are attributed to."""

    id: str
    site: str
    visitor: str
    session: str
    number: int
    began_at: datetime
    seen_at: datetime
    source: dict[str, str]
    attributed: dict[str, str]
    marks: dict[str, str]
    referrer: str
    phrase: str
    entrance_page: str
    page: str
    pages_seen: int
    device: str
    client: str
    language: str
    screen: str
    timezone: str
    rule: str | None
    approved: bool
    robot: bool


class PageResponse(ResponseModel):
    at: datetime
    page: str


class LeaseResponse(ResponseModel):
    """An address that was shown: whose it was from when until when; ``intent_at`` when it was clicked or copied."""

    address: str
    code: str | None
    rule: str | None
    shown_at: datetime
    until: datetime
    intent_at: datetime | None


class VisitResponse(VisitLine):
    """A visit with the visitor’s other sessions, its pages, the addresses shown, and the letters that came of it."""

    sessions: list[str]
    pages: list[PageResponse]
    codes: list[LeaseResponse]
    letters: list[str]


class VisitQuery(Paged):
    """Which visits; those of programs are left out unless asked for."""

    site: str = ""
    visitor: Annotated[str, Field(max_length=64)] = ""
    robots: bool = False
    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""


@visits.get("/visits", response_model=Listing[VisitLine])
def list_visits(call: Caller, query: Annotated[VisitQuery, Query()]) -> Listing[VisitLine]:
    """Visits of my sites, newest first."""
    with call.reading() as session:
        rows, after = page(
            session, owned_rows(Visit, call.user).where(*_conditions(session, call, query)), Visit, query, at="began_at"
        )
        items = [VisitLine.of_row(row, **facts) for row, facts in zip(rows, _facts(session, rows), strict=True)]
        return Listing(items=items, next=after)


@visits.get("/visits/{id}", response_model=VisitResponse)
def get_visit(call: Caller, id: str) -> VisitResponse:
    """One visit."""
    with call.reading() as session:
        visit = owned(session, Visit, call.user, id)
        (facts,) = _facts(session, [visit])
        return VisitResponse.of_row(
            visit,
            **facts,
            sessions=_sessions(session, visit),
            pages=[
                PageResponse.of_row(row)
                for row in session.exec(
                    select(PageView).where(PageView.visit_id == visit.id).order_by(col(PageView.at))
                )
            ],
            codes=_codes(session, visit),
            letters=list(
                session.exec(
                    select(Letter.public_id)
                    .join(LetterSource, col(LetterSource.letter_id) == col(Letter.id))
                    .where(LetterSource.visit_id == visit.id, col(Letter.deleted_at).is_(None))
                    .order_by(col(Letter.received_at))
                )
            ),
        )


def _conditions(session: Session, call: RequestContext, query: VisitQuery) -> list[Any]:
    made: list[Any] = period_of(call.user, query.since, query.until).conditions(Visit.began_at)
    if query.site:
        site = find_owned(session, Site, call.user, query.site)
        if site is None:
            raise ActionError("invalid", LocalizedText("There is no such site. Choose one of yours."), "site")
        made.append(Visit.site_id == site.id)
    if query.visitor:
        made.append(Visit.visitor == query.visitor)
    return made if query.robots else [*made, col(Visit.robot).is_(False)]


def _facts(session: Session, rows: Sequence[Visit]) -> list[dict[str, Any]]:
    sites = public_ids(session, Site, (row.site_id for row in rows))
    rules = public_ids(session, SiteRule, (row.rule_id for row in rows))
    return [
        {
            "site": sites.get(row.site_id, ""),
            "rule": rules.get(row.rule_id),
            "pages_seen": row.pages,
        }
        for row in rows
    ]


def _sessions(session: Session, visit: Visit) -> list[str]:
    query = select(Visit.public_id).where(Visit.site_id == visit.site_id, Visit.visitor == visit.visitor)
    return list(session.exec(query.order_by(col(Visit.began_at))))


def _codes(session: Session, visit: Visit) -> list[LeaseResponse]:
    leases = session.exec(
        select(SiteLease).where(SiteLease.visit_id == visit.id).order_by(col(SiteLease.shown_at))
    ).all()
    rules = public_ids(session, SiteRule, (lease.rule_id for lease in leases))
    return [LeaseResponse.of_row(lease, code=lease.code or None, rule=rules.get(lease.rule_id)) for lease in leases]
