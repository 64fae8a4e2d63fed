"""Words: nothing untranslated, nothing broken by its translation, the right one for each reader."""

import ast
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from tracker.locale import LANGUAGES, best_language, catalogue_of, gettext, localize, ngettext, use_locale
from tracker.locale.templates import create_environment
from tracker.runtime.database import now
from tracker.web.http import formats

ROOT = Path(__file__).resolve().parent.parent.parent
SAYING = {"_", "N_", "gettext", "ngettext", "pgettext", "LocalizedText"}
CATALOGUE = catalogue_of("ru")
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|\{\w*\}")


def translations() -> list[Message]:
    with CATALOGUE.open("rb") as file:
        return [message for message in read_po(file) if message.id]


def texts(template: Path, *options: str) -> list[Message]:
    """The texts of templates and code; ``options`` say which calls have them."""
    pybabel = [sys.executable, "-m", "babel.messages.frontend", "-q"]
    extract = ["extract", "-F", "pyproject.toml", *options, "-o", str(template), "templates", "tracker"]
    subprocess.run([*pybabel, *extract], cwd=ROOT, check=True)
    with template.open("rb") as file:
        return [message for message in read_po(file) if message.id]


def key(message: Message) -> tuple[str | None, str]:
    return message.context, forms(message.id)[0]


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text or ""] if text is None or isinstance(text, str) else list(text)


def test_the_catalogue_holds_every_text_and_no_other(tmp_path: Path) -> None:
    wanted = {key(message) for message in texts(tmp_path / "texts.pot", "-k", "LocalizedText", "-k", "ConsentError:2")}
    assert {key(message) for message in translations()} == wanted, "run scripts/translations"


def test_the_catalogue_is_complete() -> None:
    missing = [message.id for message in translations() if message.fuzzy or not all(forms(message.string))]
    assert not missing, f"translate in {CATALOGUE.relative_to(ROOT)}:\n" + "\n".join(map(str, missing))


def test_no_text_stands_inside_a_formatted_one() -> None:
    """There the tool that gathers texts does not see it: nobody is asked to translate it."""
    hidden = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in (ROOT / "tracker").rglob("*.py")
        for formatted in ast.walk(ast.parse(file.read_text()))
        if isinstance(formatted, ast.JoinedStr)
        for call in ast.walk(formatted)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SAYING
        if call.args and isinstance(call.args[0], ast.Constant)
    ]
    assert hidden == []


def test_no_text_of_the_catalogue_is_said_alone_and_counted(tmp_path: Path) -> None:
    """A catalogue holds one entry for both, and the plain one would be said with the plural's words."""
    keywords = [
        f"--keyword={keyword}" for keyword in ("_", "gettext", "N_", "LocalizedText", "ConsentError:2", "pgettext:1c,2")
    ]
    alone = texts(tmp_path / "alone.pot", "--no-default-keywords", *keywords)
    assert {key(message) for message in alone} & {key(m) for m in translations() if len(forms(m.id)) > 1} == set()


def test_translations_of_the_catalogue_keep_the_placeholders() -> None:
    broken = [
        text
        for message in translations()
        for text in forms(message.string)
        if text and set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(forms(message.id)[-1]))
    ]
    assert broken == []


def test_translations_of_the_catalogue_are_russian() -> None:
    """A string of three English words or more that came through unchanged was forgotten."""
    same = [
        message.id
        for message in translations()
        if message.string == message.id and len(re.findall(r"[a-z]{3,}", str(message.id))) >= 3
    ]
    assert same == []


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", "ru"),
        ("de-DE, en;q=0.9, ru;q=0.8", "en"),
        ("de, fr", "en"),
        ("en;q=0.5, RU ; q=0.7", "ru"),
        ("ru;q=x", "ru"),
        ("," * 10_000 + "ru", "en"),
    ],
)
def test_the_first_guess_follows_the_browser(accept: str, language: str) -> None:
    assert best_language(accept) == language


@pytest.mark.parametrize(
    ("n", "words"), [(1, "1 секунда"), (3, "3 секунды"), (5, "5 секунд"), (21, "21 секунда"), (111, "111 секунд")]
)
def test_russian_counts_in_three_forms(n: int, words: str) -> None:
    with use_locale("ru"):
        assert ngettext("%(num)d second", "%(num)d seconds", n) == words


def test_nothing_is_nothing_in_every_language() -> None:
    """A catalogue holds its own description under the empty text: a report showed it where a channel was unknown."""
    for language in LANGUAGES:
        with use_locale(language):
            assert (gettext(""), localize("")) == ("", "")


def test_an_unknown_language_or_zone_falls_back() -> None:
    with use_locale("tlh", "Mars/Olympus"):
        assert gettext("Settings") == "Settings"
        assert "(UTC)" in formats.full(datetime(2026, 3, 1, 12, tzinfo=UTC))


def test_times_are_the_readers_with_the_zone_in_the_tooltip() -> None:
    at = datetime(2024, 7, 1, 12, 0, 5, tzinfo=UTC)
    with use_locale("en", "Asia/Tokyo"):
        assert str(formats.when(at)) == (
            '<time datetime="2024-07-01T12:00:05+00:00" title="1 Jul 2024, 21:00:05 (Asia/Tokyo, JST)">1 Jul 2024</time>'
        )
    with use_locale("ru", "Europe/Moscow"):
        assert "1 июл. 2024" in formats.when(at)


@pytest.mark.parametrize(
    ("seconds", "english", "russian"),
    [
        (5, "just now", "только что"),
        (65, "1 min ago", "1 мин. назад"),
        (7300, "2 hr ago", "2 ч назад"),
        (180_000, "2 days ago", "2 дн. назад"),
    ],
)
def test_distances_are_short(seconds: int, english: str, russian: str) -> None:
    at = now() - timedelta(seconds=seconds)
    with use_locale("en"):
        assert formats.relative(at) == english
    with use_locale("ru"):
        assert formats.relative(at) == russian


@pytest.mark.parametrize(
    ("written", "english", "russian"),
    [
        ("{{ _('Settings') }}", "Settings", "Настройки"),
        ("{{ pgettext('section', 'Mailboxes') }}", "Mailboxes", "Почтовые ящики"),
        ("{{ none or _('Settings') }}", "Settings", "Настройки"),
        ("{% set words = {'a': _('Settings')} %}{{ words[key] }}", "Settings", "Настройки"),
        ("{{ _('100 %% & <more>') }}", "100 % & <more>", "100 % & <more>"),
        ("{{ _('%(n)s <of> us', n='<b>') }}", "&lt;b&gt; <of> us", "&lt;b&gt; <of> us"),
        ("{{ _(said) }}", "Settings", "Настройки"),
        ("{{ ngettext('%(num)s repeat', '%(num)s repeats', 2) }}", "2 repeats", "2 повтора"),
    ],
)
def test_words_that_are_translated_when_a_template_is_read_are_those_of_each_time(
    written: str, english: str, russian: str
) -> None:
    for language, expected in (("en", english), ("ru", russian)):
        with use_locale(language):
            for environment in (create_environment(language), create_environment()):
                assert environment.from_string(written).render(key="a", said="Settings") == expected
