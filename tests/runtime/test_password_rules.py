"""Which passwords are taken: none of those that are tried first, whatever stands around them; and ordinary good ones are."""

import time

import pytest

from tracker.runtime.password_rules import wrong_password

OWN = ("anna.petrova@mail-firm.example", "Anna Petrova")


@pytest.mark.parametrize(
    "password",
    [
        " " * 12,
        "a" * 12,
        "a" * 900,
        "passwordpassword",
        "password password",
        "Password123!",
        "P@ssw0rd2024",
        "qwertyuiop12",
        "1q2w3e4r5t6y",
        "qazwsxedcrfv",
        "1234567890",
        "0987654321",
        "abcdefghijkl",
        "abcabcabcabc",
        "monkey monkey",
        "monkey-monkey",
        "dragon_dragon",
        "letmein letmein",
        "iloveyou123",
        "drowssapdrowssap",
        "йцукенгшщзхъ",
        "Йцукенгшщз1",
        "парольпароль",
        "пароль123456",
        "anna.petrova@mail-firm.example",
        "Anna.Petrova@mail-firm.example1",
        "annapetrova",
        "Anna Petrova!!",
        "petrova-anna-1",
        "mail-firm.example",
        "anna anna anna",
        "mail-firm-anna",
        "\u2003" * 12,
        "....................",
        "1111 2222 1111 2222",
    ],
)
def test_what_is_tried_first_is_not_taken(password: str) -> None:
    assert "first that are tried" in str(wrong_password(password, OWN))


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a long enough one",
        "another long one",
        "ink and paper",
        "xK9#mQ2$vL",
        "длинная фраза сойдёт",
        "мой кот любит рыбу",
        "anna likes green apples",
        "日本語の長いパスワード文",
        "correct horse " * 71,
        "tr4il-mix-and-tea",
    ],
)
def test_an_ordinary_good_one_is_taken(password: str) -> None:
    assert wrong_password(password, OWN) is None


@pytest.mark.parametrize(
    ("password", "words"), [("short one", "too short"), ("", "too short"), ("ab " * 400, "too long")]
)
def test_the_length_is_said(password: str, words: str) -> None:
    assert words in str(wrong_password(password, OWN))


def test_nobody_waits_long_for_it() -> None:
    wrong_password("to load the lists")
    began = time.process_time()
    for password in ("aA1!" * 250, "qwerty" * 160, "password1 " * 99, "".join(map(chr, range(33, 1000)))):
        wrong_password(password, OWN)
    assert time.process_time() - began < 60, "without a bound on what is looked at it takes many minutes"
