"""Rules: made, changed, removed, and every reason why one cannot be. What is changed is published when the transaction commits."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from sqlmodel import Session, col, select

from tracker.mail.addresses import lookup_or_none
from tracker.models import Mailbox, MailboxState, Role, SiteBlock, SiteRule, SiteSource, User
from tracker.models.ownership import find_owned, owned_rows
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import N_, ActionError, LocalizedText
from tracker.sites.inputs import RuleChange
from tracker.sites.sites import check_room, last_position, store
from tracker.sites.source_names import is_level

_UNUSABLE = frozenset(
    {
        *(MailboxState.NO_CREDENTIALS, MailboxState.DUPLICATE, MailboxState.AUTH_ERROR, MailboxState.NEEDS_OAUTH),
        *(MailboxState.PAUSED, MailboxState.FOLDER_MISSING),
    }
)
NEEDS_PROBE = "needs_probe"
"""The code of the refusal of a rule that could be active but for its test letter."""
_SETTINGS = ("static_settings", "external_settings", "dynamic_settings")


def save_rule(session: Session, context: AppContext, user: User, rule: SiteRule | None, change: RuleChange) -> SiteRule:
    """A new rule, after all others, or one changed as far as ``change`` says. Raises :class:`ActionError`."""
    values = {name: getattr(change, name) for name in change.model_fields_set}
    vouched = values.pop("probe", None) == "skip"
    for name in _SETTINGS:
        if name in values:
            values[name] = [line.model_dump() for line in values[name]]
    if rule is None:
        check_room(session, SiteRule, user)
        defaults = RuleChange().model_dump(exclude={"probe"})
        position = last_position(session, SiteRule, user) + 1
        rule = SiteRule(user_id=user.id, position=position, **defaults)
    before = _tested(rule)
    with session.no_autoflush:
        for name, value in values.items():
            setattr(rule, name, value)
        if _tested(rule) != before:
            rule.probe, rule.probe_code, rule.probe_detail, rule.probe_due_at = "none", "", None, None
        if vouched and user.role != Role.ADMIN:
            raise ActionError(
                "forbidden", LocalizedText("Only an administrator can vouch that letters arrive."), "probe"
            )
        if vouched:
            rule.probe = "skipped"
        _check(session, user, rule)
    return store(session, context, rule, {"changed_at": now()})


def remove_rule(session: Session, context: AppContext, rule: SiteRule) -> None:
    """Nothing is swapped by it any more; letters to the addresses it showed are still understood."""
    store(session, context, rule, {"removed_at": now(), "state": "draft"})


def needs_probe(rule: SiteRule) -> bool:
    """Whether it must be seen first that letters to its addresses arrive."""
    return rule.tracking_type == "dynamic" and rule.probe not in ("passed", "skipped")


def warnings_of(session: Session, user: User, rule: SiteRule) -> list[LocalizedText]:
    """What keeps a rule from doing what it should."""
    made = []
    if rule.state == "active":
        for mailbox in _mailboxes(session, user, rule):
            if not is_working(mailbox):
                text = N_(
                    "The mailbox %(address)s is not read now, so nothing is swapped for it: its letters would be missed."
                )
                made.append(LocalizedText(text, address=mailbox.address))
        made += _shared_places(session, user, rule)
        if rule.probe == "skipped":
            made.append(LocalizedText("Untested: nobody has seen yet that letters to its addresses arrive."))
    return made


def _shared_places(session: Session, user: User, rule: SiteRule) -> list[LocalizedText]:
    """Pairs of the rule's blocks that take the very same elements of a site."""
    ids = {
        id for name in ("static_settings", "dynamic_settings") for line in getattr(rule, name) for id in line["blocks"]
    }
    query = select(SiteBlock).where(SiteBlock.user_id == user.id, col(SiteBlock.public_id).in_(ids))
    blocks = session.exec(query.order_by(col(SiteBlock.id))).all() if len(ids) > 1 else []
    text = N_("The blocks “%(first)s” and “%(second)s” take the same place of a page: “%(first)s” goes first.")
    return [
        LocalizedText(text, first=block.name, second=other.name)
        for number, block in enumerate(blocks)
        for other in blocks[number + 1 :]
        if set(block.sites) & set(other.sites) and any(selector in other.selectors for selector in block.selectors)
    ]


def is_working(mailbox: Mailbox) -> bool:
    return mailbox.active and mailbox.removed_at is None and mailbox.state not in _UNUSABLE


# --- what cannot be


