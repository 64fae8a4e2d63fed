"""``/sites``, ``/blocks``, ``/sources`` and ``/rules``: what is set up so that a letter tells where it comes from."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col
from starlette.responses import Response

from tracker.inbound.probe import send_probe
from tracker.models import Site, SiteBlock, SiteRule, SiteSource
from tracker.models.ownership import owned_rows
from tracker.runtime.paging import Cursor
from tracker.sites.block_search import search_block
from tracker.sites.coverage import MOST_SHORT_CODES, MOST_VISITS, pool_size
from tracker.sites.inputs import (
    BlockChange,
    BlockSearch,
    NewBlock,
    NewRule,
    NewSite,
    NewSource,
    PreviewVisit,
    PriorityMove,
    RuleChange,
    SiteChange,
    SourceChange,
)
from tracker.sites.preview import preview
from tracker.sites.publishing import MANUAL_LEASE
from tracker.sites.rules import remove_rule, save_rule
from tracker.sites.sites import move, remove_block, remove_site, remove_source, save_block, save_site, save_source
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import cached_response, idempotent
from tracker.web.api.paging import Listing, Paged, PageQuery
from tracker.web.api.resource import Resource
from tracker.web.http.throttle import test_mails
from tracker.web.sites.responses import (
    BlockResponse,
    PlacesResponse,
    PoolSizeResponse,
    PreviewResponse,
    RuleResponse,
    SiteResponse,
    SourceResponse,
)

sites = router("Websites")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SITES = Resource(
    plural="sites",
    singular="site",
    model=Site,
    new=NewSite,
    change=SiteChange,
    response=SiteResponse,
    show=lambda session, call, rows: [SiteResponse.of(call.context, row) for row in rows],
    save=lambda session, call, row, change: save_site(session, call.context, call.user, row, change),
    remove=lambda session, call, row: remove_site(session, call.context, row),
    texts=(
        "My sites, the oldest first.",
        "One site.",
        "A new site. Put its ``snippet`` into its pages, before ``</head>``.",
        "Changes what is given; in force at the edge beside us before this answers.",
        "Its pages keep their own addresses from now on.",
    ),
)
BLOCKS = Resource(
    plural="blocks",
    singular="block",
    model=SiteBlock,
    new=NewBlock,
    change=BlockChange,
    response=BlockResponse,
    show=lambda session, call, rows: [BlockResponse.of_row(row) for row in rows],
    save=lambda session, call, row, change: save_block(session, call.context, call.user, row, change),
    remove=lambda session, call, row: remove_block(session, call.context, call.user, row),
    texts=(
        "My blocks, the oldest first.",
        "One block.",
        "A new block.",
        "Changes what is given.",
        "Removes a block that no rule uses; 409 else.",
    ),
)
SOURCES = Resource(
    plural="sources",
    singular="source",
    model=SiteSource,
    new=NewSource,
    change=SourceChange,
    response=SourceResponse,
    show=lambda session, call, rows: [SourceResponse.of(row) for row in rows],
    save=lambda session, call, row, change: save_source(session, call.context, call.user, row, change),
    remove=lambda session, call, row: remove_source(session, call.context, call.user, row),
    texts=(
        "",
        "One source.",
        "A new source, after all others.",
        "Changes what is given.",
        "Removes a source that no rule names; 409 else.",
    ),
)
RULES = Resource(
    plural="rules",
    singular="rule",
    model=SiteRule,
    new=NewRule,
    change=RuleChange,
    response=RuleResponse,
    show=lambda session, call, rows: [RuleResponse.of(session, call.user, row) for row in rows],
    save=lambda session, call, row, change: save_rule(session, call.context, call.user, row, change),
    remove=lambda session, call, row: remove_rule(session, call.context, row),
    texts=(
        "",
        "One rule.",
        "A new rule, after all others. ``active`` without a passed probe is refused, unless an administrator vouches.",
        "Changes what is given.",
        "Swaps nothing any more; letters to the addresses it showed are still understood.",
    ),
)
SITES.add_to(sites)


@sites.post("/blocks/search", response_model=PlacesResponse)
def post_block_search(call: Caller, search: BlockSearch) -> Response:
    """Where an address stands on a page: in the HTML given, else on the pages that the snippet has seen."""
    return idempotent(call, lambda session: search_block(session, call.user, search, PlacesResponse))


BLOCKS.add_to(sites)


@sites.get("/sources", response_model=Listing[SourceResponse])
def list_sources(call: Caller, paged: PageQuery) -> Any:
    """My sources in their order: the first that fits a visit wins."""
    with call.reading() as session:
        return SOURCES.listed(session, call, *_by_priority(session, call, SiteSource, paged))


@sites.post("/sources/{id}/priority", response_model=SourceResponse)
def post_source_priority(call: Caller, id: str, where: PriorityMove) -> Response:
    """Moves a source up, down, to the top or to the bottom."""
    return SOURCES.act(call, id, lambda session, row: move(session, call.context, call.user, row, where.move))


SOURCES.add_to(sites, with_list=False)


class RuleQuery(Paged):
    """Which rules."""

    state: Annotated[str, Field(pattern="^(active|draft)?$")] = ""
    rule_type: Annotated[str, Field(pattern="^(site_emails|external_area)?$")] = ""
    tracking_type: Annotated[str, Field(pattern="^(static|dynamic)?$")] = ""
    q: Annotated[str, Field(max_length=200, description="Words of name and description.")] = ""


@sites.get("/rules", response_model=Listing[RuleResponse])
def list_rules(call: Caller, query: Annotated[RuleQuery, Query()]) -> Any:
    """My rules in their order: the first active one that is for a visit fires, alone."""
    chosen = [
        getattr(SiteRule, name) == value
        for name in ("state", "rule_type", "tracking_type")
        if (value := getattr(query, name))
    ]
    with call.reading() as session:
        rows, after = _by_priority(session, call, SiteRule, query, *chosen)
        words = query.q.lower().split()
        rows = [row for row in rows if all(word in f"{row.name} {row.description}".lower() for word in words)]
        return RULES.listed(session, call, rows, after)


@sites.post("/rules/preview", response_model=PreviewResponse)
def post_rule_preview(call: Caller, visit: PreviewVisit) -> Response:
    """What a visit would get, and why."""
    return idempotent(call, lambda session: PreviewResponse.of(preview(session, call.user, visit)))


class PoolSizeQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    visits_per_day: Annotated[int, Field(ge=1, le=MOST_VISITS)]
    lease_minutes: Annotated[int, Field(ge=5, le=10_080)] = MANUAL_LEASE


@sites.get("/rules/pool-size", response_model=PoolSizeResponse)
def get_pool_size(call: Caller, query: Annotated[PoolSizeQuery, Query()]) -> PoolSizeResponse:
    """How many addresses a pool should have for so many visits a day."""
    visits, minutes = query.visits_per_day, query.lease_minutes
    return PoolSizeResponse(
        visits_per_day=visits,
        lease_minutes=minutes,
        addresses=pool_size(visits, minutes),
        short_codes=pool_size(visits, minutes, most=MOST_SHORT_CODES),
    )


RULES.add_to(sites, with_list=False)


@sites.post("/rules/{id}/priority", response_model=RuleResponse)
def post_rule_priority(call: Caller, id: str, where: PriorityMove) -> Response:
    """Moves a rule up, down, to the top or to the bottom."""
    return RULES.act(call, id, lambda session, row: move(session, call.context, call.user, row, where.move))


@sites.post("/rules/{id}/probe", response_model=RuleResponse, status_code=202)
def post_rule_probe(call: Caller, id: str) -> Response:
    """Sends a test letter to an address such as the rule shows. ``probe`` becomes ``passed`` once it lies in a folder that is read,
    else ``failed``; ``probe_detail`` says where it landed."""
    if (first := cached_response(call)) is not None:
        return first
    test_mails.take(call.user)
    send_probe(call.context, call.user, id)
    return RULES.act(call, id, lambda session, row: None, status=202)


def _by_priority(
    session: Session, call: RequestContext, model: Any, paged: Paged, *conditions: Any
) -> tuple[Sequence[Any], str | None]:
    """One page in the order of priority, and the next cursor."""
    query = owned_rows(model, call.user).where(*conditions).order_by(col(model.position), col(model.id))
    after = paged.after
    place = ((after.at - _EPOCH) // timedelta(microseconds=1), after.id) if after else (0, 0)
    rows = [row for row in session.exec(query) if (row.position, row.id) > place]
    shown = rows[: paged.limit]
    last = Cursor(_EPOCH + timedelta(microseconds=shown[-1].position), shown[-1].id) if len(rows) > len(shown) else None
    return shown, str(last) if last else None
