"""Notices in words: the line for the bell, in the words of each reader. What was counted is in the notice's facts."""

from collections.abc import Callable, Mapping

from tracker.models import Letter, Mailbox, Notice
from tracker.sentences import Sentence

MAILED = frozenset({"broken", "broken_long", "recovered", "problems"})
"""What also goes by mail: it needs doing, or ends what did."""


def bell_words(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    """The sentence of the bell, and the subject of the mail."""
    return _WORDS.get(notice.event, _otherwise)(notice, mailbox, letter)


def _broken(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    return Sentence("The mailbox %(address)s cannot be read any more", address=mailbox.address)


def _broken_long(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    return Sentence("The mailbox %(address)s has not been read for a day", address=mailbox.address)


def _recovered(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    return Sentence("The mailbox %(address)s is read again", address=mailbox.address)


def _problems(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    count = sum(int(n) for n in notice.facts.get("codes", {}).values())
    return Sentence("%(address)s: trouble with letters (%(count)s)", address=mailbox.address, count=count)


def _first_load(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    letters = int(notice.facts.get("letters", 0))
    return Sentence("Letters loaded from %(address)s: %(letters)s", address=mailbox.address, letters=letters)


def _loop(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    sender = letter.sender if letter is not None else mailbox.address
    return Sentence(
        "%(sender)s writes again and again, as a machine does. The letters are stored; nobody is told of more of them today",
        sender=sender,
    )


def _otherwise(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> Sentence:
    return Sentence("News of the mailbox %(address)s", address=mailbox.address)


_WORDS: Mapping[str, Callable[[Notice, Mailbox, Letter | None], Sentence]] = {
    "broken": _broken,
    "broken_long": _broken_long,
    "recovered": _recovered,
    "problems": _problems,
    "first_load": _first_load,
    "loop": _loop,
}
