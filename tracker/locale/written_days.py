"""Days and times as people write them in a field. Pure."""

import re

_WRITTEN = re.compile(r"(?:(\d{1,2})\.(\d{1,2})\.(\d{4})|(\d{4})-(\d\d)-(\d\d))(?:[T,\s]\s*(\d{1,2}):(\d\d))?")


def as_iso(text: str) -> str:
    """``30.11.2026 9:00`` and ``2026-11-30 9:00`` as ISO 8601 has it, ``2026-11-30T09:00``; anything else as it is."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return text
    day, month, year = found.group(1, 2, 3) if found[1] else found.group(6, 5, 4)
    clock = f"T{found[7]:0>2}:{found[8]}" if found[7] else ""
    return f"{year}-{month:0>2}-{day:0>2}{clock}"
