"""A calendar's event (RFC 5545) in words that need no translation: what, when, where. Pure; never raises."""

import re

_LINE = re.compile(
    r"^(?:[\w-]+\.)?(?P<name>[A-Z-]{1,40})(?P<parameters>(?:[^:\"\n]|\"[^\"\n]*\"){0,500}+):(?P<value>.*)$",
    re.MULTILINE | re.IGNORECASE,
)
_EVENT = re.compile(r"^BEGIN:V(?:EVENT|TODO)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
_ENDS = re.compile(r"^(?:END:V(?:EVENT|TODO)|BEGIN:VALARM)", re.MULTILINE | re.IGNORECASE)
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d{0,2}(Z?))?")
_ZONE = re.compile(r";TZID=(?:\"([^\"]{1,80})|([^;:\"]{1,80}))", re.IGNORECASE)
_ESCAPED = {"\\n": "\n", "\\N": "\n", "\\,": ",", "\\;": ";", "\\\\": "\\"}


def invitation_words(calendar: str) -> str:
    """Summary, time, place and description of the first event, a line each; the text as it is where there is none."""
    unfolded = re.sub(r"\n[ \t]", "", calendar)
    event = _EVENT.search(unfolded)
    if event is None:
        return calendar.strip()
    fields: dict[str, tuple[str, str]] = {}
    for line in _LINE.finditer(unfolded, event.end(), _end(unfolded, event)):
        fields.setdefault(line["name"].upper(), (line["parameters"], line["value"].strip()))
    begin, end = (_moment(*fields.get(name, ("", ""))) for name in ("DTSTART", "DTEND"))
    begin = begin or _moment(*fields.get("DUE", ("", "")))
    times = f"{begin} – {end}" if begin and end else begin
    texts = [_text(fields.get(name, ("", ""))[1]) for name in ("SUMMARY", "LOCATION", "DESCRIPTION")]
    return "\n".join(filter(None, [texts[0], times, *texts[1:]])).strip()


def _end(calendar: str, event: re.Match[str]) -> int:
    """Where the event ends, or its first alarm begins, which has fields of the same names."""
    ends = _ENDS.search(calendar, event.end())
    return ends.start() if ends else len(calendar)


def _text(value: str) -> str:
    return re.sub(r"\\[nN,;\\]", lambda escaped: _ESCAPED[escaped[0]], value).strip()


def _moment(parameters: str, value: str) -> str:
    moment = _MOMENT.match(value)
    if moment is None:
        return ""
    day = "-".join(moment.group(1, 2, 3))
    zone = _ZONE.search(parameters)
    where = " UTC" if moment[6] else f" {zone[1] or zone[2]}" if zone else ""
    return f"{day} {moment[4]}:{moment[5]}{where}" if moment[4] else day
