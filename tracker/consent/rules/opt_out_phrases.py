"""Words by which somebody asks not to be tracked. Pure.

A table of phrases, tried on each sentence of what was written. What is found is shown to a person who decides; nothing follows from
it alone. So a phrase may be broad, but it must not be about parcels.
"""

import re
from functools import cache

LONGEST_QUOTE = 300
_MOST_TEXT = 20_000

_ME = (
    r"(?:me|us|my|our|mine|anyone|people|recipients|(?:this|these|your|the|e-?mail|mail)?\s*(?:e-?mails?|mails?|messages?|letters?|opens?"
    r"|clicks?|links?|recipients?)|whether|when|if|what|how|like|in|with|please|thanks|thank|any\s*more|anymore|again|and|or)\b"
)
_AFTER = rf"(?:\s*[.!?…,:)\"'»”]|\s*$|\s+{_ME})"
_STOP = r"(?:stop|quit|cease|refrain\s+from|please\s+no|no\s+more|without)"
_NOT_OURS = r"(?<!\bi )(?<!\bwe )(?<!\bthey )(?<!\byou )(?<!\bhe )(?<!\bshe )(?<!\bto )(?<!'ll )(?<!will )"
_MEASURED = r"(?:track(?:ing|er|ers)?|read(?:ing)?[- ]receipts?|(?:tracking|spy|web)[- ]?(?:pixels?|beacons?|links?))"
_EN = (
    rf"{_NOT_OURS}\b(?:do\s+not|don'?t|never)\s+(?:please\s+)?(?:ever\s+)?(?:track|spy\s+on){_AFTER}",
    rf"\bnot\s+to\s+(?:be\s+tracked|track{_AFTER})",
    rf"{_NOT_OURS}\b{_STOP}\s+(?:track|spy)ing(?:\s+on)?{_AFTER}",
    rf"\b(?:ask|asked|asking|want|like|urge|tell|beg)\s+you\s+to\s+stop\s+tracking{_AFTER}",
    r"\b(?:do\s+not|don'?t|did\s+not|didn'?t|never|no\s+longer)\s+(?:want|wish|like|agree|consent(?:ed)?|agreed)\b[^.!?]{0,40}"
    rf"\b(?:you\s+to\s+track\s+(?:me|us|my|our)|(?:to\s+be|being)\s+tracked|(?:to|with)\s+(?:the\s+|your\s+|any\s+|e-?mail\s+)*{_MEASURED}{_AFTER})",
    r"\b(?:would|'d)\s+(?:rather|prefer)\s+(?:not\s+(?:to\s+)?be|you\s+did(?:n't|\s+not))\s+(?:being\s+)?track(?:ed)?\b",
    rf"\b(?:object|opt(?:ing)?[- ]out|unsubscribe\s+me)\s*(?:to|of|from)\s+(?:the\s+|your\s+|any\s+|all\s+|e-?mail\s+|being\s+)*"
    rf"track(?:ing|ed){_AFTER}",
    rf"\b(?:turn|switch)\s+(?:off\s+)?(?:the\s+|your\s+|this\s+|e-?mail\s+)*{_MEASURED}\s*(?:off\b|{_AFTER})",
    rf"\b(?:disable|remove|drop|deactivate|get\s+rid\s+of)\s+(?:the\s+|your\s+|this\s+|all\s+|any\s+|e-?mail\s+)*{_MEASURED}{_AFTER}",
    rf"^\W*no\s+(?:e-?mail\s+|more\s+)?{_MEASURED}{_AFTER}",
    r"\b(?:i|we)\s+(?:hereby\s+)?(?:withdraw|revoke)\s+(?:my|our|the|any)\s+consent\b",
)
_THING = (
    r"(?:посыл|заказ|груз|отправлени|доставк|изменени|курс|цен[уыа]|бюджет|задач|парти[юи]|контейнер"
    r"|трек-?номер|статус|машин|рейс|ход\b|срок)"
)
_NO_THING = rf"(?!(?:\s+\S+){{0,2}}?\s+{_THING})"
_SPY = r"(?:отслежива\w*|отследить|трека(?:ть|йте|й|ете)|слеж(?:ки|ку|ка)\b)"
_RU = (
    rf"\bне\s+(?:надо\s+|нужно\s+|стоит\s+|смейте\s+|следует\s+)?(?:меня\s+|нас\s+|больше\s+)*(?:отслеживай(?:те)?|отслеживать|трекай(?:те)?|трекать)\b{_NO_THING}",
    r"\bне\s+(?:надо\s+|нужно\s+)?(?:больше\s+)?след(?:ите|и|ить)\s+за\s+(?:мной|нами|мо(?:ей|им|ими)|наш\w+|тем\b)",
    rf"\b(?:прекратите|прекрати|перестаньте|перестань|хватит|довольно|прекращайте)\s+(?:меня\s+|нас\s+)?(?:отслежива(?:ть|ние)|трекать|слежку){_NO_THING}",
    r"\b(?:прекратите|прекрати|перестаньте|перестань|хватит|довольно)\s+(?:за\s+(?:мной|нами)\s+)?(?:следить|шпионить)(?:\s+за\s+(?:мной|нами|мо\w+|наш\w+)|\s*[.!,]|\s*$)",
    r"\bне\s+(?:хочу|хотим|желаю|желаем|хотел(?:а|и)?\s+бы|согласен|согласна|согласны|давал(?:а|и)?)\b[^.!?]{0,40}"
    r"(?:отслеживал(?:и|ись)?\b(?=[^.!?]*)|\bотслеживани|\bследили\s+за\s+(?:мной|нами)|\bза\s+(?:мной|нами)\s+следили|\bтрекинг|\bслежк)"
    + _NO_THING,
    rf"\b(?:против|возражаю\s+против|возражаем\s+против|отказываюсь\s+от|отказываемся\s+от|запрещаю|без)\s+(?:любого\s+|всякого\s+|вашего\s+)?(?:{_SPY}|трекинга|трекинг){_NO_THING}",
    rf"\b(?:отключите|выключите|уберите|удалите|отмените|снимите)\s+(?:меня\s+с\s+|пожалуйста,?\s+|это\s+|ваш[еу]?\s+|свой\s+)*(?:отслеживани[ея]|трекинга?|слежку|(?:трекинговый\s+|следящий\s+)?пиксель){_NO_THING}",
    r"\bотз(?:ываю|ываем|овите)\s+(?:сво[её]\s+|мо[её]\s+|наше\s+|данное\s+)?(?:ранее\s+\S+\s+)?согласи[ея]",
)
_STEMS = (
    "track",
    "spy",
    "receipt",
    "pixel",
    "beacon",
    "link",
    "consent",
    "отсле",
    "трек",
    "след",
    "слеж",
    "шпион",
    "пиксел",
    "согласи",
)
"""One of these is in every phrase; nearly every letter has none, and its sentences need no closer look."""
_ENDS = re.compile(r"(?<=[.!?…])\s+|\n\s*\n|;\s|(?<=\w)\s*\n(?=[^\S\n]*[-*•])")


def may_ask(text: str) -> bool:
    """False where nothing can be found, told at once. ``text`` may hold quotations."""
    plain = text.casefold()
    return any(stem in plain for stem in _STEMS)


def asks_not_to_be_tracked(text: str) -> str | None:
    """The sentence that says so, as it was written; None where none does. ``text`` is what the writer wrote, without quotations."""
    text = text[:_MOST_TEXT]
    if not may_ask(text):
        return None
    for sentence in _ENDS.split(text):
        words = " ".join(sentence.split())
        plain = words.replace("’", "'").replace("ʼ", "'")
        if may_ask(plain) and any(phrase.search(plain) for phrase in _phrases()):
            return words[:LONGEST_QUOTE]
    return None


@cache
def _phrases() -> tuple[re.Pattern[str], ...]:
    """Compiled when the first sentence asks for them: that takes longer than all the rest of this package."""
    return tuple(re.compile(phrase, re.IGNORECASE) for phrase in (*_EN, *_RU))
