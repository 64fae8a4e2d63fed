"""What a User-Agent string claims to be: our own tables first, then the list of crawler-user-agents.

The order of the tables matters (`known_agent`): a mail proxy or mail client is never looked up in the crawler list,
which counts Gmail's proxy among the bots. Sources: logs and vendor pages as collected on 2026-11-01; crawler patterns
from the package crawler-user-agents, whose data is used through `CRAWLER_CLASSES` and without `BROAD_PATTERNS`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Literal

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from tracker.engagement.judge.agent_database import named_by_database

AGENTS_DATE = "2026-11-30"
CRAWLER_LIST_VERSION = version("crawler-user-agents")

Role = Literal[
    "empty",
    "gmail_prefetch",
    "mpp",
    "office_discovery",
    "mail_proxy",
    "mailru_proxy",
    "preview",
    "scanner",
    "tool",
    "crawler",
    "mail_client",
    "embedded_engine",
    "other",
]


@dataclass(frozen=True)
class KnownAgent:
    """`name` is what to show, `vendor` whose machine it is. `tool` is a script library or an automated browser."""

    role: Role
    name: str = ""
    vendor: str | None = None
    by_name_alone: bool = False
    """Known from somebody else's list of names: what the request does weighs more."""


MPP = "Mozilla/5.0"
GMAIL_PREFETCH_END = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
GMAIL_CHROME_104 = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/104.0.0.0 Safari/537.36"
)
ONE_OUTLOOK = "OneOutlook"

