"""The form of Message-IDs of ours, ``<kind-id-hmac16@domain>``. Whether one is genuine a key has to tell:
:mod:`tracker.mail.message_ids`. Pure."""

import re

SHAPE = re.compile(r"<?([a-z])-([A-Za-z0-9_-]{4,32})-([0-9a-f]{16})@[^<>@\s]+>?")
_IN_TEXT = re.compile(r"(?<![\w.+-])m-[A-Za-z0-9_-]{4,32}-[0-9a-f]{16}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")


def ids_of_our_form(text: str) -> list[str]:
    """What looks like a Message-ID of a message of ours, wherever it stands in a text, without angle brackets; not yet believed."""
    return list(dict.fromkeys(match[0] for match in _IN_TEXT.finditer(text)))
