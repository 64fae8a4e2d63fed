"""What IMAP servers answer (RFC 9051 section 7), read as far as it can be read. Pure; never raises.

Each answer stands by itself: what cannot be understood of one says nothing about the next. Values are octets, numbers, lists, or
None for NIL.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

Value = bytes | int | list["Value"] | None
Record = bytes | tuple[bytes, bytes]
"""As imaplib gives them: what stands in a line, or its beginning with the literal that follows."""
_MARK = re.compile(rb"~?\{\d+\+?\}[ \t]*\Z")
_FIRST = re.compile(rb"[ \t]*\d+[ \t]+\(")
_TOKEN = re.compile(
    rb'[ \t]*(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<atom>(?:[^ \t()"\[]|\[[^\]]*\]?)+)|(?P<odd>["]))',
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_LONGEST_NUMBER = 20


class ListedFolder(NamedTuple):
    """A LIST answer."""

    flags: tuple[bytes, ...]
    delimiter: bytes | None
    name: bytes


_Token = tuple[str, bytes]
"""What kind it is, and its octets."""
_NONE: _Token = ("odd", b"")


def fetch_answers(records: Iterable[Record | None]) -> list[dict[bytes, Value]]:
    """The FETCH answers: items by their names in upper case, and the message's number as ``SEQ``. An answer that breaks off
    gives what came before."""
    return [answer for group in _grouped(records) if (answer := _fetch_answer(group))]


def list_answers(records: Iterable[Record | None]) -> list[ListedFolder]:
    """The LIST answers. A name may be a quoted string, a literal, an atom, or several words that should have been quoted."""
    return [folder for group in _grouped_lists(records) if (folder := _listed(group)) is not None]


def _grouped(records: Iterable[Record | None]) -> Iterator[list[Record]]:
    """The records of each FETCH answer: it goes on behind a literal as long as a bracket is open."""
    group: list[Record] = []
    for record in records:
        if record is None:
            continue
        text = record[0] if isinstance(record, tuple) else record
        if group and _FIRST.match(text):
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _grouped_lists(records: Iterable[Record | None]) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in records:
        if record is None:
            continue
        group.append(record)
        if not isinstance(record, tuple):
            yield group
            group = []
    if group:
        yield group


def _tokens(group: Sequence[Record]) -> Iterator[_Token]:
    for record in group:
        text, literal = record if isinstance(record, tuple) else (record, None)
        text = text if literal is None else _MARK.sub(b"", text)
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or "odd"
            octets = match[kind]
            yield kind, _ESCAPE.sub(rb"\1", octets) if kind == "quoted" and b"\\" in octets else octets
        if literal is not None:
            yield "literal", literal


def _fetch_answer(group: Sequence[Record]) -> dict[bytes, Value]:
    tokens = _tokens(group)
    _, number = next(tokens, _NONE)
    if not number.isdigit() or next(tokens, _NONE)[0] != "open":
        return {}
    answer: dict[bytes, Value] = {b"SEQ": _number(number)}
    values = _values(tokens)
    for name in values:
        if not isinstance(name, bytes):
            continue  # a value without a name: the next name is looked for
        for value in values:
            answer[name.upper()] = value
            break
    return answer


def _values(tokens: Iterator[_Token]) -> Iterator[Value]:
    """The values up to the bracket that closes the one before them."""
    stack: list[list[Value]] = []
    for kind, octets in tokens:
        if kind == "odd":
            return  # what follows may stand in quotes, or not
        if kind == "open":
            stack.append([])
            continue
        if kind == "close":
            if not stack:
                return
            value: Value = stack.pop()
        else:
            value = _atom(octets) if kind == "atom" else octets
        if stack:
            stack[-1].append(value)
        else:
            yield value


def _atom(octets: bytes) -> Value:
    if octets.isdigit():
        return _number(octets)
    return None if octets.upper() == b"NIL" else octets


def _number(digits: bytes) -> int:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else 0


def _listed(group: Sequence[Record]) -> ListedFolder | None:
    tokens = _tokens(group)
    if next(tokens, _NONE)[0] != "open":
        return None
    flags = list(takewhile(lambda token: token[0] != "close", tokens))
    (kind, delimiter), *name = list(tokens) or [_NONE]
    if not name:
        return None
    words = b" ".join(octets for part, octets in name if part not in ("open", "close"))
    sign = None if kind == "atom" and delimiter.upper() == b"NIL" else delimiter
    return ListedFolder(tuple(octets for part, octets in flags if part == "atom"), sign, words)
