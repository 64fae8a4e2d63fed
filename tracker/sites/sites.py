"""Sites, blocks and sources: made, changed, removed. What is changed is published when the transaction commits."""

import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from sqlmodel import Session, col, func, select

from pixel.source_conditions import read_conditions
from tracker.models import Site, SiteBlock, SiteRule, SiteSource, User
from tracker.models.ownership import find_owned, owned_rows
from tracker.models.rows import PublicRow
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.conditions import checked_conditions
from tracker.sites.hosts import normalise_host
from tracker.sites.inputs import BlockChange, SiteChange, SourceChange
from tracker.sites.publishing import publish_after_commit

MOST = 500
"""Sites, blocks, sources and rules of one person, of each."""
Stored = TypeVar("Stored", bound=PublicRow)
_KEY = string.ascii_lowercase + string.digits


def save_site(session: Session, context: AppContext, user: User, site: Site | None, change: SiteChange) -> Site:
    """A new site, or one changed as far as ``change`` says. Raises :class:`ActionError`."""
    values = {name: getattr(change, name) for name in change.model_fields_set}
    for name in ("hosts", "ignored_referrers"):
        if name in values:
            values[name] = _hosts(values[name], name)
    if site is None:
        check_room(session, Site, user)
        site = Site(user_id=user.id, key="".join(secrets.choice(_KEY) for _ in range(32)), name="")
    return store(session, context, site, {**values, "changed_at": now()})


def remove_site(session: Session, context: AppContext, site: Site) -> None:
    """Its pages keep their own addresses from now on; letters to the ones that were shown are still understood."""
    site.removed_at = now()
    session.add(site)
    for block in session.exec(owned_rows(SiteBlock, session.get_one(User, site.user_id))):
        if site.public_id in block.sites:
            block.sites = [id_ for id_ in block.sites if id_ != site.public_id]
    publish_after_commit(session, context)


def save_block(
    session: Session, context: AppContext, user: User, block: SiteBlock | None, change: BlockChange
) -> SiteBlock:
    """A new block, or one changed. Raises :class:`ActionError`."""
    values = {name: getattr(change, name) for name in change.model_fields_set}
    if "sites" in values:
        values["sites"] = _known(session, Site, user, values["sites"], "sites")
    if "selectors" in values:
        values["selectors"] = _selectors((selector.attribute, selector.value) for selector in change.selectors)
    if block is None:
        check_room(session, SiteBlock, user)
        block = SiteBlock(user_id=user.id, name="")
    if values.keys() & {"sites", "selectors"}:
        values |= {"seen_at": None, "views_since": 0, "is_error": False}
    return store(session, context, block, values)


def remove_block(session: Session, context: AppContext, user: User, block: SiteBlock) -> None:
    """Raises :class:`ActionError` ``conflict`` while a rule swaps in it."""
    _refuse_in_use(session, user, block.public_id, lambda rule: blocks_of(rule))
    store(session, context, block, {"removed_at": now()})


def save_source(
    session: Session, context: AppContext, user: User, source: SiteSource | None, change: SourceChange
) -> SiteSource:
    """A new source, after all others, or one changed. Raises :class:`ActionError`."""
    values = {name: getattr(change, name) for name in change.model_fields_set}
    if "conditions" in values:
        values["conditions"] = checked_conditions(values["conditions"])
    if "group" in values:
        values["group"] = values["group"] or ""
    if source is None:
        check_room(session, SiteSource, user)
        source = SiteSource(user_id=user.id, position=last_position(session, SiteSource, user) + 1, name="", channel="")
    read_conditions(values.get("conditions", source.conditions), lambda _: lambda _: False)
    return store(session, context, source, values)


def remove_source(session: Session, context: AppContext, user: User, source: SiteSource) -> None:
    """Raises :class:`ActionError` ``conflict`` while a rule names it."""
    _refuse_in_use(session, user, source.public_id, lambda rule: sources_of(rule))
    store(session, context, source, {"removed_at": now()})


def store(session: Session, context: AppContext, row: Stored, values: Mapping[str, Any]) -> Stored:
    """The row with these values, published when the transaction commits."""
    for name, value in values.items():
        setattr(row, name, value)
    session.add(row)
    session.flush()
    publish_after_commit(session, context)
    return row


def blocks_of(rule: SiteRule) -> set[str]:
    """The blocks that a rule swaps in."""
    return {block for line in (*rule.static_settings, *rule.dynamic_settings) for block in line["blocks"]}


def sources_of(rule: SiteRule) -> set[str]:
    """Every source that a rule names."""
    lines = (*rule.static_settings, *rule.external_settings)
    return {*rule.sources, *(line[name] for line in lines for name in ("source", "default_source") if line.get(name))}


def move(session: Session, context: AppContext, user: User, row: SiteRule | SiteSource, where: str) -> None:
    """Moves it up, down, to the top or to the bottom of its list."""
    model: Any = type(row)
    rows = list(session.exec(owned_rows(model, user).order_by(col(model.position), col(model.id))))
    place = next(number for number, item in enumerate(rows) if item.id == row.id)
    target = {"up": place - 1, "down": place + 1, "top": 0, "bottom": len(rows)}[where]
    moved = rows.pop(place)
    rows.insert(max(0, target), moved)
    for number, item in enumerate(rows, 1):
        if item.position != number:
            item.position = number
    publish_after_commit(session, context)


def last_position(session: Session, model: type[SiteRule] | type[SiteSource], user: User) -> int:
    return session.exec(select(func.max(model.position)).where(model.user_id == user.id)).one() or 0


def check_room(
    session: Session, model: type[Site] | type[SiteBlock] | type[SiteSource] | type[SiteRule], user: User
) -> None:
    """Raises :class:`ActionError` when there are as many as one person may have."""
    query = select(func.count()).select_from(model).where(model.user_id == user.id, col(model.removed_at).is_(None))
    if session.exec(query).one() >= MOST:
        raise ActionError("conflict", LocalizedText("There are %(most)s already. Remove what is not used.", most=MOST))


def _hosts(texts: Iterable[str], field: str) -> list[str]:
    try:
        return list(dict.fromkeys(normalise_host(text) for text in texts))
    except ActionError as error:
        raise ActionError("invalid", error.sentence, field) from None


def _known(session: Session, model: type[Site], user: User, ids: Iterable[str], field: str) -> list[str]:
    known = list(dict.fromkeys(ids))
    if any(find_owned(session, model, user, id_) is None for id_ in known):
        raise ActionError("invalid", LocalizedText("There is no such site. Choose one of yours."), field)
    return known


def _selectors(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    made: dict[tuple[str, str], dict[str, str]] = {}
    for attribute, value in pairs:
        text = value.lower() if attribute == "email" else value
        if (attribute, text) in made:
            sentence = LocalizedText("“%(value)s” stands here twice. Name each place once.", value=text[:80])
            raise ActionError("invalid", sentence, "selectors")
        if attribute == "email" and text.count("@") != 1:
            sentence = LocalizedText(
                "“%(value)s” is not an e-mail address. Write it like info@example.com.", value=text[:80]
            )
            raise ActionError("invalid", sentence, "selectors")
        made[(attribute, text)] = {"attribute": attribute, "value": text}
    return list(made.values())


def _refuse_in_use(session: Session, user: User, public_id: str, names: Callable[[SiteRule], set[str]]) -> None:
    for rule in session.exec(owned_rows(SiteRule, user)):
        if public_id in names(rule):
            sentence = LocalizedText("The rule “%(rule)s” uses it. Take it out of the rule first.", rule=rule.name)
            raise ActionError("conflict", sentence)
