"""Reading messages out of files, as production would. It stores nothing and needs no data folder."""

import argparse
import json
import sys
from pathlib import Path

from tracker.commands import CommandError
from tracker.inbound.parse.description import describe
from tracker.mail.addresses import AddressError, lookup_form


def read(words: argparse.Namespace) -> int:
    """One line of JSON per message; a file that cannot be opened is an error, whatever a message holds is not."""
    own, robots = _addresses("--own", words.own), _addresses("--form-robot", words.form_robot)
    for name in words.file or ["-"]:
        try:
            raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}") from None
        print(json.dumps({"file": name, **describe(raw, own, robots)}, ensure_ascii=True))
    return 0


def _addresses(option: str, addresses: list[str]) -> frozenset[str]:
    try:
        return frozenset(map(lookup_form, addresses))
    except AddressError as error:
        raise CommandError(f"{option}: {error}") from None
