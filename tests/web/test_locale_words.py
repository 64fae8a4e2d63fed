"""Words: nothing untranslated, nothing broken by its translation, the right one for each reader."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tracker.db import now
from tracker.locale import best_language, gettext, ngettext, speaking
from tracker.locale.__main__ import LANGUAGE, missing
from tracker.locale.catalogue import part_files, read_part
from tracker.locale.words import collect
from tracker.web import formats

PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|\{\w*\}")


def test_every_string_has_its_russian() -> None:
    gaps = [f"{word.part}.po: {word.id!r} ({word.places[0][0]})" for word in missing(collect())]
    assert not gaps, "run scripts/translations and translate what is empty:\n" + "\n".join(gaps)


def test_translations_keep_the_placeholders() -> None:
    broken = []
    for path in part_files(LANGUAGE):
        for message in read_part(path):
            originals = [message.id] if isinstance(message.id, str) else list(message.id)
            wanted = set(PLACEHOLDER.findall(originals[-1]))
            strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
            broken += [
                f"{path.name}: {s!r}" for s in strings if message.id and s and set(PLACEHOLDER.findall(s)) != wanted
            ]
    assert broken == []


def test_translations_are_russian() -> None:
    """A string of three English words or more that came through unchanged was forgotten."""
    same = [
        message.id
        for path in part_files(LANGUAGE)
        for message in read_part(path)
        if message.id and message.string == message.id and len(re.findall(r"[a-z]{3,}", str(message.id))) >= 3
    ]
    assert same == []


def test_no_string_is_translated_twice_in_two_ways() -> None:
    seen: dict[tuple[str, str], str] = {}
    for path in part_files(LANGUAGE):
        for message in read_part(path):
            if not message.id or not message.string:
                continue
            key = (message.context or "", str(message.id))
            assert seen.setdefault(key, str(message.string)) == str(message.string), f"{path.name}: {message.id}"


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
    with speaking("ru"):
        assert ngettext("%(num)d second", "%(num)d seconds", n) % {"num": n} == words


def test_an_unknown_language_or_zone_falls_back() -> None:
    with speaking("tlh", "Mars/Olympus"):
        assert gettext("Settings") == "Settings"
        assert "(UTC)" in formats.full(datetime(2026, 3, 1, 12, tzinfo=UTC))


def test_times_are_the_readers_with_the_zone_in_the_tooltip() -> None:
    at = datetime(2024, 7, 1, 12, 0, 5, tzinfo=UTC)
    with speaking("en", "Asia/Tokyo"):
        assert str(formats.when(at)) == (
            '<time datetime="2024-07-01T12:00:05+00:00" title="1 Jul 2024, 21:00:05 (Asia/Tokyo, JST)">1 Jul 2024</time>'
        )
    with speaking("ru", "Europe/Moscow"):
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
    with speaking("en"):
        assert formats.relative(at) == english
    with speaking("ru"):
        assert formats.relative(at) == russian
