"""What the reader's program is called, in the reader's language."""

import pytest

from tracker.engagement.judge.client_names import client_name
from tracker.locale import use_locale
from tracker.mail.maker_labels import client_label

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("client", "english", "russian"),
    [
        ("Chrome on Windows", "Chrome on Windows", "Chrome, Windows"),
        ("Gmail", "Gmail", "Gmail"),
        ("Android mail app", "a mail app on Android", "почтовое приложение Android"),
        ("App on iOS", "an app on iOS", "приложение iOS"),
        ("", "", ""),
    ],
)
def test_programs_are_named_in_the_readers_language(client: str, english: str, russian: str) -> None:
    with use_locale("en"):
        assert client_label(client) == english
    with use_locale("ru"):
        assert client_label(client) == russian


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (f"{IPHONE} Version/26.1 Mobile/15E148 Safari/604.1", "Safari on iOS"),
        (f"{IPHONE} CriOS/142.0.7444.46 Mobile/15E148 Safari/604.1", "Chrome on iOS"),
        (f"{IPHONE} Mobile/15E148 [SomeApp]/1", "App on iOS"),
    ],
)
def test_what_people_do_not_tell_apart_has_one_name(agent: str, name: str) -> None:
    assert client_name({"user-agent": agent}) == name