MAIL_PROXIES = (
    (r"ggpht\.com|GoogleImageProxy", "Gmail", "google"),
    (r"YahooMailProxy", "Yahoo Mail", "yahoo"),
    (r"RamblerMail/[\d.]+ \(incompatible; ImageProxy", "Rambler Mail", "rambler"),
    (r"SeznamEmailProxy/", "Seznam Email", "seznam"),
    (r"via secureurl\.fwdcdn\.com", "ukr.net", "ukrnet"),
    (r"FastmailUA/", "Fastmail", "fastmail"),
    (r"Shortwave Image Fetcher", "Shortwave", "shortwave"),
    (r"YandexImageResizer/2\.0", "Yandex Mail", "yandex"),
    (r"OutlookImageProxy", "Outlook", "microsoft"),  # only ever seen in copied lists
)
MAILRU_PROXY = r"X11; Linux x86_64.*Chrome/32\.0\.1700\.2(\D|$)"
NO_BROWSER = r"^(?!.*(?:Chrome|Safari|Firefox)/).*\b"
SCANNERS: tuple["_Row", ...] = (
    (r"Google-Safety", "Google-Safety", "google"),
    (r"Barracuda Sentinel", "Barracuda Sentinel", "barracuda"),
    (r"Kaspersky Lab CFR link resolver", "Kaspersky", "kaspersky"),
    (r"s~virustotalcloud", "VirusTotal", "virustotal"),
    (r"CloudflareRadarURLScanner", "Cloudflare Radar", "cloudflare"),
    (r"\burlscan\b", "urlscan", "urlscan"),
    # A protection that names itself is none of the browsers; the strings of these are only known from lists.
    (NO_BROWSER + r"Mimecast", "Mimecast", "mimecast"),
    (NO_BROWSER + r"Proofpoint", "Proofpoint", "proofpoint"),
    (NO_BROWSER + r"Barracuda", "Barracuda", "barracuda"),
    (NO_BROWSER + r"Symantec|" + NO_BROWSER + r"MessageLabs", "Symantec", "symantec"),
    (NO_BROWSER + r"(FireEye|Trellix)", "Trellix", "trellix"),
    (NO_BROWSER + r"Forti(Mail|Sandbox|Guard|net)", "Fortinet", "fortinet"),
    (NO_BROWSER + r"Sophos ?(Email|Url|XGS?|UTM)", "Sophos", "sophos"),
    (NO_BROWSER + r"Trend ?Micro", "Trend Micro", "trendmicro"),
    (NO_BROWSER + r"IronPort", "Cisco", "cisco"),
    (NO_BROWSER + r"(Hornetsecurity|Vade ?Secure|Avanan|Cofense|PhishTank)", "Mail protection", None),
)
PREVIEWS = (
    (r"Slackbot|Slack-ImgProxy", "Slack", "slack"),
    (r"SkypeUriPreview|MicrosoftPreview", "Teams", "microsoft"),
    (r"BingPreview", "Bing", "microsoft"),
    (r"^WhatsApp/", "WhatsApp", "whatsapp"),
    (r"TelegramBot", "Telegram", "telegram"),
    (r"facebookexternalhit/1\.1 Facebot Twitterbot", "iMessage", "apple"),
    (r"facebookexternalhit|facebookcatalog", "Facebook", "facebook"),
    (r"Twitterbot", "Twitter", "twitter"),
    (r"LinkedInBot", "LinkedIn", "linkedin"),
    (r"Discordbot", "Discord", "discord"),
    (r"vkShare", "VK", "vk"),
    (r"OdklBot", "Odnoklassniki", "odnoklassniki"),
    (r"^Viber\b", "Viber", "viber"),
    (r"Iframely", "Iframely", "iframely"),
    (r"\bNotion(Embedder)?\b(?! Mail)", "Notion", "notion"),
    (r"\bXING-contenttabreceiver\b", "XING", "xing"),
    (r"DingTalkBot", "DingTalk", "dingtalk"),
    (r"Chatwork LinkPreview", "Chatwork", "chatwork"),
    (r"Mattermost-Bot", "Mattermost", "mattermost"),
    (r"Yahoo Link Preview", "Yahoo", "yahoo"),
    (r"kakaotalk-scrap", "KakaoTalk", "kakao"),
    (r"\bGoogleMessages/", "Google Messages", "google"),
    (r"\bZulip ?URL ?preview", "Zulip", "zulip"),
    (r"Pinterestbot", "Pinterest", "pinterest"),
    (r"(link|url)[ _-]?(preview|unfurl)|\bunfurl(er|bot)?\b", "Link preview", None),
)
TOOLS = (
    (r"^Java/\d", "Java"),
    (r"WindowsPowerShell/", "PowerShell"),
    (r"^Java-http-client/", "Java"),
    (r"^python-urllib3/", "urllib3"),
    (r"^PostmanRuntime/", "Postman"),
    (r"^Guzzle(Http)?/|^Symfony HttpClient", "PHP"),
    (r"\bWinHttp", "WinHttp"),
    (r"^Microsoft-CryptoAPI/", "CryptoAPI"),
    (r"^(node|undici)$", "Node.js"),
    (r"^Ruby$", "Ruby"),
)
OFFICE_DISCOVERY = r"Microsoft Office (Existence|Protocol) Discovery"
MAIL_CLIENTS = (
    (r"OneOutlook/", "Outlook"),
    (
        r"ms-office|Microsoft Office/|Microsoft Outlook|MSOffice \d|MacOutlook/|Outlook-(iOS|Android)|^microsoft-outlook/",
        "Outlook",
    ),
    (r"\bThunderbird/|\bIcedove/|\bBetterbird/", "Thunderbird"),
    (r"\beM ?Client\b", "eM Client"),
    (r"\bMailbird(Client)?\b", "Mailbird"),
    (r"\bMailspring\b", "Mailspring"),
    (r"\bSuperhuman\b", "Superhuman"),
    (r"\bAirmail\b", "Airmail"),
    (r"\bFoxmail\b", "Foxmail"),
    (r"\bThe Bat!", "The Bat!"),
    (r"\bPostbox(App)?/", "Postbox"),
    (r"\bWindows[- ]?Live[- ]?Mail\b|\bWindows Mail\b|\bWindowsMail\b", "Windows Mail"),
    (r"\b(Lotus|HCL)[- ]Notes\b", "Lotus Notes"),
    (r"\bNAVER\(", "Naver"),
    (r"\bAndroid-Gmail/", "Gmail"),
    (r"\bSamsung ?Email\b", "Samsung Email"),
    (r"\bEvolution/\d", "Evolution"),
    (r"\bKMail\b|\bKontact\b", "KMail"),
    (r"\bSpark(Desktop)?/\d", "Spark"),
    (r"\bBlueMail\b", "BlueMail"),
    (r"^(Mobile)?Mail/\S+ CFNetwork/|\(KHTML, like Gecko\) Mail/\d", "Apple Mail"),
    (r"\bK-9\b", "K-9 Mail"),
    (r"\bYahooMobileMail/", "Yahoo Mail"),
    (r"\bProtonMail/", "Proton Mail"),
    (r"\bEdison ?Mail\b", "Edison Mail"),
    (r"\bClaws ?Mail\b", "Claws Mail"),
    (r"\bZimbra Desktop\b", "Zimbra"),
    (r"\bMailMate/", "MailMate"),
    (r"\bAqua ?Mail\b", "Aqua Mail"),
    (r"\bMailMaster\b", "NetEase Mail"),
    (r"\bTutanota\b", "Tuta"),
    (r"\bNine/\d|\bcom\.ninefolders\b", "Nine"),
    (r"\bTroj[ií]t[áa]\b", "Trojitá"),
    (r"\bBecky! ", "Becky!"),
    (r"\bMail\.ru-(Android|iOS|iPhone)\b", "Mail.ru"),
    *(
        (rf"\b{name}/\d", name)
        for name in ("Newton", "Mimestream", "Wavebox", "Missive", "Front", "HEY", "Sparrow", "Sylpheed")
    ),
    *(
        (rf"\b{name}/\d", name)
        for name in ("Geary", "Alpine", "mutt", "NeoMutt", "Shuriken", "Eudora", "mu4e", "Delta Chat")
    ),
)
# No name of their own, only an engine without a browser around it; looked up after the crawlers.
EMBEDDED_ENGINES = (
    (r"\((Macintosh|iPhone|iPad|iPod)[^)]*\) AppleWebKit/[\d.]+ \(KHTML, like Gecko\)( Mobile/\w+)?$", "Apple Mail"),
    (r"; wv\)|^Dalvik/\d", "Android mail app"),
)

