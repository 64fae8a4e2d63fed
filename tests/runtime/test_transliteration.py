"""Names in the other alphabet."""

import pytest

from tracker.runtime.transliteration import MOST, spellings


@pytest.mark.parametrize(
    ("word", "spelled"),
    [
        ("anna", "анна"),
        ("ivanov", "иванов"),
        ("olga", "ольга"),
        ("ilya", "илья"),
        ("ilia", "илья"),
        ("natalia", "наталья"),
        ("natalya", "наталья"),
        ("mariya", "мария"),
        ("mikhail", "михаил"),
        ("mihail", "михаил"),
        ("michail", "михаил"),
        ("sergeyev", "сергеев"),
        ("solovyov", "соловьев"),
        ("solovev", "соловев"),
        ("kuzmin", "кузьмин"),
        ("xenia", "ксения"),
        ("eduard", "эдуард"),
        ("yegor", "егор"),
        ("julia", "юлия"),
        ("zaitsev", "зайцев"),
        ("tchaikovsky", "чайковски"),
        ("schmidt", "шмидт"),
        ("weber", "вебер"),
        ("анна", "anna"),
        ("хрущев", "khrushchev"),
        ("сергей", "sergei"),
        ("юлия", "julia"),
        ("ксения", "xenia"),
        ("мюллер", "muller"),
        ("вебер", "weber"),
        ("шмидт", "schmidt"),
        ("егор", "yegor"),
        ("илья", "ilya"),
    ],
)
def test_a_name_is_spelled_as_people_do(word: str, spelled: str) -> None:
    assert spelled in spellings(word)


@pytest.mark.parametrize("word", ["", "a", "я", "3112", "a17", "annaа", "büro", "їжак", "北京", "Anna"])
def test_what_is_in_neither_alphabet_or_too_short_has_none(word: str) -> None:
    assert spellings(word) == []


@pytest.mark.parametrize("word", ["ye" * 30, "кс" * 30, "l" * 60, "ь" * 60, "qwertyuiopasdfghjklzxcvbnm"])
def test_there_are_few_whatever_is_typed(word: str) -> None:
    assert len(spellings(word)) <= MOST
