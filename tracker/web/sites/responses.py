"""What is answered about sites, blocks, sources and rules."""

from datetime import datetime
from html import escape
from typing import Any

from sqlmodel import Session

from tracker.mail.fields import ResponseModel
from tracker.models import Site, SiteRule, SiteSource, User
from tracker.runtime.context import AppContext
from tracker.sites.conditions import slow_patterns
from tracker.sites.coverage import coverage_of
from tracker.sites.preview import Preview
from tracker.sites.publishing import lease_minutes
from tracker.sites.rules import warnings_of


class SiteResponse(ResponseModel):
    """A site. ``snippet`` is the whole script tag for its pages, to stand before ``</head>``."""

    id: str
    key: str
    snippet: str
    name: str
    hosts: list[str]
    session_minutes: int
    cookie_days: int
    attribution: str
    consent_mode: bool
    ignore_robots: bool
    ignored_referrers: list[str]
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, context: AppContext, site: Site) -> "SiteResponse":
        return cls.of_row(site, snippet=script_tag(context, site))


def script_tag(context: AppContext, site: Site) -> str:
    return f'<script async src="{escape(context.settings.tracking_url)}/s/{site.key}.js"></script>'


class SelectorResponse(ResponseModel):
    attribute: str
    value: str


class BlockResponse(ResponseModel):
    """A block. ``is_error``: it has disappeared from the pages. ``seen_at`` is when the snippet found it last."""

    id: str
    name: str
    sites: list[str]
    selectors: list[SelectorResponse]
    is_error: bool
    seen_at: datetime | None
    created_at: datetime


class PlaceResponse(ResponseModel):
    """Where an address stands: in a text or an attribute of an element, and what would select that element."""

    where: str
    element: str
    text: str
    selector: SelectorResponse | None


class PlacesResponse(ResponseModel):
    """``checked`` says what was searched: “html”, or “pages” that the snippet has seen."""

    checked: str
    places: list[PlaceResponse]
    pages: list[str]


class SourceResponse(ResponseModel):
    """A source of one’s own; the first that fits wins. ``warnings`` are sentences about its conditions."""

    id: str
    name: str
    channel: str
    group: str
    conditions: dict[str, Any] | None
    priority: int
    warnings: list[str]
    created_at: datetime

    @classmethod
    def of(cls, source: SiteSource) -> "SourceResponse":
        slow = slow_patterns(source.conditions)
        warnings = [
            f"“{text}” takes long in many programs; here it is read by one that cannot be slow." for text in slow
        ]
        return cls.of_row(source, priority=source.position, warnings=warnings)


class RuleResponse(ResponseModel):
    """A rule. ``coverage`` is the share of its visits that had an address of their own (null: none yet, or a static rule);
    ``probe`` none, sent, passed, failed or skipped (*untested*), with a sentence in ``probe_detail``."""

    id: str
    name: str
    description: str
    rule_type: str
    tracking_type: str
    traffic_type: str
    substitution_type: str | None
    state: str
    priority: int
    sources: list[str]
    static_settings: list[dict[str, Any]]
    external_settings: list[dict[str, Any]]
    dynamic_settings: list[dict[str, Any]]
    lease_minutes: int | None
    rest_days: int
    probe: str
    probe_detail: str | None
    untested: bool
    coverage: float | None
    warnings: list[str]
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, session: Session, user: User, rule: SiteRule) -> "RuleResponse":
        dynamic = rule.tracking_type == "dynamic"
        coverage = coverage_of(session, rule) if dynamic else None
        return cls.of_row(
            rule,
            priority=rule.position,
            untested=dynamic and rule.probe not in ("passed",),
            coverage=coverage,
            warnings=[str(warning) for warning in warnings_of(session, user, rule)],
            dynamic_settings=[{**pool, "coverage": coverage} for pool in rule.dynamic_settings],
            lease_minutes=lease_minutes(rule) if dynamic else None,
        )


class ShownResponse(ResponseModel):
    block: str
    find: list[str]
    show: str


class PreviewResponse(ResponseModel):
    """What a visit would get. ``rule`` and ``address`` are null where the page keeps its own; ``reason`` says why, in a sentence or
    two."""

    source: dict[str, str]
    rule: str | None
    rule_name: str | None
    address: str | None
    shown: list[ShownResponse]
    reason: str
    reasons: list[str]

    @classmethod
    def of(cls, made: Preview) -> "PreviewResponse":
        shown = [
            ShownResponse(
                block=block.public_id,
                find=[s["value"] for s in block.selectors if s["attribute"] == "email"],
                show=address,
            )
            for block, address in made.shown
        ]
        return cls(
            source=made.source.as_dict(),
            rule=made.rule.public_id if made.rule else None,
            rule_name=made.rule.name if made.rule else None,
            address=shown[0].show if shown else None,
            shown=shown,
            reason=" ".join(map(str, made.reasons)),
            reasons=[str(reason) for reason in made.reasons],
        )


class PoolSizeResponse(ResponseModel):
    """The number of addresses a pool should have; ``short_codes`` the same for four digits, of which there are 10,000."""

    visits_per_day: int
    lease_minutes: int
    addresses: int
    short_codes: int
