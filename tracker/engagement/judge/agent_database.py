"""Agents that Matomo's device-detector names and our own tables do not: its data alone, in our classes.

What only a name tells is weak evidence: :attr:`KnownAgent.by_name_alone`. The data is read when the first agent comes that neither
our tables nor the crawler list know and that is no plain browser; answers are kept by :func:`known_agents.known_agent`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast
from urllib.parse import unquote

Kind = Literal["preview", "tool", "crawler", "mail_client"]

BOT_KINDS: Mapping[str, Kind] = {
    "Social Media Agent": "preview",
    "Security Checker": "tool",
    "Security search bot": "tool",
    "Network Monitor": "tool",
    "Site Monitor": "tool",
}
"""Our class for the categories of bots; all others are crawlers."""
NO_MAIL_PROGRAMS = frozenset(
    {
        "DAVdroid",
        "Live5ch",
        "JaneView",
        "BathyScaphe",
        "Raindrop.io",
        "Franz",
        "Rambox Pro",
        "Notion",
        "Basecamp",
        "Evernote",
    }
    | {"Google Calendar", "Apple Calendar", "Samsung Calendar", "YouMail", "Google Messages"}
)
"""Programs among those for personal information that show no mail of their own."""
MESSENGERS = re.compile(
    r"whatsapp|viber|skype|telegram|^line$|wechat|kakao|^signal$|slack|^teams$|groupme|^kik$|snapchat|messenger|discord|dingtalk"
    r"|^lark$|^imo |zalo|rocket ?chat|webex|mattermost|zoho chat|icq|threema|jabber|^wire$|element|google messages|tango|textme",
    re.IGNORECASE,
)
"""Of the apps, those in which people paste links: asked by the app itself and not by a browser in it, that is a preview."""

BROAD = frozenset({"Mail.Ru Bot"})
"""Entries that take mail programs, too."""
_ANY_MAIL_PROGRAM = re.compile(r"(?:[\w.!&%-]+ )?[\w.!&%-]*mail(?:app)?(?=/\d|[ (]|$)", re.IGNORECASE)
_ANY_BOT = re.compile(r"[\w.-]*(?<!cu)bot(?=[/ ;(]|$)", re.IGNORECASE)
_COMPATIBLE = re.compile(r"Mozilla/[45]\.0 \(compatible; (?!MSIE|Konqueror|OmniWeb)([\w.-]+)[^()]*\)$", re.IGNORECASE)
"""Called compatible, without an engine: no browser of this century."""
_MACHINE = re.compile(r"bot\b|crawl|spider|scan|proxy|check|valid|https?:", re.IGNORECASE)
_FIRST_TOKEN = re.compile(r"[^/\s(;]+(?: [^/\s(;]+){0,3}")
_BROWSER_INSIDE = re.compile(r"Mozilla/|AppleWebKit|Gecko/", re.IGNORECASE)
PLAIN_BROWSER = re.compile(
    r"Mozilla/5\.0 \([^()]*(?:\([^()]*\)[^()]*)*\) (?:Gecko/\S+ Firefox/[\d.]+|AppleWebKit/[\d.+]+ \(KHTML, like Gecko\)"
    r"(?: (?:Version|Chrome|CriOS|FxiOS|EdgiOS|Mobile|Safari|Edge?|EdgA|OPR|SamsungBrowser|YaBrowser|Vivaldi)(?:/[\w.]+)?)*)"
)
"""Agents that are a browser and nothing else: there is nothing to look up."""


def named_by_database(agent: str) -> tuple[Kind, str] | None:
    """The class and the name of an agent by the database; None for what it does not know, and for browsers."""
    if not agent or PLAIN_BROWSER.fullmatch(agent):
        return None
    return _bot(agent) or _mail_program(agent) or _messenger(agent) or _compatible(agent)


def _bot(agent: str) -> tuple[Kind, str] | None:
    entry = _found(agent, "upstream/bots.yml")
    if entry is None and not _BROWSER_INSIDE.search(agent) and (like := _ANY_BOT.match(agent)):
        return "crawler", like[0]
    return (BOT_KINDS.get(str(entry.get("category")), "crawler"), str(entry["name"])) if entry else None


def _compatible(agent: str) -> tuple[Kind, str] | None:
    named = _COMPATIBLE.match(agent)
    if named is None:
        return None
    return ("preview" if MESSENGERS.search(named[1]) else "crawler", named[1])


def _mail_program(agent: str) -> tuple[Kind, str] | None:
    for path in ("local/client/pim.yml", "upstream/client/pim.yml"):
        entry = _found(agent, path)
        if entry and entry["name"] not in NO_MAIL_PROGRAMS:
            return "mail_client", str(entry["name"])
    name = _called(agent, "appdetails/pim.yml")
    if not name and (like := _ANY_MAIL_PROGRAM.match(agent)) and not _MACHINE.search(agent):
        name = unquote(like[0])
    return ("mail_client", name) if name and name not in NO_MAIL_PROGRAMS else None


def _messenger(agent: str) -> tuple[Kind, str] | None:
    if _BROWSER_INSIDE.search(agent):
        return None
    token = _FIRST_TOKEN.match(unquote(agent))
    name = _called(agent, "appdetails/messaging.yml") or (token[0] if token and MESSENGERS.fullmatch(token[0]) else "")
    for path in ("local/client/mobile_apps.yml", "upstream/client/mobile_apps.yml"):
        entry = None if name else _found(agent, path)
        name = name or (str(entry["name"]) if entry else "")
    return ("preview", name) if name and MESSENGERS.search(name) else None


def _called(agent: str, path: str) -> str:
    """The name for the agent's first word or words, which is how apps name themselves."""
    token = _FIRST_TOKEN.match(unquote(agent))
    return _names(path).get(token[0].strip().lower(), "") if token else ""


