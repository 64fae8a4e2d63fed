"""The name of the mail program or browser behind a hit, for people."""

from collections.abc import Mapping
from functools import lru_cache

from ua_parser import parse

from tracker.engagement.judge.known_agents import known_agent

NAMED_ROLES = ("mail_proxy", "mailru_proxy", "gmail_prefetch", "mpp", "mail_client", "embedded_engine", "preview")

# What the parser tells apart and people do not.
FAMILIES = {
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "App",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Electron": "App",
}
SYSTEMS = {"Mac OS X": "macOS", "Other": ""}


def client_name(headers: Mapping[str, str]) -> str:
    """ "Gmail", "Apple Mail", "Outlook", "Chrome on Windows", …; empty when the hit does not say."""
    agent = next((value for name, value in headers.items() if name.lower() == "user-agent"), "")
    return _name(agent.strip()[:1024])


@lru_cache(maxsize=16384)
def _name(agent: str) -> str:
    known = known_agent(agent)
    if known.role in NAMED_ROLES or (known.name and known.role != "other"):
        return known.name
    parsed = parse(agent)
    family = parsed.user_agent.family if parsed.user_agent else ""
    browser = FAMILIES.get(family, family)
    system = SYSTEMS.get(parsed.os.family, parsed.os.family) if parsed.os else ""
    return f"{browser} on {system}" if browser and system else browser or system
