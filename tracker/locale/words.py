"""Which words the pages say, where, and to which part of the catalogue they belong."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from babel.messages.catalog import Message
from babel.messages.extract import extract_from_file

ROOT = Path(__file__).resolve().parent.parent.parent
Key = tuple[str, str]
"""Context (empty when there is none) and the English singular."""

# The first part whose pattern fits has the word; so the particular stands before the general.
_FRAME = (
    *("app", "page", "auth", "cross_origin", "errors", "formats", "forms", "field_errors", "throttle", "policy_words"),
    *("sign_in", "set_up", "bell_lines", "notifications_page", "alert_form", "feed", "health"),
)
_SETTINGS = ("profile", "people", "api_tokens", "accounts_page", "workspace_page")
_RIGHTS = (
    *(
        "tracker/consent_notice.py",
        "tracker/privacy/*",
        "tracker/outgoing/asking*",
        "tracker/outgoing/footer_words.py",
    ),
    *("tracker/web/own_page*", "tracker/web/asking*", "tracker/web/privacy_*", "tracker/commands/rights.py"),
    *("templates/own_*", "templates/asking*", "templates/settings_privacy*", "templates/privacy_*"),
)
_CONSENT = (
    "tracker/consent/*",
    "tracker/ledger.py",
    "tracker/web/consent_*",
    "templates/*consent*",
    "tracker/consent_*",
)
_ACCOUNTS = (
    *("tracker/web/oauth_page.py", "tracker/web/domain_page.py", "tracker/oauth*.py", "tracker/outgoing/domain_*.py"),
    *("tracker/outgoing/host_health.py", "tracker/outgoing/rates.py", "tracker/outgoing/sending_services.py"),
    *("tracker/outgoing/self_test.py", "tracker/web/test_mail_page.py", "templates/*settings_test_mail.html"),
    *("templates/settings_oauth.html", "templates/*settings_domain.html"),
)
_COMPOSE = (
    "templates_page",
    "signatures_page",
    "pictures",
    "merge",
    "compose",
    "compose_plan",
    "compose_start",
    "drafts",
)
_COMPOSE_PAGES = ("_editor", "_compose*", "compose", "settings_template*", "settings_signatures")
_LETTERS = ("enquiries", "letter", "letter_*", "mailbox_*", "mailboxes_page")
_LETTER_PAGES = ("enquiries", "letter", "_letter_*", "mailbox*", "_mailbox*", "_repeat_example")
PARTS: tuple[tuple[str, str], ...] = (
    *(("compose", f"tracker/web/{module}.py") for module in _COMPOSE),
    *(("compose", f"templates/{name}.html") for name in _COMPOSE_PAGES),
    *(("accounts", pattern) for pattern in _ACCOUNTS),
    *(("rights", pattern) for pattern in _RIGHTS),
    *(("consent", pattern) for pattern in _CONSENT),
    ("api", "tracker/web/api/*"),
    *(("frame", f"tracker/web/{module}.py") for module in _FRAME),
    *(("settings", f"tracker/web/{module}.py") for module in _SETTINGS),
    *(("letters", f"tracker/web/{module}.py") for module in _LETTERS),
    *(("letters", f"templates/{name}.html") for name in _LETTER_PAGES),
    ("mail", "tracker/web/*"),
    ("settings", "templates/settings*"),
    *(
        ("frame", f"templates/{name}.html")
        for name in (
            "base",
            "_controls",
            "_flash",
            "_keys",
            "_bell*",
            "notifications",
            "sign_in",
            "set_up",
            "error",
            "new_password",
        )
    ),
    ("mail", "templates/*"),
    ("letters", "tracker/notices/*"),
    ("reading", "tracker/inbound/*"),
    ("words", "tracker/*"),
)

KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "N_": None,
    "Sentence": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


@dataclass
class Word:
    """A string to translate. ``id`` is the English, or singular and plural."""

    id: str | tuple[str, ...]
    context: str | None
    part: str
    places: list[tuple[str, int]] = field(default_factory=list)


def collect() -> dict[Key, Word]:
    """Every string of templates and code, in the order of files and lines."""
    words: dict[Key, Word] = {}
    for path in _files():
        place = path.relative_to(ROOT).as_posix()
        method = "jinja2.ext.babel_extract" if path.suffix == ".html" else "python"
        for line, id_, _comments, context in extract_from_file(
            method, path, keywords=KEYWORDS, options={"silent": "false"}
        ):
            key = (context or "", id_ if isinstance(id_, str) else id_[0])
            word = words.setdefault(key, Word(id_, context, part_of(place)))
            if isinstance(word.id, str) is not isinstance(id_, str):
                # A catalogue holds one entry for both, and the plain one would be said with the plural's words.
                raise ValueError(f"{place}:{line}: {key[1]!r} is said alone and counted; write one of them otherwise")
            word.places.append((place, line))
    return words


def part_of(place: str) -> str:
    return next(part for part, pattern in PARTS if fnmatch(place, pattern))


def key_of(message: Message) -> Key:
    return message.context or "", message.id if isinstance(message.id, str) else message.id[0]


def _files() -> Iterator[Path]:
    yield from sorted((ROOT / "templates").rglob("*.html"))
    yield from sorted(path for path in (ROOT / "tracker").rglob("*.py") if path.parent.name != "locale")
