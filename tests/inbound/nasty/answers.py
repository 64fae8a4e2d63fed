"""What a nasty server is told to answer."""

import re
from collections.abc import Iterable

from tests.inbound.mail_world import imap_date, letter
from tests.servers.nasty import Answer, NastyImap
from tracker.runtime.database import now


def put(server: NastyImap, *subjects: str, **more: object) -> None:
    for subject in subjects:
        server.put(letter(subject), **{"date": imap_date(now()), **more})  # type: ignore[arg-type]


def once(pattern: bytes, answer: bytes | Answer) -> Answer:
    """A script that answers the first matching command so, and everything else as usual."""
    state = {"left": 1}

    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | Iterable[bytes] | None:
        if not state["left"] or not re.search(pattern, command):
            return None
        state["left"] -= 1
        return answer(server, tag, command) if callable(answer) else answer.replace(b"TAG", tag)

    return script


def always(pattern: bytes, answer: bytes | Answer) -> Answer:
    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | Iterable[bytes] | None:
        if not re.search(pattern, command):
            return None
        return answer(server, tag, command) if callable(answer) else answer.replace(b"TAG", tag)

    return script


BODY = rb"BODY\.PEEK\[\]"
