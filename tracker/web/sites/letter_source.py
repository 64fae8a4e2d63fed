"""Where letters come from, as the API says it, and as their pages do."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlmodel import Session, col, select

from tracker.mail.fields import ResponseModel
from tracker.models import LetterSource, SiteRule, Visit
from tracker.models.counting.tables import in_list
from tracker.sites.attribution_text import sentence_of


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
        sentence=str(sentence_of(session, row, _day)),
    )


def _day(at: datetime) -> str:
    return at.date().isoformat()
