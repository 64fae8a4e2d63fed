"""Sentences that every reader gets in a language of their own."""

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.locale import localize, use_locale
from tracker.mail.addresses import AddressError, normalise
from tracker.models import Account
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import LocalizedText, localize_with, restored, server_reply_text, stored


def test_a_sentence_is_its_english_text() -> None:
    sentence = LocalizedText("Nothing listens on %(where)s. Check the port.", where="mail.example:25")
    assert sentence == "Nothing listens on mail.example:25. Check the port."
    assert isinstance(sentence, str)


def test_it_is_said_again_in_another_language_with_its_values() -> None:
    sentence = LocalizedText("Nothing listens on %(where)s. Check the port.", where="mail.example:25")
    with use_locale("ru"):
        assert localize(sentence) == "По адресу mail.example:25 никто не отвечает. Проверьте порт."
    assert localize(sentence) == sentence


def test_a_sentence_inside_a_sentence_is_translated_too() -> None:
    inner = LocalizedText("Sending works.")
    assert localize_with(
        LocalizedText("%(first)s %(second)s", first=inner, second="x"),
        lambda text: text.upper() if "works" in text else text,
    ) == ("SENDING WORKS. x")


def test_errors_speak_the_readers_language() -> None:
    with pytest.raises(AddressError) as refused, use_locale("ru"):
        normalise("anna")
    assert "has no @" in str(refused.value)
    with use_locale("ru"):
        assert "нет знака @" in localize(refused.value)


@pytest.mark.parametrize(
    "text",
    ["", "550 5.1.1 No such user", '{"say": 7}', '{"say": "%(a)s", "with": {}}', '{"say": broken', '{"other": 1}'],
)
def test_other_peoples_words_stay_as_they_are(text: str) -> None:
    assert str(restored(stored(text))) == text or "%(a)s" in text


def test_a_row_keeps_the_sentence_whole(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    account = people.account(people.user(), smtp_sink)
    detail = LocalizedText("%(address)s: %(problem)s", address="a@b.example", problem=LocalizedText("Sending works."))
    with context.database.session_scope() as session:
        row = session.get_one(Account, account.id)
        row.state_detail = detail
        session.add(row)
    with context.database.reading() as session:
        stored_detail = session.exec(select(Account.state_detail)).one()
    assert stored_detail == "a@b.example: Sending works."
    with use_locale("ru"):
        assert localize(stored_detail) == "a@b.example: Отправка работает."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("b'[AUTHENTICATIONFAILED] Authentication failed.'", "[AUTHENTICATIONFAILED] Authentication failed."),
        ('b"Don\'t do that"', "Don't do that"),
        ("b'caf\\xe9 ferm\\xe9\\r\\n'", "caf\ufffd ferm\ufffd"),
        (b"5.7.8 no\r\n 5.7.8 really", "5.7.8 no 5.7.8 really"),
        ("by then", "by then"),
        ("b'", "b'"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_what_a_server_said_is_shown_without_pythons_marks(words: bytes | str, said: str) -> None:
    assert server_reply_text(words) == said