def _tested(rule: SiteRule) -> Any:
    return rule.tracking_type, rule.substitution_type, [pool["email_account"] for pool in rule.dynamic_settings]


def _check(session: Session, user: User, rule: SiteRule) -> None:
    """Raises :class:`ActionError` that names every field that does not fit."""
    wrong: dict[str, str] = {}
    for field, sentence in (
        *_kind_problems(rule),
        *_source_problems(session, user, rule),
        *_line_problems(session, user, rule),
    ):
        wrong.setdefault(field, sentence)
    if rule.state == "active" and not wrong:
        for field, sentence in (*_active_problems(session, user, rule), *_taken_addresses(session, user, rule)):
            wrong.setdefault(field, sentence)
    if not wrong and rule.state == "active" and needs_probe(rule):
        text = LocalizedText(
            "Send a test letter first: the rule becomes active once it has been seen that letters to such addresses arrive. "
            "An administrator can vouch for it instead."
        )
        raise ActionError("invalid", text, "state", detail_code=NEEDS_PROBE)
    if wrong:
        raise ActionError.of_fields(wrong)


Problems = Iterator[tuple[str, LocalizedText]]


def _kind_problems(rule: SiteRule) -> Problems:
    if rule.rule_type == "external_area" and rule.tracking_type == "dynamic":
        yield (
            "tracking_type",
            LocalizedText("Outside the site an address stays as it is printed. Choose static tracking."),
        )
    if rule.tracking_type == "dynamic" and rule.substitution_type is None:
        yield "substitution_type", LocalizedText("Choose where the addresses of a dynamic rule come from.")
    if rule.tracking_type == "static" and rule.substitution_type is not None:
        yield "substitution_type", LocalizedText("A static rule shows the addresses of its lines; leave this out.")
    wanted = _wanted_settings(rule)
    for name in _SETTINGS:
        if getattr(rule, name) and name not in wanted:
            yield name, LocalizedText("A rule of this kind has none of these. Leave them out.")


def _wanted_settings(rule: SiteRule) -> tuple[str, ...]:
    if rule.rule_type == "external_area":
        return ("external_settings",)
    return ("dynamic_settings", "static_settings") if rule.tracking_type == "dynamic" else ("static_settings",)


def _source_problems(session: Session, user: User, rule: SiteRule) -> Problems:
    if rule.tracking_type == "dynamic" and rule.traffic_type == "custom_sources" and not rule.sources:
        yield "sources", LocalizedText("Choose at least one source, or let the rule be for all traffic.")
    if rule.sources and (rule.tracking_type != "dynamic" or rule.traffic_type != "custom_sources"):
        yield "sources", LocalizedText("Sources are chosen for a dynamic rule with “sources of one’s own” only.")
    known = {source.public_id for source in session.exec(owned_rows(SiteSource, user))}
    for field, ids in (
        ("sources", rule.sources),
        ("static_settings", [line["source"] for line in rule.static_settings]),
        ("external_settings", []),
    ):
        if any(id_ is not None and id_ not in known and not is_level(id_) for id_ in ids):
            yield field, LocalizedText("There is no such source. Choose one of yours, or a standard one.")


def _line_problems(session: Session, user: User, rule: SiteRule) -> Problems:
    for name in _SETTINGS:
        for line in getattr(rule, name):
            if line["email_account"] is not None and find_owned(session, Mailbox, user, line["email_account"]) is None:
                yield name, LocalizedText("There is no such mailbox. Choose one of yours.")
            for block in line.get("blocks", ()):
                if find_owned(session, SiteBlock, user, block) is None:
                    yield name, LocalizedText("There is no such block. Choose one of yours.")
    for line in rule.static_settings if rule.tracking_type == "static" else ():
        if not line["default_source"]:
            yield "static_settings", LocalizedText("Choose a source for each line.")
    for block, _source in _twice((b, line["source"]) for line in rule.static_settings for b in line["blocks"]):
        name = _name_of(session, user, block)
        sentence = N_("Two lines are for the same visitors in the block “%(block)s”. Keep one of them.")
        yield "static_settings", LocalizedText(sentence, block=name)
    yield from _pool_problems(session, user, rule)
    for address in _twice(_addresses(session, user, rule)):
        yield (
            _field_of(rule, address),
            LocalizedText("%(address)s stands here twice. An address must mean one thing.", address=address),
        )


