"""Events in words: what happened, by whom as far as we can know, through what, and why we think so. Pure but for the language.

Honest wording throughout: only a click or a reply is certain; a picture loaded by a provider is "probably opened"; a machine is
named as one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tracker.consent.rules import RULES, ConsentState
from tracker.engagement.judge.verdict import Reason
from tracker.locale import N_, _, localize, ngettext
from tracker.mail.maker_labels import VENDORS, client_label, scanner_name
from tracker.models import Delivery, DeliveryStatus, Event, TrackedLink

PEOPLE = ("human", "mail_proxy")
_MACHINES = ("security_scanner", "link_preview", "sender_self", "crawler", "mail_proxy")

LINK_REASONS: Mapping[str, str] = {
    "own_host": N_("it leads to Inkling itself"),
    "one_time": N_("it looks like a one-time link; a redirect could use it up"),
    "text_is_url": N_("its text shows the address"),
    "list_unsubscribe": N_("it unsubscribes"),
    "marked": N_("you excluded it"),
    "too_long": N_("its address is too long"),
    "too_many": N_("the message has too many links"),
    "quoted": N_("it stands in quoted text"),
    "placeholder": N_("its address has an unfilled placeholder"),
    "not_http": N_("it is not a web address"),
    "bad_url": N_("its address is faulty"),
    "relative": N_("its address is incomplete"),
    "fragment": N_("it leads to a place in the message"),
    "empty": N_("it leads nowhere"),
    "refused": N_("it was excluded"),
    "nobody_tracked": N_("no recipient’s clicks are tracked"),
}

CONSENT_LABELS: Mapping[str, str] = {
    ConsentState.UNKNOWN: N_("never asked"),
    ConsentState.ASKED: N_("asked"),
    ConsentState.GRANTED: N_("agreed"),
    ConsentState.REFUSED: N_("refused"),
    ConsentState.WITHDRAWN: N_("withdrew"),
    ConsentState.OBJECTED: N_("objected"),
    ConsentState.LAPSED: N_("lapsed"),
    ConsentState.BLOCKED: N_("blocked"),
}


@dataclass(frozen=True)
class Line:
    """One line of a timeline. ``tone`` says how loud: person, machine, unsure or trouble."""

    kind: str
    tone: str
    title: str
    at: datetime
    who: str = ""
    through: str = ""
    reasons: tuple[str, ...] = ()
    url: str = ""
    event: str = ""
    klass: str = ""
    decided_by_hand: bool = False
    repeats: tuple[datetime, ...] = field(default=())
    """When the same happened again right after: shown folded, counted nowhere."""

    @property
    def can_be_overruled(self) -> bool:
        return self.kind in ("open", "click")

    @property
    def is_person(self) -> bool:
        return self.klass in PEOPLE


def timeline(events: Iterable[Event], deliveries: Sequence[Delivery], links: Sequence[TrackedLink]) -> list[Line]:
    """The events of a message as lines, newest first, repeats folded into the line they repeat; and with them what its copies alone
    tell: refused, opened as far as a click or a reply shows."""
    people: dict[int | None, Delivery] = {delivery.id: delivery for delivery in deliveries}
    urls = {link.position: link.url for link in links}
    lines: list[Line] = []
    newest: dict[tuple[object, ...], int] = {}
    opened: set[int | None] = set()
    for event in sorted(events, key=lambda event: (event.at, event.id)):
        same = (event.delivery_id, event.kind, event.link)
        if event.kind == "open" and event.klass in PEOPLE:
            opened.add(event.delivery_id)
        if event.merged and same in newest:
            place = newest[same]
            lines[place] = replace(lines[place], repeats=(*lines[place].repeats, event.at))
            continue
        newest[same] = len(lines)
        lines.append(
            line_of(event, people.get(event.delivery_id), urls.get(event.link if event.link is not None else -1))
        )
    lines += [line for delivery in deliveries for line in _lines_of_copy(delivery, delivery.id in opened)]
    return sorted(lines, key=lambda line: line.at)[::-1]


def _lines_of_copy(delivery: Delivery, has_opened: bool) -> Iterator[Line]:
    who = name_of(delivery)
    if delivery.first_opened_at and delivery.opens and not has_opened:
        title = _("Opened (%(how)s)", how=inferred_from(delivery))
        yield Line("inferred", "person", title, delivery.first_opened_at, who, event=f"{delivery.public_id}-inferred")
    if delivery.status == DeliveryStatus.REJECTED and delivery.rejected_at:
        said = (localize(delivery.reply),) if delivery.reply else ()
        at, event = delivery.rejected_at, f"{delivery.public_id}-refused"
        yield Line("refusal", "trouble", _("Refused by the server"), at, who, reasons=said, event=event)


def inferred_from(delivery: Delivery) -> str:
    """What shows that the mail was seen though no picture of it was loaded: the first of click and reply."""
    is_click = delivery.first_clicked_at is not None and delivery.first_clicked_at == delivery.first_opened_at
    return _("inferred from a click") if is_click else _("inferred from the reply")


def line_of(event: Event, delivery: Delivery | None, url: str | None = None) -> Line:
    return Line(
        kind=event.kind,
        tone=tone_of(event),
        title=title_of(event),
        at=event.at,
        who=name_of(delivery) if delivery else "",
        through=through_of(event),
        reasons=reasons_of(event, delivery),
        url=shown_url(url) if url else "",
        event=event.public_id,
        klass=event.klass,
        decided_by_hand=event.overruled,
    )


def tone_of(event: Event) -> str:
    if event.kind == "bounce":
        return "trouble" if event.counted else "unsure"
    if event.kind == "complaint":
        return "trouble"
    if event.kind not in ("open", "click"):
        return "machine" if event.kind == "auto_reply" else "person"
    if event.klass in PEOPLE and not _is_early(event):
        return "person"
    return "machine" if event.klass in _MACHINES else "unsure"


def title_of(event: Event) -> str:
    """What happened, in a few words that fit every gender and number."""
    if event.kind == "bounce" and not event.counted:
        return _("Delivery is delayed")
    if event.kind in _PLAIN:
        return _(_PLAIN[event.kind])
    if event.klass == "mail_proxy" and _is_early(event):
        return _("Picture fetched by %(who)s right after sending", who=client_label(event.client) or vendor_of(event))
    if event.klass == "security_scanner":
        checked = _("Link checked by %(who)s") if event.kind == "click" else _("Checked by %(who)s")
        return checked % {"who": scanner_name(event.vendor)}
    if event.klass == "link_preview":
        return _("Shared in %(where)s", where=client_label(event.client) or vendor_of(event))
    return _(_TITLES.get((event.kind, event.klass), _TITLES[("open", "unknown")]))


def through_of(event: Event) -> str:
    """The mail program or provider, where it says something about a person."""
    known = event.client not in ("", "Unknown", "unknown")
    return (
        client_label(event.client)
        if known and event.klass in (*PEOPLE, "sender_self", "unknown") and event.kind in ("open", "click")
        else ""
    )


def machine_label(machines: Iterable[tuple[str, str | None]]) -> str:
    """Machines by class and maker, in a list: "a check by Barracuda, a robot"."""
    said = (
        _("a check by %(who)s", who=scanner_name(vendor))
        if klass == "security_scanner"
        else _(_MACHINE_NAMES.get(klass, _MACHINE_NAMES["unknown"]))
        for klass, vendor in machines
    )
    return ", ".join(dict.fromkeys(said))


def vendor_of(event: Event) -> str:
    return VENDORS.get(event.vendor or "", "") or (event.vendor or _("another program")).capitalize()


def reasons_of(event: Event, delivery: Delivery | None = None) -> tuple[str, ...]:
    """The reasons of the verdict, and for machines how long after sending they came."""
    said = [Reason(code, values).sentence(_) for code, values in _stored(event.reasons)]
    if tone_of(event) != "person" and event.kind in ("open", "click") and delivery and delivery.accepted_at:
        said.append(_("%(delay)s after sending", delay=duration((event.at - delivery.accepted_at).total_seconds())))
    return tuple(text for text in said if text)


def duration(seconds: float) -> str:
    """A span of time in its largest fitting unit: 43 s, 5 min, 3 h, 2 days."""
    if seconds < 120:
        return _("%(n)s s", n=max(0, round(seconds)))
    if seconds < 7200:
        return _("%(n)s min", n=int(seconds // 60))
    if seconds < 172_800:
        return _("%(n)s h", n=int(seconds // 3600))
    days = int(seconds // 86_400)
    return ngettext("%(n)s day", "%(n)s days", days, n=days)


def rule_label(rule: str) -> str:
    """The sentence of a policy rule, as it follows a name: "Anna refused"."""
    return _(RULES[rule]) if rule in RULES else rule.replace("_", " ")


def link_reason(reason: str | None) -> str:
    return _(LINK_REASONS[reason]) if reason and reason in LINK_REASONS else (reason or "").replace("_", " ")


def consent_label(state: str) -> str:
    return _(CONSENT_LABELS[state]) if state in CONSENT_LABELS else state


def name_of(delivery: Delivery) -> str:
    return delivery.name or delivery.address


def shown_url(url: str) -> str:
    """A link as it may be shown: without the name and password that some carry."""
    try:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url
    except ValueError:
        return url


_PLAIN: Mapping[str, str] = {
    "reply": N_("Reply arrived"),
    "auto_reply": N_("Automatic reply"),
    "bounce": N_("Came back undelivered"),
    "complaint": N_("Marked as spam"),
    "reaction": N_("Reacted to it"),
    "unsubscribe": N_("Unsubscribed"),
}
_MACHINE_NAMES: Mapping[str, str] = {
    "link_preview": N_("a preview in a chat"),
    "privacy_prefetch": N_("Apple Mail"),
    "crawler": N_("a robot"),
    "mail_proxy": N_("a mail service right after sending"),
    "unknown": N_("somebody who cannot be told from a machine"),
}
_TITLES: Mapping[tuple[str, str], str] = {
    ("open", "human"): N_("Opened"),
    ("open", "mail_proxy"): N_("Probably opened"),
    ("open", "privacy_prefetch"): N_("Delivered to Apple Mail; whether it was read cannot be known"),
    ("open", "sender_self"): N_("Opened by yourself; not counted"),
    ("open", "crawler"): N_("Fetched by a robot"),
    ("open", "unknown"): N_("Fetched, but it is not clear by whom"),
    ("click", "human"): N_("Clicked"),
    ("click", "mail_proxy"): N_("Clicked"),
    ("click", "sender_self"): N_("Clicked by yourself; not counted"),
    ("click", "crawler"): N_("Link followed by a robot"),
    ("click", "privacy_prefetch"): N_("Link followed by Apple Mail"),
    ("click", "unknown"): N_("Link followed, but it is not clear by whom"),
}


def _is_early(event: Event) -> bool:
    return any(code == "proxy_early" for code, _values in _stored(event.reasons))


def _stored(reasons: Any) -> list[tuple[str, Mapping[str, str | int | float]]]:
    """Reasons as the row keeps them, a list of ``{"code", "values"}``; anything else in it is passed over."""
    stored: list[tuple[str, Mapping[str, str | int | float]]] = []
    for reason in reasons if isinstance(reasons, list) else []:
        if isinstance(reason, str):
            stored.append((reason, {}))
        elif isinstance(reason, dict) and isinstance(reason.get("code"), str):
            values = reason.get("values")
            stored.append((reason["code"], values if isinstance(values, dict) else {}))
    return stored
