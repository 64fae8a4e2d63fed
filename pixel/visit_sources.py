"""Where a visit comes from when no source of one's own says so: marks of advertising, then the referrer. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, unquote_plus, urlsplit

MARKS = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_referrer"),
    *("gclid", "gbraid", "wbraid", "yclid", "ymclid", "ysclid", "msclkid", "fbclid", "ef_id", "cm_id", "from"),
    *("openstat_service", "openstat_campaign", "openstat_ad", "openstat_source"),
)
"""What is kept of a page's query, and no other part of it."""
CAMPAIGN_MARKS = frozenset(MARKS) - {"from", "utm_referrer", "fbclid", "ysclid"}
"""Those that begin a new session when they are others than before."""
LONGEST_MARK = 300
_MOST_QUERY = 8192
_MOST_PAIRS = 200

_PAID = {
    "gclid": ("google", "Google Ads"),
    "gbraid": ("google", "Google Ads"),
    "wbraid": ("google", "Google Ads"),
    "yclid": ("yandex", "Yandex Direct"),
    "ymclid": ("market", "Yandex Market"),
    "msclkid": ("microsoft", "Microsoft Advertising"),
}
_PAID_MEDIA = re.compile(
    r"cpc|ppc|cpm|cpa|cpv|cpo|paid[-_ ]?(search|social)?|paidsearch|display|banner|retargeting|ads?"
)
_AD_ENGINES = {
    "googleadservices.com": ("google", "Google Ads"),
    "doubleclick.net": ("google", "Google Ads"),
    "googlesyndication.com": ("google", "Google Ads"),
    "yabs.yandex.ru": ("yandex", "Yandex Direct"),
    "an.yandex.ru": ("yandex", "Yandex Direct"),
    "bingads.com": ("microsoft", "Microsoft Advertising"),
    "ads.vk.com": ("vk", "VK Ads"),
}
_SEARCH = {
    "google": ("Google", "q"),
    "yandex": ("Yandex", "text"),
    "ya": ("Yandex", "text"),
    "bing": ("Bing", "q"),
    "duckduckgo": ("DuckDuckGo", "q"),
    "baidu": ("Baidu", "wd"),
    "ecosia": ("Ecosia", "q"),
    "qwant": ("Qwant", "q"),
    "startpage": ("Startpage", "query"),
    "brave": ("Brave", "q"),
    "rambler": ("Rambler", "query"),
    "seznam": ("Seznam", "q"),
    "naver": ("Naver", "query"),
}
_SEARCH_HOST = re.compile(
    r"(?:(?:www|m|search|go|images|news|cn|r|l|nova|mail)\.)*"
    r"(google|yandex|ya|bing|duckduckgo|baidu|ecosia|qwant|startpage|brave|rambler|seznam|naver)\.[a-z]{2,3}(?:\.[a-z]{2})?"
)
_SITES = {
    "social": (
        ("Facebook", "facebook.com", "fb.com", "fb.me"),
        ("Instagram", "instagram.com"),
        ("VK", "vk.com", "vk.ru", "vkontakte.ru"),
        ("Odnoklassniki", "ok.ru", "odnoklassniki.ru"),
        ("X", "twitter.com", "x.com", "t.co"),
        ("LinkedIn", "linkedin.com", "lnkd.in"),
        ("YouTube", "youtube.com", "youtu.be"),
        ("TikTok", "tiktok.com"),
        ("Pinterest", "pinterest.com"),
        ("Reddit", "reddit.com"),
        ("Dzen", "dzen.ru"),
    ),
    "messenger": (
        ("Telegram", "t.me", "telegram.org", "telegram.me", "web.telegram.org", "org.telegram.messenger"),
        ("WhatsApp", "whatsapp.com", "wa.me", "com.whatsapp"),
        ("Viber", "viber.com", "com.viber.voip"),
        ("Messenger", "messenger.com", "com.facebook.orca"),
        ("Slack", "slack.com"),
        ("MAX", "max.ru"),
    ),
    "email": (
        ("Gmail", "mail.google.com", "com.google.android.gm", "android.gm"),
        ("Yandex Mail", "mail.yandex.ru", "mail.yandex.com"),
        ("Mail.ru", "e.mail.ru", "mail.ru"),
        ("Outlook", "outlook.live.com", "outlook.office.com", "outlook.office365.com"),
        ("Yahoo Mail", "mail.yahoo.com"),
    ),
}
_BY_HOST = {host: (channel, name) for channel, sites in _SITES.items() for name, *hosts in sites for host in hosts}
_MARKED_SOCIAL = frozenset(
    {"facebook", "fb", "instagram", "ig", "vk", "vkontakte", "twitter", "linkedin", "tiktok", "ok", "telegram", "dzen"}
)
_APPS = {"com.google.android.googlequicksearchbox": "google", "com.yandex.browser": "yandex"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a visit comes from: three levels, of which the channel is always there."""

    id: str
    name: str
    channel: str
    group: str = ""

    def __hash__(self) -> int:
        return hash(self.id)  # of a frozen dataclass all its fields are hashed each time

    def as_dict(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "channel": self.channel, "group": self.group}


DIRECT = Source("std:direct", "Direct", "direct")
CHANNELS = ("ads", "search", "social", "messenger", "email", "referral", "direct")


@dataclass(slots=True)
class Arrival:
    """What is known of a visitor when a session may begin. ``page`` and ``referrer`` are URLs as the browser wrote them."""

    page: str
    referrer: str = ""
    device: str = ""
    language: str = ""
    country: str = ""
    region: str = ""
    city: str = ""
    hosts: frozenset[str] = frozenset()
    """The site's own hosts: a referrer there, or below, is internal."""
    ignored: frozenset[str] = frozenset()
    """Hosts of payment and sign-in: a referrer there begins nothing."""


def marks_of(page: str) -> Mapping[str, str]:
    """The marks in a page's address, each cut to a length and printable. Broken percent encoding is taken as it stands."""
    query, fragment = page[:_MOST_QUERY].partition("?")[2].partition("#")[::2]
    return _marks_in(query or fragment.rpartition("?")[2])


@lru_cache(1024)  # most visitors of an advertisement come with the same query
def _marks_in(query: str) -> Mapping[str, str]:
    pairs = query.split("&")
    marks: dict[str, str] = {}
    for pair in pairs if len(pairs) <= _MOST_PAIRS else ():
        name, _, value = pair.partition("=")
        name = unquote_plus(name).lower() if "%" in name or "+" in name else name.lower()
        if name in _MARK_SET and value and name not in marks:
            if text := clean(unquote_plus(value) if "%" in value or "+" in value else value, LONGEST_MARK):
                marks[name] = text
        elif name == "_openstat" and value:
            marks |= _openstat(unquote_plus(value))
    return marks


_MARK_SET = frozenset(MARKS)


def _openstat(value: str) -> dict[str, str]:
    parts = clean(unquote_plus(value), 4 * LONGEST_MARK).split(";")[:4]
    names = ("openstat_service", "openstat_campaign", "openstat_ad", "openstat_source")
    return {name: part[:LONGEST_MARK] for name, part in zip(names, parts, strict=False) if part}


def clean(text: str, longest: int) -> str:
    """Printable characters only, cut to a length."""
    text = text[:longest]
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else "\ufffd" for c in text).strip()


