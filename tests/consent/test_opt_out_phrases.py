"""Which words ask not to be tracked, and which only sound like it."""

import time

import pytest

from tracker.consent.rules import asks_not_to_be_tracked
from tracker.outbound.footer_text import WHAT

ASKS = [
    "Do not track",
    "do not track me",
    "Please do not track my emails.",
    "Don't track me, please",
    "Please don’t track whether I open your messages",
    "Thanks! But stop tracking me.",
    "STOP TRACKING",
    "Kindly stop tracking my clicks",
    "I ask you to stop tracking us",
    "I do not want to be tracked",
    "I don't want you to track me",
    "We do not consent to email tracking.",
    "I'd rather not be tracked",
    "I object to being tracked.",
    "I opt out of tracking",
    "Please turn off the tracking",
    "Please turn tracking off",
    "Remove your tracking pixel, please",
    "No tracking please",
    "I hereby withdraw my consent.",
    "I asked you not to track my opens",
    "не отслеживайте",
    "Пожалуйста, не отслеживайте мои письма",
    "Не надо меня отслеживать!",
    "Прошу больше не отслеживать открытия",
    "Не следите за мной",
    "Перестаньте следить за мной",
    "Прекратите отслеживание",
    "Хватит меня отслеживать",
    "Я не хочу, чтобы меня отслеживали",
    "Не хочу, чтобы за мной следили",
    "Я против отслеживания",
    "Возражаю против слежки",
    "Отключите отслеживание, пожалуйста",
    "Уберите пиксель",
    "Отзываю своё согласие",
    "Без отслеживания, пожалуйста",
    "The offer is fine.\n\nOne more thing: please do not\ntrack me in future.",
]
FALSE_FRIENDS = [
    "",
    "Can you track the parcel?",
    "Could you please track my order",
    "Don't track the parcel any more, it has arrived",
    "Please stop tracking the shipment",
    "Do not track changes in the document",
    "We do not track working hours",
    "We don't track emails here",
    "You do not track inventory, do you?",
    "There is no tracking number",
    "No tracking number was given",
    "Don't lose track of time",
    "We'll stop tracking this KPI next month",
    "I lost track",
    "We are on track",
    "Please remove the tracking number from the invoice",
    "How do you track opens?",
    "I agree to be tracked",
    "Please send the soundtrack",
    "Do not trackpad",
    "Can you unsubscribe me from the newsletter?",
    "Можете отследить посылку?",
    "Не отслеживайте посылку, она уже пришла",
    "Прошу не отслеживать этот заказ",
    "Посылка не отслеживается",
    "Мы не отслеживаем письма",
    "Следите за новостями",
    "Не следите за ценами, они не изменятся",
    "Трек-номер не работает",
    "Перестаньте отслеживать груз",
    "Отправьте без трек-номера",
    "Согласие прилагаю",
]


@pytest.mark.parametrize("text", ASKS)
def test_asks(text: str) -> None:
    assert asks_not_to_be_tracked(text)


@pytest.mark.parametrize("text", [*FALSE_FRIENDS, *WHAT.values(), "What is seen, and how to stop it"])
def test_does_not_ask(text: str) -> None:
    assert asks_not_to_be_tracked(text) is None


def test_the_sentence_is_quoted_as_it_was_written() -> None:
    text = "Hello Alice.\nThe price is good. Please don’t\ntrack  me. Bye"
    assert asks_not_to_be_tracked(text) == "Please don’t track me."


def test_a_long_sentence_is_cut_and_long_text_takes_no_time() -> None:
    assert len(asks_not_to_be_tracked("stop tracking me and " + "so on " * 200) or "") == 300
    started = time.process_time()
    for hostile in (
        "do not " * 5000,
        "не хочу " * 5000,
        "stop tracking " * 3000 + "the parcel",
        " " * 20000,
        "not to be " * 3000,
    ):
        asks_not_to_be_tracked(hostile)
    assert time.process_time() - started < 5
