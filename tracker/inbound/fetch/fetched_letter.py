"""What crosses from the engine, which fetches, to :mod:`tracker.inbound.accept`, which understands. Values only,
and what they say."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from tracker.inbound.parse.letter import ParsedLetter, parse


@dataclass(frozen=True)
class LetterLocation:
    """Where a letter lies: a folder of ours with UIDVALIDITY and UID, or a UIDL. All nought where the server numbers nothing."""

    folder_id: int
    uidvalidity: int = 0
    uid: int = 0
    uidl: str = ""


@dataclass(frozen=True)
class FetchedLetter:
    """One letter as a server gave it.

    Its bytes are in ``content`` or, above the soft limit, in the file ``path``, which is gone after ``accept`` returns.
    """

    place: LetterLocation
    content: bytes | None
    path: Path | None
    size: int
    """What the server says; more than was loaded when ``too_large``."""
    internal_date: datetime | None
    """Aware; None when the server gave none that can be read (always so with POP3)."""
    fetched_at: datetime
    flags: frozenset[str] = frozenset()
    gmail_id: int | None = None
    header_hash: str = ""
    """Goes to ``Letter.header_hash`` as it is: it recognises the letter after its server was rebuilt."""
    too_large: bool = False
    """Over the hard limit: only the beginning was loaded, header section and first text in it. To be told in the digest."""
    recovered: bool = False
    """Old mail met while a rebuilt server was read again: stored without counting and without a word."""
    silent: bool = False
    """Part of a first load or a great catch-up: counts, and is told in one summary instead of alone."""
    unparsed: str = ""
    """Understanding it failed for the last time, and how: store it with its raw bytes, whatever they are."""
    read_up_to: int | None = None
    """The UID up to which the folder is read once this letter and those taken before it are in; None moves no cursor."""
    tags: frozenset[str] = field(default=frozenset())
    """Codes for ``Letter.flags`` that only the engine knows."""

    @cached_property
    def understood(self) -> tuple[bytes, ParsedLetter]:
        """All bytes that were loaded and what they say, which shares them; read once, and where several letters share a
        transaction, before it begins."""
        raw = self.read()
        return raw, parse(raw)

    def read(self) -> bytes:
        """All bytes that were loaded."""
        if self.content is not None:
            return self.content
        assert self.path is not None
        return self.path.read_bytes()


@dataclass(frozen=True)
class Accepted:
    """What became of a fetched letter. ``outcome``: ``new``, ``known`` (another copy of a letter we have), ``deleted`` (its
    person threw it away; it does not come back), ``dropped`` (our own notice: not stored)."""

    outcome: str
    letter_id: int | None = None
    touch: bool = True
    """Whether mailbox settings that change the server (mark read, delete) apply: not to what was skipped or not understood."""
