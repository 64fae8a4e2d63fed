"""What a visit would get, and why: the edge's own choice, made here on what is set up now."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from pixel.site_rules import Rule, choices, read_snapshot, rule_of
from pixel.source_conditions import Pattern, source_of
from pixel.visit_sources import DIRECT, Arrival, Source, host_of, is_within, marks_of
from tracker.models import Site, SiteBlock, SiteRule, User
from tracker.models.ownership import find_owned
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.inputs import PreviewVisit
from tracker.sites.publishing import site_facts


@dataclass(frozen=True)
class Preview:
    """What a visit would get. ``shown`` are blocks with their address, or the form of one that would be made."""

    source: Source
    rule: SiteRule | None
    shown: tuple[tuple[SiteBlock, str], ...]
    reasons: tuple[LocalizedText, ...]


def preview(session: Session, user: User, visit: PreviewVisit) -> Preview:
    """Raises :class:`ActionError`."""
    site = find_owned(session, Site, user, visit.site)
    if site is None:
        raise ActionError("invalid", LocalizedText("There is no such site. Choose one of yours."), "site")
    facts = site_facts(session, site, visit.rule or "")
    made = read_snapshot({"format": 1, "version": 0, "edge": "a", "share": [0, 1], "sites": [facts]}, compile_pattern)
    (read,) = made.sites.values()
    arrival = Arrival(
        page=visit.page,
        referrer=visit.referrer,
        hosts=read.hosts,
        ignored=read.ignored_referrers,
        **visit.model_dump(include={"device", "language", "country", "region", "city"}),
    )
    marks = marks_of(visit.page)
    source = source_of(arrival, marks, read.sources) or DIRECT
    rule = rule_of(read, source)
    reasons = [*_on_site(visit.page, read.hosts), _of_source(source, marks, arrival)]
    if rule is None:
        reasons.append(LocalizedText("No active rule is for this source, so the page keeps its own addresses."))
        return Preview(source, None, (), tuple(reasons))
    row = find_owned(session, SiteRule, user, rule.id)
    assert row is not None
    reasons.append(_of_rule(row, rule))
    shown = [
        (block, choice.address or (choice.pool and form_of(rule, choice.pool.base, choice.pool.addresses)) or "")
        for choice in choices(read, rule, source)
        if (block := find_owned(session, SiteBlock, user, choice.block.id)) is not None
    ]
    if not shown:
        reasons.append(LocalizedText("The rule has no line for this source, so the page keeps its own addresses."))
    return Preview(source, row, tuple(shown), tuple(reasons))


def form_of(rule: Rule, base: str, addresses: Any) -> str:
    """What an address of the pool looks like."""
    local, _, domain = base.rpartition("@")
    if rule.substitution == "auto_generation":
        return f"{local}+ax7k3qd2m@{domain}"
    return f"{local}+0011@{domain}" if rule.substitution == "auto_short" else next(iter(addresses), base)


def _on_site(page: str, hosts: frozenset[str]) -> list[LocalizedText]:
    host = host_of(page)
    if page and not is_within(host, hosts):
        return [
            LocalizedText(
                "The page %(host)s is not one of the site’s, so its snippet would get no answer there.",
                host=host or page[:80],
            )
        ]
    return []


def _of_source(source: Source, marks: Any, arrival: Arrival) -> LocalizedText:
    name = source.name
    if not source.id.startswith("std:"):
        return LocalizedText("The visit fits the conditions of your source “%(name)s”.", name=name)
    if source.id == "std:direct":
        return LocalizedText("The visit has no marks and comes from no other site: it is direct.")
    if marks and source.channel in ("ads", "email", "social", "messenger"):
        return LocalizedText("The address of the page carries marks of %(name)s.", name=name)
    return LocalizedText(
        "The visitor comes from %(host)s: %(name)s.", host=host_of(arrival.referrer) or name, name=name
    )


def _of_rule(row: SiteRule, rule: Rule) -> LocalizedText:
    if rule.sources is None:
        return LocalizedText("The rule “%(name)s” is the first one that is for this visit.", name=row.name)
    return LocalizedText("The rule “%(name)s” is the first one that is for this source.", name=row.name)


def compile_pattern(text: str) -> Pattern:
    """As the edge does it."""
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        pattern = re2.compile(text, options)
    except re2.error:
        return lambda _subject: False
    return lambda subject: pattern.search(subject) is not None