def _pool_problems(session: Session, user: User, rule: SiteRule) -> Problems:
    manual = rule.substitution_type == "manual_pool"
    for block in _twice(block for pool in rule.dynamic_settings for block in pool["blocks"]):
        name = _name_of(session, user, block)
        yield (
            "dynamic_settings",
            LocalizedText("The block “%(block)s” stands in two pools. Keep it in one.", block=name),
        )
    for pool in rule.dynamic_settings:
        mailbox = find_owned(session, Mailbox, user, pool["email_account"] or "")
        base = (lookup_or_none(mailbox.address) or "") if mailbox is not None else ""
        if not manual and pool["addresses"]:
            yield (
                "dynamic_settings",
                LocalizedText("Addresses are listed for a pool of one’s own only; here they are made."),
            )
        if manual and base in {lookup_or_none(address) for address in pool["addresses"]}:
            sentence = N_("%(address)s is the mailbox’s own address, which everybody sees. It cannot be one of a pool.")
            yield "dynamic_settings", LocalizedText(sentence, address=base)
        if not manual and "+" in base.partition("@")[0]:
            sentence = N_(
                "%(address)s has a plus already; codes cannot be put behind another one. Choose another mailbox."
            )
            yield "dynamic_settings", LocalizedText(sentence, address=base)


def _active_problems(session: Session, user: User, rule: SiteRule) -> Problems:
    """Refused for an active rule; a draft may be kept like this."""
    main = _wanted_settings(rule)[0]
    lines = getattr(rule, main)
    if not lines:
        yield main, LocalizedText("There is nothing to show yet. Add a line, or save the rule as a draft.")
    for name in _SETTINGS:
        for line in getattr(rule, name):
            if rule.rule_type == "site_emails" and not line["blocks"]:
                yield name, LocalizedText("Choose a block in which to swap, or save the rule as a draft.")
            mailbox = find_owned(session, Mailbox, user, line["email_account"] or "")
            if mailbox is None:
                yield name, LocalizedText("Choose the mailbox that the letters come to, or save the rule as a draft.")
            elif not is_working(mailbox):
                text = N_("The mailbox %(address)s is not read now. Mend it first, or save the rule as a draft.")
                yield name, LocalizedText(text, address=mailbox.address)
    if rule.rule_type == "external_area" and any(not line["source"] for line in rule.external_settings):
        yield "external_settings", LocalizedText("Choose the source for letters to this address.")
    if rule.substitution_type == "manual_pool" and any(not pool["addresses"] for pool in rule.dynamic_settings):
        yield (
            "dynamic_settings",
            LocalizedText("List the addresses of the pool: they lead to the mailbox by forwarding."),
        )


def _taken_addresses(session: Session, user: User, rule: SiteRule) -> Problems:
    """An address must mean one thing: no other active rule may have it."""
    mine = set(_addresses(session, user, rule))
    others = owned_rows(SiteRule, user).where(SiteRule.state == "active", col(SiteRule.id) != (rule.id))
    for other in session.exec(others):
        for address in sorted(mine.intersection(_addresses(session, user, other))):
            sentence = N_("The rule “%(rule)s” has %(address)s already. An address must mean one thing.")
            yield _field_of(rule, address), LocalizedText(sentence, rule=other.name, address=address)


def _addresses(session: Session, user: User, rule: SiteRule) -> list[str]:
    """Every real address of a rule in look-up form, as often as it stands there."""
    own = {mailbox.public_id: mailbox.address for mailbox in _mailboxes(session, user, rule)}
    lines = (*rule.static_settings, *rule.external_settings)
    texts = [line["address"] or own.get(line["email_account"] or "", "") for line in lines]
    texts += [address for pool in rule.dynamic_settings for address in pool["addresses"]]
    return [form for text in texts if (form := lookup_or_none(text))]


def _field_of(rule: SiteRule, address: str) -> str:
    if any(
        lookup_or_none(pool_address) == address for pool in rule.dynamic_settings for pool_address in pool["addresses"]
    ):
        return "dynamic_settings"
    return "external_settings" if rule.external_settings else "static_settings"


def _mailboxes(session: Session, user: User, rule: SiteRule) -> list[Mailbox]:
    ids = {line["email_account"] for name in _SETTINGS for line in getattr(rule, name)} - {None}
    rows = select(Mailbox).where(Mailbox.user_id == user.id, col(Mailbox.public_id).in_(ids))
    return list(session.exec(rows)) if ids else []


def _name_of(session: Session, user: User, block: str) -> str:
    row = find_owned(session, SiteBlock, user, block)
    return row.name if row is not None else block


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, times in Counter(values).items() if times > 1]
