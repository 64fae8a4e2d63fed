"""What we ask an IMAP server while reading a folder: read-only, by lists of UIDs, in pieces that fit.

Nothing here changes a flag (EXAMINE, BODY.PEEK), nothing uses an extension that a server did not offer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import accumulate
from typing import IO

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tracker.inbound.parse.dates import read_date
from tracker.inbound.parse.header_hash import MOST, header_hash
from tracker.mail.imap_answers import Value
from tracker.mail.imap_commands import HIGHEST_UID, Opened, body_of, fetch
from tracker.runtime.limits import MAX_LETTER, MAX_LITERAL_BYTES, MAX_WHOLE_LETTER

METADATA_AT_ONCE = 100
LETTERS_AT_ONCE = 100
BYTES_AT_ONCE = 2 * 1024 * 1024
PIECE = 1024 * 1024
UIDS_AT_ONCE = 50_000
"""UIDs of one SEARCH answer: at eleven characters each well below the 1,000,000 bytes that imaplib takes as a line."""
_LAST = datetime.max.replace(tzinfo=UTC)
_DATE_TIME = re.compile(rb" *\d{1,2}-[A-Za-z]{3}-(?:19[89]|2\d\d)\d \d{1,2}:\d\d:\d\d(?: [+-]\d{4})?")
_HEADERS = f"BODY.PEEK[HEADER.FIELDS (FROM TO CC DATE SUBJECT MESSAGE-ID)]<0.{MOST}>"


@dataclass(frozen=True)
class Meta:
    """What is known of a letter before it is loaded; ``size`` is 0 when the server does not say."""

    uid: int
    size: int
    internal_date: datetime | None
    flags: frozenset[str]
    gmail_id: int | None
    header_hash: str
    read_up_to: int = 0
    """See :func:`by_receipt`."""

    @property
    def is_seen(self) -> bool:
        return "\\seen" in self.lower_flags

    @property
    def lower_flags(self) -> frozenset[str]:
        return frozenset(flag.lower() for flag in self.flags)


def introduce(client: IMAPClient) -> None:
    """RFC 2971; Gmail and Yandex ask for it."""
    if client.has_capability("ID"):
        try:
            client.id_({"name": "Inkling"})
        except IMAPClientError:  # it is a courtesy
            return


def uids_after(client: IMAPClient, last: int, opened: Opened) -> list[int]:
    """Every UID above ``last``, ascending. A range up to * holds the highest letter even when it is below (RFC 9051 section 9)."""
    uids: set[int] = set()
    for begin, end in _ranges(client, last + 1, opened):
        here = _search(client, f"UID {begin}:{end}")
        uids |= _listed(client, begin, end, opened) if here is None else here
    return sorted(uid for uid in uids if last < uid <= HIGHEST_UID)


def uids_since(client: IMAPClient, day: date | None, opened: Opened, *, unseen: bool = False) -> list[int]:
    """UIDs of letters that arrived on ``day`` or later by some clock, ascending; ``None`` for all. May hold older ones."""
    since = f" SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}" if day is not None else ""
    uids: set[int] = set()
    for begin, end in _ranges(client, 1, opened):
        here = _search(client, f"UID {begin}:{end}{since}{' UNSEEN' if unseen else ''}")
        if here is None:
            uids = _newest_since(client, day, opened)
            break
        uids |= here
    return sorted(uid for uid in uids if 0 < uid <= HIGHEST_UID)


def highest_uid(client: IMAPClient, opened: Opened) -> int:
    """The highest UID in use; nought in an empty folder. UIDNEXT is not believed: some servers make it up."""
    if not opened.letters:
        return 0
    uids = _search(client, "UID *") or _listed(client, 1, "*", Opened(None, None, 0))
    return max((uid for uid in uids if uid <= HIGHEST_UID), default=0)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _ranges(client: IMAPClient, first: int, opened: Opened) -> Iterator[tuple[int, int | str]]:
    """Ranges of UIDs whose letters one SEARCH answer can hold; one range unless the folder is very large."""
    if opened.letters <= UIDS_AT_ONCE:
        yield first, "*"
        return
    places = range(1, opened.letters + 1, UIDS_AT_ONCE)
    answer = fetch(client, places, ["UID"], by_uid=False)
    later = sorted(uid for item in answer.values() if isinstance(uid := item.get(b"UID"), int))[1:]
    begins = [first, *(begin for begin in later if begin > first)]
    yield from zip(begins, [*(begin - 1 for begin in begins[1:]), "*"], strict=True)


def _search(client: IMAPClient, criteria: str) -> set[int] | None:
    """What the server finds; None when it refuses the question, as Mail.ru does with some. No CHARSET: Exchange refuses it."""
    try:
        return searched(client, criteria)
    except client.AbortError:
        raise
    except (IMAPClientError, ValueError):
        return None


def searched(client: IMAPClient, criteria: str) -> set[int]:
    """The answer to a SEARCH, in however many lines it comes."""
    lines = client._raw_command_untagged(b"SEARCH", [criteria.encode("ascii")]) or []
    numbers = (line.partition(b"(")[0].split() for line in lines if isinstance(line, bytes))  # (MODSEQ …) may follow
    return {int(number) for words in numbers for number in words if number.isdigit()}


def _listed(client: IMAPClient, begin: int, end: int | str, opened: Opened) -> set[int]:
    """The UIDs of a range without SEARCH. IMAPClient’s own fetch takes no ranges (its issue 666)."""
    if opened.uidnext is not None and begin >= opened.uidnext:
        return set()
    lines = client._raw_command_untagged(b"FETCH", [f"{begin}:{end}".encode(), b"(UID)"], uid=True) or []
    matches = (re.search(rb"\bUID (\d+)", line) for line in lines if isinstance(line, bytes))
    return {int(match[1]) for match in matches if match}


def _newest_since(client: IMAPClient, day: date | None, opened: Opened) -> set[int]:
    """Backwards from the newest letter, until a hundred in a row are older."""
    uids: set[int] = set()
    for last in range(opened.letters, 0, -METADATA_AT_ONCE):
        places = range(max(1, last - METADATA_AT_ONCE + 1), last + 1)
        answer = fetch(client, places, ["UID", "INTERNALDATE"], by_uid=False)
        young = {
            uid
            for item in answer.values()
            if isinstance(uid := item.get(b"UID"), int) and _is_young(instant(item.get(b"INTERNALDATE")), day)
        }
        if not young:
            break
        uids |= young
    return uids


def _is_young(arrived: datetime | None, day: date | None) -> bool:
    return day is None or arrived is None or arrived.date() >= day


def metadata(client: IMAPClient, uids: Sequence[int], *, headers: bool, gmail: bool) -> list[Meta]:
    """What the server tells of these letters, in the order asked; those that vanished are left out."""
    items = ["INTERNALDATE", "RFC822.SIZE", "FLAGS"]
    items += ["X-GM-MSGID"] if gmail else []
    items += [_HEADERS] if headers else []
    answer = fetch(client, uids, items)
    return [_meta(uid, answer[uid]) for uid in uids if uid in answer]


def _meta(uid: int, item: dict[bytes, Value]) -> Meta:
    flags, gmail_id, size = item.get(b"FLAGS"), item.get(b"X-GM-MSGID"), item.get(b"RFC822.SIZE")
    section = next((value for key, value in item.items() if key.startswith(b"BODY[HEADER")), None)
    return Meta(
        uid,
        size if isinstance(size, int) and 0 < size < 2**62 else 0,
        instant(item.get(b"INTERNALDATE")),
        frozenset(f.decode("latin-1") for f in flags if isinstance(f, bytes))
        if isinstance(flags, list)
        else frozenset(),
        _signed(gmail_id) if isinstance(gmail_id, int) and gmail_id < 2**64 else None,
        header_hash(section) if isinstance(section, bytes) else "",
    )


def instant(written: Value) -> datetime | None:
    """INTERNALDATE in UTC; None for a date that is none, and for what servers say that do not know it (1970, and before)."""
    if not isinstance(written, bytes) or not _DATE_TIME.fullmatch(written):
        return None
    return read_date(written.decode("ascii"))


def _signed(number: int) -> int:
    """Gmail's numbers are unsigned with 64 bits; databases have signed ones."""
    return number - 2**64 if number >= 2**63 else number


