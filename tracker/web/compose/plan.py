"""Who will be tracked and who not, and why: as one sentence, and person by person."""

from collections.abc import Sequence
from dataclasses import dataclass

from babel.lists import format_list
from sqlmodel import Session

from tracker.consent.preferences import preference
from tracker.locale import _, babel_locale, localize, ngettext
from tracker.mail.addresses import domain_of, read_list
from tracker.mail.mail_providers import meant_domain
from tracker.mail.maker_labels import trust_label
from tracker.mail.recipient_mx import request, unknown
from tracker.models import Account, User
from tracker.outbound.draft import Draft, SendError
from tracker.outbound.draft_form import ROLES
from tracker.outbound.message_links import find_links
from tracker.outbound.policy import PlannedRecipient, check_wishes, plan_policy
from tracker.outbound.rewriter.rewriting import FoundLink
from tracker.outbound.rich_text import plain
from tracker.outbound.sending_domain.sending_services import link_rewriter
from tracker.runtime.context import AppContext
from tracker.runtime.limits import GMAIL_CLIPS_AT
from tracker.web.compose.drafts import MOST_NAMED, ComposeForm, readable
from tracker.web.compose.placeholders import FilledMessage, fill_message
from tracker.web.messages.activity_labels import link_reason, rule_label

_OF_THE_MESSAGE = frozenset(
    {
        "ceiling",
        "policy_off",
        "role",
        "account",
        "no_notice",
        "switched_off",
        "text_only",
        "group_too_large",
        "host_unhealthy",
        "protected",
        "signed_already",
    }
)
"""Rules that hold for everybody alike and are said once."""


@dataclass(frozen=True)
class PlanLine:
    """One recipient: what will be measured of them, and why not."""

    address: str
    name: str
    role: str
    recipient: str
    opens: bool
    clicks: bool
    why: str
    can_be_asked: bool = False
    trust: str = ""
    """What can be believed of what will be measured, by the mail exchanger of the company."""

    @property
    def tone(self) -> str:
        return "good" if self.opens or self.clicks else "quiet"


@dataclass(frozen=True)
class PlanLink:
    """A link of the text: ``why`` it is left alone as it stands, empty for one that would be tracked or was switched off here."""

    url: str
    text: str
    why: str


@dataclass(frozen=True)
class ComposePlan:
    sentence: str
    lines: Sequence[PlanLine]
    links: Sequence[PlanLink]
    unreadable: Sequence[str]
    merged: FilledMessage
    slips: Sequence[tuple[str, str]] = ()
    """Addresses whose domain is probably misspelt, each with the one that was meant."""
    above: Sequence[str] = ()
    """What the switches ask for and the operator does not allow."""
    service: str = ""
    """The submission service that may put redirects of its own into links, so that a click would pass through two."""
    size: int = 0
    """Bytes of HTML after rewriting, where a mail service would hide a part of it; 0 while all is shown."""

    @property
    def askable(self) -> Sequence[str]:
        """Whoever was never asked, or whose answer has grown old."""
        return [line.address for line in self.lines if line.can_be_asked]

    @property
    def tracked_links(self) -> Sequence[PlanLink]:
        return [link for link in self.links if not link.why]

    @property
    def links_left(self) -> Sequence[PlanLink]:
        return [link for link in self.links if link.why]


def plan_of(
    session: Session, context: AppContext, user: User, typed: ComposeForm, account: Account | None
) -> ComposePlan:
    """The plan for the form as it stands; what cannot be read as an address (yet) is left out and named."""
    merged = fill_message(session, user, typed)
    filled = merged.typed
    draft = Draft(
        account_id=account.id if account else None,
        to=tuple(readable(typed.to)),
        cc=tuple(readable(typed.cc)),
        bcc=tuple(readable(typed.bcc)),
        subject=typed.subject,
        html=filled.html if plain(filled.html).strip() else " ",  # nothing written yet is no plain text
        track_opens=typed.track_opens,
        track_links=typed.track_links,
        untracked_links=typed.leave,
    )
    planned = plan_policy(session, context, user, draft, account)
    links = find_links(session, context, filled.html, frozenset())
    any_clicks = any(recipient.clicks.on for recipient in planned)
    return ComposePlan(
        sentence_of(planned, preference(session, "recipient_limit")),
        [_line(recipient) for recipient in planned],
        _links(links),
        _unreadable(typed),
        merged,
        _slips(planned),
        _exceeds_limit(context, draft),
        service=(link_rewriter(account.smtp_host) or "") if account and any_clicks else "",
        size=_size(context, filled.html, links) if any(_is_tracked(recipient) for recipient in planned) else 0,
    )


def _exceeds_limit(context: AppContext, draft: Draft) -> Sequence[str]:
    try:
        check_wishes(context, draft)
    except SendError as error:
        return [localize(error)]
    return []


def request_exchangers(context: AppContext, typed: ComposeForm) -> None:
    """Has the mail exchangers of companies that nobody wrote to yet looked up, so that the plan can tell of them soon."""
    addresses = [mailbox.address for role in ROLES for mailbox in readable(getattr(typed, role))]
    with context.database.reading() as session:
        if not unknown(session, addresses):
            return
    with context.database.session_scope() as session:
        request(session, addresses)


