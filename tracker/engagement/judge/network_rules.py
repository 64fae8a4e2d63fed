"""Rules 13–18: requests that are known by the network they come from."""

from tracker.engagement.judge.browser_score import SCANNER_FROM, browser_score, is_complete_browser
from tracker.engagement.judge.case import Case, decide
from tracker.engagement.judge.known_agents import ONE_OUTLOOK
from tracker.engagement.judge.verdict import Judgement, Reason
from tracker.mail.mail_providers import GATEWAYS, family

CERTAIN = {
    "microsoft_eop": ("Microsoft", "microsoft"),
    "barracuda": ("Barracuda", "barracuda"),
    "google_special": ("Google", "google"),
    "spfbl": ("SPFBL", "spfbl"),
}
PROBABLE = {
    "proofpoint": "Proofpoint",
    "mimecast": "Mimecast",
    "cisco": "Cisco",
    "barracuda_owner": "Barracuda",
    "symantec": "Symantec",
    "trellix": "Trellix",
    "hornet": "Hornetsecurity",
    "vade": "Vade",
    "trendmicro": "Trend Micro",
    "checkpoint": "Check Point",
    "sophos": "Sophos",
    "fortinet": "Fortinet",
}


def certain_network(case: Case) -> Judgement | None:
    """Rule 13. Nobody reads mail from these addresses, so both opens and clicks are checks."""
    for tag, (name, vendor) in CERTAIN.items():
        if tag in case.facts:
            return decide("security_scanner", 95, Reason("scanner_network", {"name": name}), vendor=vendor)
    if "google_common" in case.facts:
        return decide("crawler", 90, "crawler_network", vendor="google")
    learned = case.state.learned_scanner or "learned_scanner" in case.facts
    if learned and not case.state.prior_human_open_same_ip:
        return decide("security_scanner", 80, "learned_address")
    return None


def empty_agent(case: Case) -> Judgement | None:
    """Rule 14."""
    if case.agent.role != "empty":
        return None
    return decide("security_scanner", 75, "no_agent_link") if case.is_link else decide("unknown", 40, "no_agent_pixel")


def probable_network(case: Case) -> Judgement | None:
    """Rule 15. Gateways whose browser isolation also carries people, later and with a complete browser."""
    tag = next((tag for tag in PROBABLE if tag in case.facts), None) or _recipients_own_gateway(case)
    if tag is None:
        return None
    name, vendor = PROBABLE[tag], tag.removesuffix("_owner")
    if case.younger_than(case.windows.probable_network):
        reason = Reason("gateway_early", {"name": name, "seconds": case.shown_age})
        return decide("security_scanner", 85, reason, vendor=vendor)
    if is_complete_browser(case):
        return decide("human", 55, Reason("gateway_browser", {"name": name}), vendor=vendor)
    score = browser_score(case)
    reasons = (Reason("gateway_incomplete", {"name": name}), *score.reasons)
    return decide("security_scanner" if score.points >= SCANNER_FROM else "unknown", 55, *reasons, vendor=vendor)


def _recipients_own_gateway(case: Case) -> str | None:
    """The network belongs to the company that filters this recipient's mail; without that MX it says nothing."""
    owner = family(case.evidence.net.org)
    return owner if owner in GATEWAYS and owner in PROBABLE and owner == family(case.state.recipient_mx) else None


def client_check(case: Case) -> Judgement | None:
    """Rule 16. New Outlook asks for the link itself; the person's own request follows from the browser."""
    named = ONE_OUTLOOK in case.user_agent or ONE_OUTLOOK in case.headers.get("x-native-host", "")
    if not case.is_link or not named:
        return None
    return decide("security_scanner", 70, "client_check", vendor="microsoft")


def provider_link(case: Case) -> Judgement | None:
    """Rule 17."""
    if not case.is_link or case.state.prior_human_open_same_ip:
        return None
    for vendor, name in (("microsoft", "Microsoft"), ("google", "Google")):
        if vendor in case.facts:
            return decide("security_scanner", 75, Reason("provider_link", {"name": name}), vendor=vendor)
    return None


def microsoft_pixel(case: Case) -> Judgement | None:
    """Rule 18. Web Outlook loads images from here, and so does the check at delivery; only the time tells."""
    if case.is_link or "microsoft" not in case.facts:
        return None
    if case.younger_than(case.windows.microsoft_early):
        reason = Reason("microsoft_early", {"seconds": round(case.windows.microsoft_early)})
        return decide("security_scanner", 75, reason, vendor="microsoft")
    if "exchange_online" in case.facts or not case.younger_than(case.windows.microsoft_late):
        return decide("mail_proxy", 55, "microsoft_proxy", vendor="microsoft")
    return decide("unknown", 45, "microsoft_between", vendor="microsoft")
