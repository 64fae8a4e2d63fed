"""Sources that everybody has beside those of one's own: channels, standard sources, and how an id names a level. Pure."""

from collections.abc import Mapping
from typing import Any

from pixel.visit_sources import CHANNELS
from tracker.locale import N_

CHANNEL_LABELS: Mapping[str, str] = {
    "ads": N_("Advertising"),
    "search": N_("Search engines"),
    "social": N_("Social networks"),
    "messenger": N_("Messengers"),
    "email": N_("E-mail"),
    "referral": N_("Links on other sites"),
    "direct": N_("Direct visits"),
}
FIELD_LABELS: Mapping[str, str] = {
    "referrer": N_("Page before (referrer)"),
    "referrer_domain": N_("Site before (referrer)"),
    "ad_engine": N_("Advertising system"),
    "search_engine": N_("Search engine"),
    "search_phrase": N_("Search phrase"),
    "channel": N_("Channel"),
    "entrance_page": N_("Entrance page"),
    "device": N_("Device"),
    "language": N_("Language"),
    "internal_transition": N_("Came from another page of the site"),
}
"""What a condition looks at. The tags of an address (utm_source …) are called by their own names."""
UNKNOWN_FIELDS = frozenset({"country", "region", "city"})
"""Conditions may name these, but no visit has them: addresses are not looked up. They are not offered."""
OPERATOR_LABELS: Mapping[str, str] = {
    "equals": N_("is"),
    "not_equals": N_("is not"),
    "contains": N_("contains"),
    "not_contains": N_("does not contain"),
    "empty": N_("is empty"),
    "not_empty": N_("is not empty"),
    "regex": N_("matches the expression"),
}
STANDARD: Mapping[str, tuple[str, str]] = {
    "std:ads/google": ("Google Ads", "ads"),
    "std:ads/yandex": ("Yandex Direct", "ads"),
    "std:ads/microsoft": ("Microsoft Advertising", "ads"),
    "std:ads/vk": ("VK Ads", "ads"),
    "std:search/google": ("Google", "search"),
    "std:search/yandex": ("Yandex", "search"),
    "std:search/bing": ("Bing", "search"),
    "std:search/duckduckgo": ("DuckDuckGo", "search"),
    "std:social/facebook": ("Facebook", "social"),
    "std:social/instagram": ("Instagram", "social"),
    "std:social/vk": ("VK", "social"),
    "std:social/linkedin": ("LinkedIn", "social"),
    "std:messenger/telegram": ("Telegram", "messenger"),
    "std:messenger/whatsapp": ("WhatsApp", "messenger"),
    "std:email/gmail": ("Gmail", "email"),
    "std:direct": ("Direct", "direct"),
}
"""Those that one can choose from; others are met (a site that links here, a campaign's own name)."""


def is_level(id: str) -> bool:
    """Whether an id names a standard source, a whole channel or a whole group."""
    kind, _, name = id.partition(":")
    if kind == "channel":
        return bool(name)
    return bool(name) and kind in ("std", "group")


def named_source(id: str | None, own: Mapping[str, Mapping[str, Any]]) -> dict[str, str] | None:
    """A source by its id, as letters are attributed to it: one of one's own, a standard one, a level; else the text itself is
    its name."""
    if not id:
        return None
    if id in own:
        return {name: str(own[id].get(name) or "") for name in ("id", "name", "channel", "group")}
    if id in STANDARD:
        name, channel = STANDARD[id]
        return {"id": id, "name": name, "channel": channel, "group": "" if channel == "direct" else name}
    kind, _, rest = id.partition(":")
    if kind == "channel" and rest in CHANNELS:
        return {"id": id, "name": CHANNEL_LABELS[rest], "channel": rest, "group": ""}
    if kind in ("group", "std"):
        channel, _, name = rest.partition("/")
        return {"id": id, "name": name or rest, "channel": channel, "group": name}
    return {"id": id, "name": id, "channel": "other", "group": ""}
