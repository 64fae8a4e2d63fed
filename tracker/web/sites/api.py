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
from tracker.models.ownership import owned, owned_rows
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
from tracker.web.api.paging import Listing, Paged, PageQuery, page
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


@sites.get("/sites", response_model=Listing[SiteResponse])
def list_sites(call: Caller, paged: PageQuery) -> Listing[SiteResponse]:
    """My sites, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, owned_rows(Site, call.user), Site, paged, newest_first=False)
        return Listing(items=[SiteResponse.of(call.context, row) for row in rows], next=after)


@sites.post("/sites", response_model=SiteResponse, status_code=201)
def post_site(call: Caller, new: NewSite) -> Response:
    """A new site. Put its ``snippet`` into its pages, before ``</head>``."""
    return idempotent(call, lambda session: _site(session, call, None, new), status=201)


@sites.get("/sites/{id}", response_model=SiteResponse)
def get_site(call: Caller, id: str) -> SiteResponse:
    """One site."""
    with call.reading() as session:
        return SiteResponse.of(call.context, owned(session, Site, call.user, id))


@sites.patch("/sites/{id}", response_model=SiteResponse)
def patch_site(call: Caller, id: str, change: SiteChange) -> Response:
    """Changes what is given; in force at the edge beside us before this answers."""
    return idempotent(call, lambda session: _site(session, call, owned(session, Site, call.user, id), change))


@sites.delete("/sites/{id}", status_code=204, response_class=Response)
def delete_site(call: Caller, id: str) -> Response:
    """Its pages keep their own addresses from now on."""
    return idempotent(
        call, lambda session: remove_site(session, call.context, owned(session, Site, call.user, id)), status=204
    )


def _site(session: Session, call: RequestContext, site: Site | None, change: SiteChange) -> SiteResponse:
    return SiteResponse.of(call.context, save_site(session, call.context, call.user, site, change))


@sites.get("/blocks", response_model=Listing[BlockResponse])
def list_blocks(call: Caller, paged: PageQuery) -> Listing[BlockResponse]:
    """My blocks, the oldest first."""
    with call.reading() as session:
        rows, after = page(session, owned_rows(SiteBlock, call.user), SiteBlock, paged, newest_first=False)
        return Listing(items=[BlockResponse.of(row) for row in rows], next=after)


@sites.post("/blocks", response_model=BlockResponse, status_code=201)
def post_block(call: Caller, new: NewBlock) -> Response:
    """A new block."""
    return idempotent(call, lambda session: _block(session, call, None, new), status=201)


@sites.post("/blocks/search", response_model=PlacesResponse)
def post_block_search(call: Caller, search: BlockSearch) -> Response:
    """Where an address stands on a page: in the HTML given, else on the pages that the snippet has seen."""
    return idempotent(call, lambda session: search_block(session, call.user, search, PlacesResponse))


@sites.get("/blocks/{id}", response_model=BlockResponse)
def get_block(call: Caller, id: str) -> BlockResponse:
    """One block."""
    with call.reading() as session:
        return BlockResponse.of(owned(session, SiteBlock, call.user, id))


@sites.patch("/blocks/{id}", response_model=BlockResponse)
def patch_block(call: Caller, id: str, change: BlockChange) -> Response:
    """Changes what is given."""
    return idempotent(call, lambda session: _block(session, call, owned(session, SiteBlock, call.user, id), change))


@sites.delete("/blocks/{id}", status_code=204, response_class=Response)
def delete_block(call: Caller, id: str) -> Response:
    """Removes a block that no rule uses; 409 else."""

    def work(session: Session) -> None:
        remove_block(session, call.context, call.user, owned(session, SiteBlock, call.user, id))

    return idempotent(call, work, status=204)


def _block(session: Session, call: RequestContext, block: SiteBlock | None, change: BlockChange) -> BlockResponse:
    return BlockResponse.of(save_block(session, call.context, call.user, block, change))


@sites.get("/sources", response_model=Listing[SourceResponse])
def list_sources(call: Caller, paged: PageQuery) -> Listing[SourceResponse]:
    """My sources in their order: the first that fits a visit wins."""
    with call.reading() as session:
        rows, after = _by_priority(session, call, SiteSource, paged)
        return Listing(items=[SourceResponse.of(row) for row in rows], next=after)


@sites.post("/sources", response_model=SourceResponse, status_code=201)
def post_source(call: Caller, new: NewSource) -> Response:
    """A new source, after all others."""
    return idempotent(call, lambda session: _source(session, call, None, new), status=201)


@sites.get("/sources/{id}", response_model=SourceResponse)
def get_source(call: Caller, id: str) -> SourceResponse:
    """One source."""
    with call.reading() as session:
        return SourceResponse.of(owned(session, SiteSource, call.user, id))


@sites.patch("/sources/{id}", response_model=SourceResponse)
def patch_source(call: Caller, id: str, change: SourceChange) -> Response:
    """Changes what is given."""
    return idempotent(call, lambda session: _source(session, call, owned(session, SiteSource, call.user, id), change))


@sites.delete("/sources/{id}", status_code=204, response_class=Response)
def delete_source(call: Caller, id: str) -> Response:
    """Removes a source that no rule names; 409 else."""

    def work(session: Session) -> None:
        remove_source(session, call.context, call.user, owned(session, SiteSource, call.user, id))

    return idempotent(call, work, status=204)


@sites.post("/sources/{id}/priority", response_model=SourceResponse)
def post_source_priority(call: Caller, id: str, where: PriorityMove) -> Response:
    """Moves a source up, down, to the top or to the bottom."""

    def work(session: Session) -> SourceResponse:
        source = owned(session, SiteSource, call.user, id)
        move(session, call.context, call.user, source, where.move)
        return SourceResponse.of(source)

    return idempotent(call, work)


def _source(session: Session, call: RequestContext, source: SiteSource | None, change: SourceChange) -> SourceResponse:
    return SourceResponse.of(save_source(session, call.context, call.user, source, change))


class RuleQuery(Paged):
    """Which rules."""

    state: Annotated[str, Field(pattern="^(active|draft)?$")] = ""
    rule_type: Annotated[str, Field(pattern="^(site_emails|external_area)?$")] = ""
    tracking_type: Annotated[str, Field(pattern="^(static|dynamic)?$")] = ""
    q: Annotated[str, Field(max_length=200, description="Words of name and description.")] = ""


@sites.get("/rules", response_model=Listing[RuleResponse])
def list_rules(call: Caller, query: Annotated[RuleQuery, Query()]) -> Listing[RuleResponse]:
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
        return Listing(items=[RuleResponse.of(session, call.user, row) for row in rows], next=after)


@sites.post("/rules", response_model=RuleResponse, status_code=201)
def post_rule(call: Caller, new: NewRule) -> Response:
    """A new rule, after all others. ``active`` without a passed probe is refused, unless an administrator vouches."""
    return idempotent(call, lambda session: _rule(session, call, None, new), status=201)


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


@sites.get("/rules/{id}", response_model=RuleResponse)
def get_rule(call: Caller, id: str) -> RuleResponse:
    """One rule."""
    with call.reading() as session:
        return RuleResponse.of(session, call.user, owned(session, SiteRule, call.user, id))


@sites.patch("/rules/{id}", response_model=RuleResponse)
def patch_rule(call: Caller, id: str, change: RuleChange) -> Response:
    """Changes what is given."""
    return idempotent(call, lambda session: _rule(session, call, owned(session, SiteRule, call.user, id), change))


@sites.delete("/rules/{id}", status_code=204, response_class=Response)
def delete_rule(call: Caller, id: str) -> Response:
    """Swaps nothing any more; letters to the addresses it showed are still understood."""
    return idempotent(
        call, lambda session: remove_rule(session, call.context, owned(session, SiteRule, call.user, id)), status=204
    )


@sites.post("/rules/{id}/priority", response_model=RuleResponse)
def post_rule_priority(call: Caller, id: str, where: PriorityMove) -> Response:
    """Moves a rule up, down, to the top or to the bottom."""

    def work(session: Session) -> RuleResponse:
        rule = owned(session, SiteRule, call.user, id)
        move(session, call.context, call.user, rule, where.move)
        return RuleResponse.of(session, call.user, rule)

    return idempotent(call, work)


@sites.post("/rules/{id}/probe", response_model=RuleResponse, status_code=202)
def post_rule_probe(call: Caller, id: str) -> Response:
    """Sends a test letter to an address such as the rule shows. ``probe`` becomes ``passed`` once it lies in a folder that is read,
    else ``failed``; ``probe_detail`` says where it landed."""
    if (first := cached_response(call)) is not None:
        return first
    test_mails.take(call.user)
    send_probe(call.context, call.user, id)
    return idempotent(
        call,
        lambda session: RuleResponse.of(session, call.user, owned(session, SiteRule, call.user, id)),
        status=202,
    )


def _rule(session: Session, call: RequestContext, rule: SiteRule | None, change: RuleChange) -> RuleResponse:
    return RuleResponse.of(session, call.user, save_rule(session, call.context, call.user, rule, change))


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
