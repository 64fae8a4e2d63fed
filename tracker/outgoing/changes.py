"""Where two documents differ, tag by tag. Linear: it looks for the next agreement only a few tags ahead."""

from collections.abc import Iterator

from tracker.mime.quoted_printable import Change

_AHEAD = 8


def changes_between(old: bytes, new: bytes) -> list[Change]:
    """Changes that make the new octets of the old ones, in order and apart; small where single tags were changed."""
    before, after = _pieces(old), _pieces(new)
    changes: list[Change] = []
    i = j = offset = 0
    while i < len(before) or j < len(after):
        if i < len(before) and j < len(after) and before[i] == after[j]:
            offset += len(before[i])
            i, j = i + 1, j + 1
            continue
        skipped, added = _next_agreement(before, after, i, j)
        end = offset + sum(map(len, before[i : i + skipped]))
        changes.append(_narrowed(old, offset, end, b"".join(after[j : j + added])))
        i, j, offset = i + skipped, j + added, end
    return changes


def _pieces(document: bytes) -> list[bytes]:
    first, *rest = document.split(b"<")
    return [first, *(b"<" + piece for piece in rest)]


def _next_agreement(before: list[bytes], after: list[bytes], i: int, j: int) -> tuple[int, int]:
    """How many pieces of either side to step over; all that is left when there is no agreement near."""
    for skipped, added in _STEPS:
        if i + skipped < len(before) and j + added < len(after) and before[i + skipped] == after[j + added]:
            return skipped, added
    return len(before) - i, len(after) - j


def _steps() -> Iterator[tuple[int, int]]:
    for total in range(1, 2 * _AHEAD + 1):
        for skipped in range(max(0, total - _AHEAD), min(total, _AHEAD) + 1):
            yield skipped, total - skipped


_STEPS = sorted(_steps(), key=lambda step: (max(step), sum(step)))


def _narrowed(old: bytes, start: int, end: int, new: bytes) -> Change:
    """The change without the octets that both sides begin and end with."""
    was = old[start:end]
    same = 0
    for same, (a, b) in enumerate(zip(was, new, strict=False)):  # noqa: B007
        if a != b:
            break
    else:
        same = min(len(was), len(new))
    tail = 0
    while tail < min(len(was), len(new)) - same and was[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Change(start + same, end - tail, new[same : len(new) - tail])