def _found(agent: str, path: str) -> Mapping[str, Any] | None:
    """The first entry of a file whose pattern fits. Its words are looked for all at once before; most agents have none of them."""
    from device_detector.yaml_loader import load_ahocorasick_patterns

    words = load_ahocorasick_patterns(_KINDS_OF_WORDS[path], (path,))
    words_in_agent = words.find_matches_as_strings(agent.lower()) if words is not None else []
    if not words_in_agent:
        return None
    # A pattern is compiled when it is asked; those that hold the word are asked first, so that most never are.
    spelled = [word.strip(" /;:-") for word in words_in_agent]
    entries = _data(f"regexes/{path}")
    likely = [entry for entry in entries if any(word in entry["regex"].lower() for word in spelled)]
    fits = (entry for entry in (*likely, *entries) if _pattern(entry["regex"]).search(agent))
    return next((fit for fit in fits if fit["name"] not in BROAD), None)


@cache
def _pattern(text: str) -> Any:
    """By the engine that these patterns are written for: Python's own has no look-behind of several lengths."""
    import regex
    from device_detector.settings import BOUNDED_REGEX

    return regex.compile(BOUNDED_REGEX.format(unquote(text)), regex.IGNORECASE)


_KINDS_OF_WORDS = {
    "upstream/bots.yml": "Bot",
    "local/client/pim.yml": "PIM",
    "upstream/client/pim.yml": "PIM",
    "local/client/mobile_apps.yml": "MobileApp",
    "upstream/client/mobile_apps.yml": "MobileApp",
}


@cache
def _names(path: str) -> Mapping[str, str]:
    return {str(entry["uaname"]).lower(): str(entry["name"]) for entry in _data(path)}


@cache
def _data(path: str) -> Sequence[Mapping[str, Any]]:
    import yaml_rs  # what device-detector reads its own data with

    entries: Any = yaml_rs.loads(files("device_detector").joinpath(path).read_text("utf-8"))
    return cast("Sequence[Mapping[str, Any]]", entries)
