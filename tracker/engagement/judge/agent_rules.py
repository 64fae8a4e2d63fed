"""Rules 6–12: requests that say by their User-Agent which known fetcher they are."""

from tracker.engagement.judge.browser_score import is_complete_browser
from tracker.engagement.judge.case import Case, decide
from tracker.engagement.judge.known_agents import GMAIL_CHROME_104
from tracker.engagement.judge.verdict import Judgement, Reason
from tracker.mail.mail_providers import family


def mail_proxy(case: Case) -> Judgement | None:
    """Rule 6. A mail proxy fetches because somebody opened the message; it never follows links."""
    if case.agent.role != "mail_proxy":
        return None
    if case.is_link:
        reason = Reason("proxy_link", {"name": case.agent.name})
        return decide("security_scanner", 75, reason, vendor=case.agent.vendor)
    return _google_proxy(case) if case.agent.vendor == "google" else _proxy_open(case, 85)


def _google_proxy(case: Case) -> Judgement:
    if "google_special" in case.facts:
        return decide("security_scanner", 95, Reason("scanner_network", {"name": "Google"}), vendor="google")
    if "google" in case.facts:
        return _sender_through_gmail(case) or _proxy_open(case, 85)
    net = case.evidence.net
    if not case.facts and net.asn is None and not net.org and not net.rdns and not net.tags:
        return _sender_through_gmail(case) or _proxy_open(case, 70, "proxy_unconfirmed")
    return decide("crawler", 85, "forged_proxy")


def _sender_through_gmail(case: Case) -> Judgement | None:
    mx, provider = family(case.state.recipient_mx), family(case.state.sender_provider)
    if mx is None or mx == "google" or provider != "google":
        return None
    return decide("sender_self", 65, "maybe_you", vendor="google")


def _proxy_open(case: Case, hundredths: int, *more: str) -> Judgement:
    reasons = [Reason("mail_proxy", {"name": case.agent.name}), *map(Reason, more)]
    if case.younger_than(case.windows.proxy_early):
        reasons.append(Reason("proxy_early", {"seconds": case.shown_age}))
        hundredths = min(hundredths, 50)
    return decide("mail_proxy", hundredths, *reasons, vendor=case.agent.vendor)


def mailru_proxy(case: Case) -> Judgement | None:
    """Rule 7. Mail.ru's proxy looks like an old Chrome, so its network must confirm it."""
    if case.agent.role != "mailru_proxy" or case.is_link or "mailru" not in case.facts:
        return None
    return _proxy_open(case, 70)


def gmail_machine(case: Case) -> Judgement | None:
    """Rule 8. Gmail's own prefetch; the second agent counts only from Google's addresses, elsewhere it is a browser."""
    at_google = "google" in case.facts
    if case.agent.role == "gmail_prefetch":
        return decide("security_scanner", 95 if at_google else 90, "gmail_prefetch", vendor="google")
    if case.user_agent == GMAIL_CHROME_104 and at_google:
        return decide("security_scanner", 90, "gmail_prefetch", vendor="google")
    return None


def apple_privacy(case: Case) -> Judgement | None:
    """Rule 9. Exactly `Mozilla/5.0` is Apple's Mail Privacy Protection, at any delay, and only for images."""
    if case.agent.role != "mpp":
        return None
    if case.is_link:
        return decide("security_scanner", 70, "bare_agent_link")
    if "apple_relay" in case.facts:
        return decide("privacy_prefetch", 97, "apple_privacy", "apple_relay", vendor="apple")
    return decide("privacy_prefetch", 85, "apple_privacy", vendor="apple")


def preview(case: Case) -> Judgement | None:
    """Rule 10, and rule 12 for previews that only the crawler list knows."""
    if case.agent.role != "preview":
        return None
    if case.agent.by_name_alone and _clicked_in_a_browser(case):
        return None
    sure = 70 if case.agent.by_name_alone else 95 if case.agent.vendor else 90
    return decide("link_preview", sure, Reason("preview", {"name": case.agent.name}), vendor=case.agent.vendor)


def _clicked_in_a_browser(case: Case) -> bool:
    """Somebody clicked in a complete browser: a name that only a list knows does not outweigh that."""
    return case.is_link and case.headers.get("sec-fetch-user") == "?1" and is_complete_browser(case)


def scanner_agent(case: Case) -> Judgement | None:
    """Rule 11."""
    if case.agent.role != "scanner":
        return None
    reason = Reason("scanner_agent", {"name": case.agent.name})
    return decide("security_scanner", 95, reason, vendor=case.agent.vendor)


def crawler_list(case: Case) -> Judgement | None:
    """Rule 12. A script soon after sending stands on the recipient's side: only there the signed URL is known."""
    if case.agent.by_name_alone and _clicked_in_a_browser(case):
        return None
    if case.agent.role == "crawler":
        return decide("crawler", 70 if case.agent.by_name_alone else 85, Reason("crawler", {"name": case.agent.name}))
    if "HeadlessChrome" in case.headers.get("sec-ch-ua", ""):
        return _tool(case, "headless", "HeadlessChrome")
    return _tool(case, "tool", case.agent.name) if case.agent.role == "tool" else None


def _tool(case: Case, code: str, name: str) -> Judgement:
    if case.younger_than(case.windows.library_scan):
        return decide("security_scanner", 85, Reason(code, {"name": name}))
    return decide("crawler", 80, Reason("tool_late", {"name": name}))