@lru_cache(4096)
def host_of(url: str) -> str:
    """The host of a page's or an app's address in lower case, without ``www.``; empty when it has none."""
    try:
        host = (urlsplit(url[:2048].strip()).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return host.removeprefix("www.")


def is_within(host: str, hosts: Collection[str]) -> bool:
    """Whether a host is one of these or a sub-domain of one."""
    while host:
        if host in hosts:
            return True
        host = host.partition(".")[2]
    return False


def is_internal(referrer: str, hosts: Collection[str]) -> bool:
    """Whether a referrer is the site itself, or an AMP cache's copy of it (``site-example.cdn.ampproject.org``)."""
    host = host_of(referrer)
    if is_within(host, hosts):
        return True
    if host.endswith(".cdn.ampproject.org"):
        original = host.removesuffix(".cdn.ampproject.org").replace("--", "\0").replace("-", ".").replace("\0", "-")
        return is_within(original.removeprefix("www."), hosts)
    return False


def begins_nothing(arrival: Arrival) -> bool:
    """Whether somebody only moves within the site, or comes back from paying or signing in: session and source stay."""
    host = host_of(arrival.referrer)
    return bool(host) and (is_internal(arrival.referrer, arrival.hosts) or is_within(host, arrival.ignored))


def standard_source(arrival: Arrival, marks: Mapping[str, str]) -> Source:
    """Where a visit comes from when no custom source says so: marks of advertising go before the referrer."""
    return _marked(marks) or _referred(arrival, marks)


def _marked(marks: Mapping[str, str]) -> Source | None:
    if not marks:
        return None
    for name, (key, title) in _PAID.items():
        if name in marks:
            return Source(f"std:ads/{key}", title, "ads", title)
    utm = marks.get("utm_source", ""), marks.get("utm_medium", ""), marks.get("utm_campaign", "")
    if any(utm):
        return _of_utm(*utm)
    if "openstat_service" in marks:
        return Source("std:ads/openstat", marks["openstat_service"], "ads", marks["openstat_service"])
    return None


@lru_cache(4096)
def _of_utm(source: str, medium: str, campaign: str) -> Source:
    name = source or campaign or medium
    medium, key = medium.lower(), source.lower()
    if _PAID_MEDIA.fullmatch(medium):
        channel = "ads"
    elif medium in ("email", "e-mail", "mail", "newsletter") or key in ("email", "newsletter", "mail"):
        channel = "email"
    elif medium in ("social", "smm", "social-network") or (not medium and key in _MARKED_SOCIAL):
        channel = "social"
    elif medium in ("messenger", "chat"):
        channel = "messenger"
    elif medium == "organic":
        channel = "search"
    elif medium == "referral":
        channel = "referral"
    else:
        channel = "ads"
    return Source(f"std:{channel}/{key or 'utm'}"[:120], name, channel, name)


def _referred(arrival: Arrival, marks: Mapping[str, str]) -> Source:
    host = host_of(arrival.referrer)
    if "ysclid" in marks:
        return Source("std:search/yandex", "Yandex", "search", "Yandex")
    if not host or begins_nothing(arrival):
        return _facebook(marks) or DIRECT
    return _by_host(host) or _facebook(marks) or Source(f"std:referral/{host}"[:120], host, "referral", host)


def _facebook(marks: Mapping[str, str]) -> Source | None:
    return Source("std:social/facebook", "Facebook", "social", "Facebook") if "fbclid" in marks else None


@lru_cache(4096)
def _by_host(host: str) -> Source | None:
    for place in _parents(host):
        if place in _AD_ENGINES:
            key, title = _AD_ENGINES[place]
            return Source(f"std:ads/{key}", title, "ads", title)
        if place in _BY_HOST:
            channel, name = _BY_HOST[place]
            if (channel, name) == ("email", "Mail.ru") and host.startswith("go."):
                break
            return Source(f"std:{channel}/{name.lower().replace(' ', '-')}", name, channel, name)
    engine = _engine(host)
    if engine is not None:
        return Source(f"std:search/{_SEARCH[engine][0].lower()}", _SEARCH[engine][0], "search", _SEARCH[engine][0])
    if host == "go.mail.ru":
        return Source("std:search/mail.ru", "Mail.ru", "search", "Mail.ru")
    return None


def _engine(host: str) -> str | None:
    if host in _APPS:
        return _APPS[host]
    if host.endswith("googlequicksearchbox"):
        return "google"
    match = _SEARCH_HOST.fullmatch(host)
    return match[1] if match is not None else None


def _parents(host: str) -> Iterable[str]:
    while host:
        yield host
        host = host.partition(".")[2]


def search_phrase(referrer: str) -> str:
    """What was searched for, where the search engine still says it."""
    engine = _engine(host_of(referrer)) if referrer else None
    if engine is None:
        return ""
    try:
        query = dict(parse_qsl(urlsplit(referrer[:2048]).query, max_num_fields=100))
    except ValueError:
        return ""
    return clean(query.get(_SEARCH[engine][1], ""), LONGEST_MARK)