def by_receipt(metas: Sequence[Meta]) -> list[Meta]:
    """In the order of their receipt, then of their UIDs, in which the repeat period decides letters that are read together. Each
    says up to which UID the folder is read once it and those before it are in."""
    ordered = sorted(metas, key=lambda meta: (meta.internal_date or _LAST, meta.uid))
    lowest_left = list(accumulate((meta.uid for meta in reversed(ordered)), min))[::-1]
    ends = [*(uid - 1 for uid in lowest_left[1:]), max((meta.uid for meta in metas), default=0)]
    return [replace(meta, read_up_to=end) for meta, end in zip(ordered, ends, strict=False)]


def groups(metas: Iterable[Meta]) -> Iterator[list[Meta]]:
    """Letters to load together, in order: small ones share a command, large ones go alone."""
    group: list[Meta] = []
    for meta in metas:
        if group and (
            len(group) == LETTERS_AT_ONCE or _is_large(meta) or sum(m.size for m in group) + meta.size > BYTES_AT_ONCE
        ):
            yield group
            group = []
        group.append(meta)
        if _is_large(meta):
            yield group
            group = []
    if group:
        yield group


def _is_large(meta: Meta) -> bool:
    return meta.size == 0 or meta.size > MAX_WHOLE_LETTER


def goes_to_disk(group: Sequence[Meta]) -> bool:
    return len(group) == 1 and _is_large(group[0])


def bodies(client: IMAPClient, uids: Sequence[int]) -> dict[int, bytes | None]:
    """The letters, without marking them; None for one that is there and was not given. Those that vanished are left out."""
    answer = fetch(client, uids, ["BODY.PEEK[]"])
    letters = {uid: body_of(item) for uid, item in answer.items()}
    silent = [uid for uid in uids if uid not in letters]
    there = fetch(client, silent, ["RFC822.SIZE"])
    return letters | dict.fromkeys(there)


def load_into(client: IMAPClient, uid: int, file: IO[bytes], most: int) -> int | None:
    """Writes a letter piece by piece and gives its length; stops after ``most`` bytes. None when it vanished.

    A server that knows nothing of pieces gives all of it at once, whatever it is asked for.
    """
    length, client._imap.longest_literals = 0, MAX_LETTER + PIECE
    try:
        while length <= most:
            answer = fetch(client, [uid], [f"BODY.PEEK[]<{length}.{PIECE}>"]).get(uid)
            if answer is None:
                return None
            piece = body_of(answer)
            if piece is None:
                raise ValueError("the server does not give the letter")
            file.write(piece)
            length += len(piece)
            if len(piece) != PIECE:
                break
        return length
    finally:
        client._imap.longest_literals = MAX_LITERAL_BYTES
