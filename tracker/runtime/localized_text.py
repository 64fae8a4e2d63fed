"""Sentences for people that keep their words apart, so that each reader gets them in a language of their own. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

_OCTETS = re.compile(r"""b(["'])(.*)\1""", re.DOTALL)


def N_(text: str) -> str:
    """Marks a text for translation and gives it back as it is."""
    return text


class LocalizedText(str):
    """An English sentence that remembers the message it was made from and its values.

    ``LocalizedText("%(host)s did not answer.", host="mail.example")`` is the finished English text; :meth:`localize` says it in
    another language. Values are never secrets: they are stored and shown.
    """

    msgid: str
    values: dict[str, str | int]

    def __new__(cls, msgid: str, **values: str | int) -> Self:
        made = super().__new__(cls, msgid % values if values else msgid)
        made.msgid, made.values = msgid, values
        return made

    def localize(self, translate: Callable[[str], str]) -> str:
        """The sentence in the words of ``translate``; values that are sentences themselves are translated too."""
        text = translate(self.msgid)
        return (
            text % {name: localize_with(value, translate) for name, value in self.values.items()}
            if self.values
            else text
        )


def localize_with(text: Any, translate: Callable[[str], str]) -> Any:
    """``text`` in the words of ``translate`` where it is a :class:`LocalizedText`, anything else as it is."""
    return text.localize(translate) if isinstance(text, LocalizedText) else text


class LocalizedError(ValueError):
    """An error that carries a sentence for the person who can do something about it: ``sentence``, English as text."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


ActionCode = Literal["invalid", "not_found", "forbidden", "conflict", "too_large", "too_many", "busy"]


class ActionError(LocalizedError):
    """Something a person asked for cannot be done, whichever way they asked: page, API, command line or mail program.

    ``code`` is the kind of refusal, ``field`` the input that is wrong (empty: none in particular), ``fields`` every input that is
    wrong with its sentence, and ``retry_after`` the seconds after which it may be tried again. ``detail_code`` is what programs may
    read of it, where ``code`` is not enough.
    """

    def __init__(
        self, code: ActionCode, sentence: str, field: str = "", *, detail_code: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(sentence)
        self.code: ActionCode = code
        self.field = field
        self.fields: Mapping[str, str] = {field: sentence} if field else {}
        self.detail_code = detail_code or code
        self.retry_after = retry_after

    @classmethod
    def of_fields(cls, fields: Mapping[str, str]) -> "ActionError":
        """Several inputs are wrong; the first one's sentence stands for all."""
        field, sentence = next(iter(fields.items()))
        error = ActionError("invalid", sentence, field)
        error.fields = dict(fields)
        return error


MARK = '{"say": '
"""How a stored sentence begins."""


def stored(text: str) -> str:
    """What to keep of a text: a :class:`LocalizedText` as JSON, with the sentences among its values; anything else as it is."""
    return json.dumps(_kept(text), ensure_ascii=False) if isinstance(text, LocalizedText) else text


def restored(text: str) -> str:
    """The text that was :func:`stored`."""
    if not text.startswith(MARK):
        return text
    try:
        made: str = _made(json.loads(text))
        return made
    except (ValueError, KeyError, TypeError):  # somebody else's words that only look like ours
        return text


def _kept(value: Any) -> Any:
    if not isinstance(value, LocalizedText):
        return value
    return {"say": value.msgid, "with": {name: _kept(inner) for name, inner in value.values.items()}}


def _made(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return LocalizedText(str(value["say"]), **{name: _made(inner) for name, inner in value["with"].items()})


def server_reply_text(words: bytes | str) -> str:
    """What a server said, on one line, for use in a sentence. Libraries show octets as Python does (``b'…'``); people do not."""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    if shown := _OCTETS.fullmatch(text.strip()):
        text = re.sub(r"\\x[0-9a-f]{2}", "\ufffd", shown[2]).replace("\\r", " ").replace("\\n", " ").replace("\\'", "'")
    return " ".join(text.split())[:300]
