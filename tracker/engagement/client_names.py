"""The name of the mail program or browser behind a hit, for people."""

from collections.abc import Mapping
from functools import lru_cache

from ua_parser import parse

from tracker.engagement.known_agents import known_agent

NAMED_ROLES = ("mail_proxy", "mailru_proxy", "gmail_prefetch", "mpp", "mail_client", "embedded_engine", "preview")


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
    browser = parsed.user_agent.family if parsed.user_agent else ""
    system = parsed.os.family if parsed.os else ""
    return f"{browser} on {system}" if browser and system else browser or system
