"""SPF, DKIM and DMARC of a From domain as advice for its owner: what is there, what it means, what to publish. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.mail.mail_providers import PUBLIC_DOMAINS
from tracker.outbound.sending_domain import spf
from tracker.outbound.sending_domain.dmarc import DkimKey, Dmarc, parents, parse_dkim, parse_dmarc
from tracker.outbound.sending_domain.sending_services import Sending
from tracker.outbound.sending_domain.spf import Fetch, Spf
from tracker.runtime.localized_text import LocalizedText


@dataclass(frozen=True)
class Publish:
    """A DNS record to publish."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Advice:
    """One finding. ``grade``: good, warn, bad, or unknown (it could not be found out)."""

    topic: str
    grade: str
    text: str
    publish: tuple[Publish, ...] = ()


@dataclass(frozen=True)
class PublishedRecords:
    """What stands in DNS."""

    spf: Spf
    dmarc: Dmarc
    dmarc_at: str
    keys: Mapping[str, DkimKey] = field(default_factory=dict)
    """By selector, those that are there."""
    dkim_unknown: bool = False
    dmarc_unknown: bool = False


def find(domain: str, service: Sending, fetch: Fetch) -> PublishedRecords:
    """Asks for everything that :func:`advise` judges."""
    policy, at, unknown = _find_dmarc(domain, fetch)
    keys, dkim_unknown = {}, False
    for selector in service.dkim_selectors:
        answer = fetch(f"{selector}._domainkey.{domain}", "TXT")
        dkim_unknown |= answer.problem == "no_answer"
        published = [value for value in answer.values if "p=" in value.replace(" ", "")]
        if published:
            keys[selector] = parse_dkim(published[0])
    return PublishedRecords(spf.look_up(domain, fetch), policy, at, keys, dkim_unknown, unknown)


def _find_dmarc(domain: str, fetch: Fetch) -> tuple[Dmarc, str, bool]:
    """The policy of the domain, else of the nearest one above it that has one."""
    for name in (domain, *parents(domain)):
        answer = fetch(f"_dmarc.{name}", "TXT")
        if answer.problem == "no_answer":
            return Dmarc("none"), name, True
        policy = parse_dmarc(answer.values, inherited=name != domain)
        if policy.problem != "none":
            return policy, name, False
    return Dmarc("none"), domain, False


def is_providers_own(domain: str) -> bool:
    """At gmail.com and the like nobody but the provider publishes anything."""
    return domain in PUBLIC_DOMAINS


def advise(domain: str, service: Sending, records: PublishedRecords, reports_to: str) -> list[Advice]:
    """Everything worth telling, SPF first. ``reports_to`` is proposed for DMARC reports."""
    if is_providers_own(domain):
        text = LocalizedText(
            "%(domain)s belongs to your mail service, which looks after its records itself.", domain=domain
        )
        return [Advice("SPF, DKIM, DMARC", "good", text)]
    about_spf, about_dkim = _about_spf(domain, service, records.spf), _about_dkim(domain, service, records)
    aligned = about_spf.grade == "good" or any(advice.grade == "good" for advice in about_dkim)
    return [about_spf, *_limits(records.spf), *about_dkim, _about_dmarc(domain, records, reports_to, aligned=aligned)]


def _about_spf(domain: str, service: Sending, result: Spf) -> Advice:
    if result.problem:
        return Advice(
            "SPF", "unknown", LocalizedText("The records of %(domain)s could not be looked up just now.", domain=domain)
        )
    if not result.records:
        record = spf.with_include("v=spf1 ~all", service.spf_include) if service.spf_include else "v=spf1 mx ~all"
        text = LocalizedText("%(domain)s does not say who may send for it, so anybody can pose as you.", domain=domain)
        return Advice("SPF", "bad", text, (Publish(domain, "TXT", record),))
    if len(result.records) > 1:
        text = LocalizedText(
            "%(domain)s has %(count)s SPF records; only one may be there, so receivers ignore them all. Put them into one.",
            domain=domain,
            count=len(result.records),
        )
        whole = spf.merged(result.records)
        return Advice("SPF", "bad", text, (Publish(domain, "TXT", _including(whole, service, result)),))
    return _about_one_spf(domain, service, result)


def _about_one_spf(domain: str, service: Sending, result: Spf) -> Advice:
    record = result.records[0]
    if result.broken:
        text = LocalizedText(
            "Receivers cannot read “%(word)s” in the SPF record, and ignore all of it.", word=result.broken[0]
        )
        return Advice("SPF", "bad", text)
    if result.all == "+":
        text = LocalizedText(
            "The SPF record ends in “+all”: it lets the whole world send for %(domain)s.", domain=domain
        )
        return Advice(
            "SPF", "bad", text, (Publish(domain, "TXT", record.replace("+all", "~all").replace(" all", " ~all")),)
        )
    if service.spf_include and service.spf_include not in result.included:
        if result.cut_off:
            return Advice(
                "SPF", "unknown", LocalizedText("Not everything the SPF record includes could be looked up just now.")
            )
        text = LocalizedText(
            "The SPF record does not let %(service)s send for %(domain)s. Add it to the record you have.",
            service=service.name,
            domain=domain,
        )
        return Advice("SPF", "bad", text, (Publish(domain, "TXT", spf.with_include(record, service.spf_include)),))
    if result.all is None and not any(term.name == "redirect" for term in result.terms):
        text = LocalizedText("The SPF record has no end (“~all”), so it forbids nobody to pose as you.")
        return Advice("SPF", "warn", text, (Publish(domain, "TXT", f"{record} ~all"),))
    if not service.spf_include:
        text = LocalizedText(
            "There is an SPF record. Whether it names your mail server, only its provider can tell: %(record)s",
            record=record,
        )
        return Advice("SPF", "good", text)
    return Advice(
        "SPF", "good", LocalizedText("%(service)s may send for %(domain)s.", service=service.name, domain=domain)
    )