# our class for each tag of crawler-user-agents; the first tag that is listed here decides
CRAWLER_CLASSES: dict[str, Role] = {
    "social-preview": "preview",
    "http-library": "tool",
    "browser-automation": "tool",
    "scanner": "tool",
}
# These hit people's browsers as well, or are told apart more sharply by the tables above.
BROAD_PATTERNS = {"Viber", r"mail\.ru", "GoogleImageProxy", "YahooMailProxy", "FastmailUA", "Shortwave Image Fetcher"}


@lru_cache(maxsize=65536)
def known_agent(user_agent: str) -> KnownAgent:
    """What this User-Agent claims. Pure and cached; surrounding spaces do not count, case does."""
    agent = user_agent.strip()
    return (
        _exact(agent)
        or _listed(agent, _MAIL_PROXIES, "mail_proxy")
        or _listed(agent, _PREVIEWS, "preview")
        or _listed(agent, _SCANNERS, "scanner")
        or _listed(agent, _CLIENTS, "mail_client")
        or _listed(agent, _TOOLS, "tool")
        or _crawler(agent)
        or _listed(agent, _ENGINES, "embedded_engine")
        or _of_database(agent)
        or KnownAgent("other")
    )


def _exact(agent: str) -> KnownAgent | None:
    if not agent:
        return KnownAgent("empty")
    if agent == MPP:
        return KnownAgent("mpp", "Apple Mail", "apple")
    if agent.endswith(GMAIL_PREFETCH_END):
        return KnownAgent("gmail_prefetch", "Gmail", "google")
    if _MAILRU.search(agent):
        return KnownAgent("mailru_proxy", "Mail.ru", "mailru")
    if _DISCOVERY.search(agent):
        return KnownAgent("office_discovery", "Microsoft Office", "microsoft")
    return None


_Row = tuple[str, str] | tuple[str, str, str | None]
_Compiled = Sequence[tuple[re.Pattern[str], str, str | None]]


def _compiled(table: Sequence[_Row]) -> _Compiled:
    return [(re.compile(row[0], re.IGNORECASE), row[1], row[2] if len(row) == 3 else None) for row in table]


_MAIL_PROXIES = _compiled(MAIL_PROXIES)
_PREVIEWS = _compiled(PREVIEWS)
_SCANNERS = _compiled(SCANNERS)
_CLIENTS = _compiled(MAIL_CLIENTS)
_TOOLS = _compiled(TOOLS)
_ENGINES = _compiled(EMBEDDED_ENGINES)
_MAILRU = re.compile(MAILRU_PROXY)
_DISCOVERY = re.compile(OFFICE_DISCOVERY)


def _listed(agent: str, table: _Compiled, role: Role) -> KnownAgent | None:
    return next((KnownAgent(role, name, vendor) for pattern, name, vendor in table if pattern.search(agent)), None)


def _of_database(agent: str) -> KnownAgent | None:
    program = named_by_database(agent)
    return KnownAgent(program[0], program[1], by_name_alone=True) if program else None


CHUNK = 25  # alternations of this size are searched fastest
_CRAWLERS = [entry for entry in CRAWLER_USER_AGENTS_DATA if entry["pattern"] not in BROAD_PATTERNS]
_CHUNKS = [_CRAWLERS[at : at + CHUNK] for at in range(0, len(_CRAWLERS), CHUNK)]
_SEARCHES = [(re.compile("|".join(f"(?:{entry['pattern']})" for entry in chunk)), chunk) for chunk in _CHUNKS]


def _crawler(agent: str) -> KnownAgent | None:
    chunk = next((chunk for search, chunk in _SEARCHES if search.search(agent)), None)
    if chunk is None:
        return None
    matches = ((entry, re.search(entry["pattern"], agent)) for entry in chunk)
    tags, name = next((entry["tags"], match.group().strip(" /;(")) for entry, match in matches if match)
    role = next((CRAWLER_CLASSES[tag] for tag in tags if tag in CRAWLER_CLASSES), None)
    return KnownAgent(role or "crawler", name)
