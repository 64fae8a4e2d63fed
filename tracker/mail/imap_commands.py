"""Questions to IMAP servers that a client library would ask too strictly: their answers are taken as they come."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imapclient import IMAPClient

from tracker.mail.imap_answers import ListedFolder, Value, fetch_answers, list_answers

HIGHEST_UID = 2**32 - 1  # RFC 9051 section 2.3.1.1
_BODY = re.compile(rb"BODY\[\s*\](?:<\d+>)?|RFC822")
_DIGITS = re.compile(rb"\d{1,10}")


@dataclass(frozen=True)
class Opened:
    """A folder as the server describes it. None where it says nothing, or nought."""

    uidvalidity: int | None
    uidnext: int | None
    letters: int


def open_folder(client: IMAPClient, raw_name: bytes, *, readonly: bool = True) -> Opened:
    """Opens a folder by the name that the server gave, octet for octet. Raises what its refusal is."""
    quoted = b'"' + re.sub(rb'(["\\])', rb"\\\1", raw_name) + b'"'
    client._command_and_check("select", quoted, readonly)
    said: dict[str, list[Any]] = client._imap.untagged_responses
    return Opened(_said_number(said, "UIDVALIDITY"), _said_number(said, "UIDNEXT"), _said_number(said, "EXISTS") or 0)


def _said_number(said: dict[str, list[Any]], name: str) -> int | None:
    """The last that was said: a folder may change while it is opened."""
    numbers = [
        int(match[0]) for value in said.get(name, ()) if isinstance(value, bytes) and (match := _DIGITS.match(value))
    ]
    return numbers[-1] if numbers and 0 < numbers[-1] <= HIGHEST_UID else None


def list_folders(client: IMAPClient) -> list[ListedFolder]:
    """All folders, in the order of the server."""
    return list_answers(client._raw_command_untagged(b"LIST", [b'""', b'"*"'], uid=False) or [])


def fetch(
    client: IMAPClient, numbers: Sequence[int], items: Sequence[str], *, by_uid: bool = True
) -> dict[int, dict[bytes, Value]]:
    """What the server says of these letters. What it says of others, and what of an answer cannot be read, is passed over."""
    if not numbers:
        return {}
    which = ",".join(map(str, numbers)).encode()
    names = ["UID", *(item for item in items if item != "UID")]
    lines = client._raw_command_untagged(b"FETCH", [which, f"({' '.join(names)})".encode()], uid=by_uid) or []
    asked = frozenset(numbers)
    answers: dict[int, dict[bytes, Value]] = {}
    for answer in fetch_answers(lines):
        number = answer.get(b"UID" if by_uid else b"SEQ")
        if number is None and by_uid and len(numbers) == 1 and body_of(answer) is not None:
            number = numbers[0]  # who was asked for one letter need not say which
        if isinstance(number, int) and number in asked:
            answers.setdefault(number, {}).update(answer)
    return answers


def body_of(answer: dict[bytes, Value]) -> bytes | None:
    """The whole letter, or the piece of it that was asked for."""
    for name, value in answer.items():
        if _BODY.fullmatch(name):
            return value if isinstance(value, bytes) else str(value).encode() if isinstance(value, int) else None
    return None