def sentence_of(planned: Sequence[PlannedRecipient], limit: int = 10) -> str:
    """ "2 of 5 will be tracked: Anna refused, Luc was never asked." Empty while there is nobody."""
    if not planned:
        return ""
    tracked = [recipient for recipient in planned if _is_tracked(recipient)]
    if len(tracked) == len(planned):
        return _everybody(planned)
    reasons = list(dict.fromkeys(_why_not(recipient, limit) for recipient in planned if not _is_tracked(recipient)))
    reasons += [
        _("%(name)s: %(what)s", name=_name(person), what=_what(person)) for person in tracked if _is_partly(person)
    ]
    if (
        not tracked
        and len(planned) > limit
        and not {recipient.opens.rule for recipient in planned} & (_OF_THE_MESSAGE - {"group_too_large"})
    ):
        reasons = [_too_many(limit)]  # to ask each of them would change nothing
    if not tracked:
        return _("Nobody will be tracked: %(reasons)s.", reasons=_joined(reasons))
    return _(
        "%(tracked)s of %(all)s will be tracked: %(reasons)s.",
        tracked=len(tracked),
        all=len(planned),
        reasons=_joined(reasons),
    )


def _everybody(planned: Sequence[PlannedRecipient]) -> str:
    if len(planned) == 1:
        return _("%(name)s will be tracked: %(what)s.", name=_name(planned[0]), what=_what(planned[0]))
    same = {(recipient.opens.on, recipient.clicks.on) for recipient in planned}
    what = _what(planned[0]) if len(same) == 1 else _("opens and clicks as each agreed")
    return ngettext(
        "%(num)s recipient will be tracked: %(what)s.",
        "All %(num)s recipients will be tracked: %(what)s.",
        len(planned),
        what=what,
    )


def _what(recipient: PlannedRecipient) -> str:
    if recipient.opens.on and recipient.clicks.on:
        return _("opens and clicks")
    return _("opens only") if recipient.opens.on else _("clicks only")


def _why_not(recipient: PlannedRecipient, limit: int) -> str:
    rule = recipient.opens.rule if recipient.opens.rule != "switched_off" else recipient.clicks.rule
    if rule == "group_too_large":
        return _too_many(limit)
    if rule in _OF_THE_MESSAGE:
        return rule_label(rule)
    return _("%(name)s %(why)s", name=_name(recipient), why=rule_label(rule))


def _too_many(limit: int) -> str:
    return _("a message to more than %(limit)s people goes out untracked", limit=limit)


def _is_partly(recipient: PlannedRecipient) -> bool:
    """Only one of the two, and not because the sender switched the other off."""
    off = recipient.clicks if recipient.opens.on else recipient.opens
    return not off.on and off.rule != "switched_off"


def _joined(reasons: Sequence[str]) -> str:
    if len(reasons) > 6:
        more = ngettext("one more", "%(num)s more", len(reasons) - 5)
        reasons = [*reasons[:5], more]
    return format_list(reasons, locale=babel_locale())


def _line(recipient: PlannedRecipient) -> PlanLine:
    return PlanLine(
        address=recipient.mailbox.address,
        name=_name(recipient),
        role=recipient.role,
        recipient=recipient.recipient.public_id if recipient.recipient else "",
        opens=recipient.opens.on,
        clicks=recipient.clicks.on,
        why=_why(recipient),
        can_be_asked=bool({recipient.opens.rule, recipient.clicks.rule} & {"unknown", "lapsed"}),
        trust=trust_label(recipient.mx_family) if _is_tracked(recipient) else "",
    )


def _why(recipient: PlannedRecipient) -> str:
    """The rule that decided; both of them where opens and clicks were decided differently."""
    if recipient.opens.rule == recipient.clicks.rule:
        return rule_label(recipient.opens.rule)
    opens, clicks = rule_label(recipient.opens.rule), rule_label(recipient.clicks.rule)
    return _("opens: %(opens)s; clicks: %(clicks)s", opens=opens, clicks=clicks)


def _links(links: Sequence[FoundLink]) -> Sequence[PlanLink]:
    """Every link with why it is left alone, each address once; those of the text before those of what it quotes."""
    each = {(link.url, link.reason): link for link in links if link.reason not in ("quoted", "empty", "fragment")}
    return [PlanLink(link.url, link.text, "" if link.tracked else link_reason(link.reason)) for link in each.values()]


def _size(context: AppContext, html: str, links: Sequence[FoundLink]) -> int:
    """How large the text gets, where it gets larger than Gmail shows at once."""
    delivery = "A" * 11
    grown = sum(len(context.click_url(delivery, 0, link.url)) - len(link.url) for link in links if link.tracked)
    size = len(html.encode("utf-8", "surrogatepass")) + grown + PIXEL_BYTES
    return size if size > GMAIL_CLIPS_AT else 0


PIXEL_BYTES = 300
"""About what the pixel's tag takes."""


def _unreadable(typed: ComposeForm) -> Sequence[str]:
    """What is no address, but for the piece that is just being typed."""
    pieces = [piece for role in ROLES for piece, _error in read_list(getattr(typed, role)).unusable]
    return [piece for piece in pieces if piece != typed.typing][:MOST_NAMED]


def _slips(planned: Sequence[PlannedRecipient]) -> Sequence[tuple[str, str]]:
    meant = {recipient.mailbox.address: meant_domain(domain_of(recipient.mailbox.address)) for recipient in planned}
    return [(address, f"{address.rpartition('@')[0]}@{domain}") for address, domain in meant.items() if domain]


def _is_tracked(recipient: PlannedRecipient) -> bool:
    return recipient.opens.on or recipient.clicks.on


def _name(recipient: PlannedRecipient) -> str:
    return (
        recipient.mailbox.name or (recipient.recipient.name if recipient.recipient else "") or recipient.mailbox.address
    )