def _including(record: str, service: Sending, result: Spf) -> str:
    needed = service.spf_include and f"include:{service.spf_include}" not in record.lower()
    return spf.with_include(record, service.spf_include) if needed else record


def _limits(result: Spf) -> list[Advice]:
    """What makes receivers give up on a record that reads well."""
    if result.missing:
        text = LocalizedText(
            "SPF includes %(domain)s, which has no usable SPF record; receivers then ignore yours.",
            domain=min(result.missing),
        )
        return [Advice("SPF", "bad", text)]
    if result.look_ups > spf.MOST_LOOK_UPS:
        text = LocalizedText(
            "SPF asks for %(count)s look-ups; after %(most)s receivers give up. Take out services you no longer use.",
            count=result.look_ups,
            most=spf.MOST_LOOK_UPS,
        )
        return [Advice("SPF", "bad", text)]
    if result.void > spf.MOST_VOID:
        text = LocalizedText(
            "SPF names %(count)s hosts that do not exist; after %(most)s receivers give up.",
            count=result.void,
            most=spf.MOST_VOID,
        )
        return [Advice("SPF", "bad", text)]
    return []


def _about_dkim(domain: str, service: Sending, records: PublishedRecords) -> list[Advice]:
    """One line: about the best key, for one good key is enough."""
    if not records.keys:
        return [_no_key(domain, service, records)]
    order = ("", "weak", "revoked", "broken")
    selector, key = min(records.keys.items(), key=lambda entry: order.index(entry[1].problem))
    name = f"{selector}._domainkey.{domain}"
    match key.problem:
        case "revoked":
            return [Advice("DKIM", "bad", LocalizedText("The DKIM key at %(name)s is revoked (empty).", name=name))]
        case "broken":
            return [
                Advice(
                    "DKIM",
                    "bad",
                    LocalizedText(
                        "The DKIM key at %(name)s cannot be read. Copy it again from your provider.", name=name
                    ),
                )
            ]
        case "weak":
            text = LocalizedText(
                "The DKIM key at %(name)s has only %(bits)s bits; receivers ignore it. Make one of 2048.",
                name=name,
                bits=key.bits,
            )
            return [Advice("DKIM", "bad", text)]
    if key.testing:
        text = LocalizedText("The DKIM key at %(name)s says that it is only a test (t=y). Take that out.", name=name)
        return [Advice("DKIM", "warn", text)]
    return [Advice("DKIM", "good", LocalizedText("There is a DKIM key at %(name)s.", name=name))]


def _no_key(domain: str, service: Sending, records: PublishedRecords) -> Advice:
    if records.dkim_unknown:
        return Advice(
            "DKIM",
            "unknown",
            LocalizedText("The DKIM keys of %(domain)s could not be looked up just now.", domain=domain),
        )
    if not service.spf_include:
        text = LocalizedText(
            "No DKIM key was found under the usual names. Your provider may use another name; ask it to sign as %(domain)s.",
            domain=domain,
        )
        return Advice("DKIM", "unknown", text)
    names = ", ".join(f"{selector}._domainkey.{domain}" for selector in service.dkim_selectors)
    text = LocalizedText(
        "%(service)s does not sign as %(domain)s yet. Switch DKIM on in its settings, then publish what it shows at %(names)s.",
        service=service.name,
        domain=domain,
        names=names,
    )
    return Advice("DKIM", "warn", text)


def _about_dmarc(domain: str, records: PublishedRecords, reports_to: str, *, aligned: bool) -> Advice:
    policy = records.dmarc
    proposal = (Publish(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:{reports_to}"),)
    if records.dmarc_unknown:
        return Advice(
            "DMARC",
            "unknown",
            LocalizedText("The records of %(domain)s could not be looked up just now.", domain=domain),
        )
    match policy.problem:
        case "none":
            text = LocalizedText("There is no DMARC policy. Gmail, Yahoo and others trust domains with one more.")
            return Advice("DMARC", "warn", text, proposal)
        case "several":
            text = LocalizedText(
                "There are several DMARC records at _dmarc.%(domain)s; receivers then ignore them all. Keep one.",
                domain=records.dmarc_at,
            )
            return Advice("DMARC", "bad", text)
        case "broken":
            text = LocalizedText(
                "The DMARC record at _dmarc.%(domain)s cannot be read: it needs p=none, p=quarantine or p=reject.",
                domain=records.dmarc_at,
            )
            return Advice("DMARC", "bad", text, proposal)
    if not aligned:
        text = LocalizedText(
            "DMARC (p=%(policy)s at %(domain)s) wants SPF or DKIM in the name of %(from)s, and neither is there: %(result)s.",
            **{"policy": policy.policy, "domain": records.dmarc_at, "from": domain, "result": _RESULTS[policy.policy]},
        )
        return Advice("DMARC", "warn" if policy.policy == "none" else "bad", text)
    text = LocalizedText("DMARC is set (p=%(policy)s), and mail sent here fits it.", policy=policy.policy)
    return Advice("DMARC", "good", text)


_RESULTS = {
    "none": LocalizedText("it is only reported so far"),
    "quarantine": LocalizedText("your mail ends up in spam"),
    "reject": LocalizedText("your mail is refused"),
}
