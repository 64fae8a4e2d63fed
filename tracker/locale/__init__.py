"""The words of the pages: English in the source, Russian in ``ru/LC_MESSAGES/messages.po``, chosen per request.

    with speaking("ru", "Europe/Moscow"):
        _("Mail")      # «Почта»

Python says ``from tracker.locale import _, ngettext, N_``; templates have the same names. Placeholders are
named (``%(name)s``): write ``_("Hello %(name)s", name=…)``; in a template ``%%`` is a percent sign.
``scripts/translations`` brings the catalogue up to date.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from tracker.runtime import localized_text
from tracker.runtime.localized_text import LocalizedError, localize_with

N_ = localized_text.N_

LANGUAGES = {"en": "English", "ru": "Русский"}
"""What people may choose, each by its own name."""

_language: ContextVar[str] = ContextVar("language", default="en")
_zone: ContextVar[str] = ContextVar("zone", default="UTC")


@contextmanager
def use_locale(language: str, zone: str = "UTC") -> Iterator[None]:
    """Within the block words are in ``language`` and times in ``zone``. Unknown ones fall back to English and UTC."""
    was_language, was_zone = _language.set(language if language in LANGUAGES else "en"), _zone.set(zone)
    try:
        yield
    finally:
        _language.reset(was_language)
        _zone.reset(was_zone)


def language() -> str:
    """The language being spoken: a key of :data:`LANGUAGES`."""
    return _language.get()


def babel_locale() -> Locale:
    """The same for Babel: dates and numbers. English is written the international way: day before month, 24 hours."""
    return _locale(_language.get())


def zone() -> ZoneInfo:
    """The reader's time zone."""
    return _zone_named(_zone.get())


def gettext(message: str, /, **values: object) -> str:
    """The message in the language being spoken, its placeholders filled where there are ``values``; nothing for nothing."""
    text = message and _translations(_language.get()).gettext(
        message
    )  # catalogues hold what they are under the empty text
    return text % values if values else text


_ = gettext


def ngettext(singular: str, plural: str, n: int, /, **values: object) -> str:
    """The form for ``n``, its placeholders filled; ``n`` itself is ``%(num)s``."""
    return plural_form(singular, plural, n) % {"num": n, **values}


def plural_form(singular: str, plural: str, n: int) -> str:
    return _translations(_language.get()).ngettext(singular, plural, n)


def pgettext(context: str, message: str) -> str:
    return _translations(_language.get()).pgettext(context, message)


def localize(text: str | LocalizedError) -> str:
    """A sentence, or that of an error, in the language being spoken; any other text as it is."""
    return str(localize_with(text.sentence if isinstance(text, LocalizedError) else text, gettext))


def best_language(accept_language: str) -> str:
    """The language of ours that a browser wants most (RFC 9110 section 12.5.4); English when it wants none of them."""
    wanted: list[tuple[float, int, str]] = []
    for place, item in enumerate(accept_language[:512].split(",")):
        tag, _, parameter = item.partition(";")
        name = tag.strip().partition("-")[0].lower()
        if name in LANGUAGES:
            wanted.append((-_weight(parameter), place, name))
    return min(wanted)[2] if wanted else "en"


def _weight(parameter: str) -> float:
    try:
        return float(parameter.strip().removeprefix("q="))
    except ValueError:
        return 1.0


@cache
def _locale(name: str) -> Locale:
    return Locale.parse("en_GB" if name == "en" else name)


@cache
def _zone_named(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@cache
def _translations(name: str) -> NullTranslations:
    if name == "en":
        return NullTranslations()
    compiled = BytesIO()
    with catalogue_of(name).open("rb") as file:
        write_mo(compiled, read_po(file))
    compiled.seek(0)
    return GNUTranslations(compiled)


def catalogue_of(name: str) -> Path:
    """The translations of a language, compiled in memory when it is first spoken: nothing is built or installed."""
    return Path(__file__).parent / name / "LC_MESSAGES" / "messages.po"
