"""One start tag: where its attributes and their values stand, by the attribute states of the HTML standard (13.2.5.32–42)."""

import re
from typing import NamedTuple

RAW_TEXT = frozenset(
    {"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"}
)
"""Elements whose content is text, whatever it looks like."""

_NAME = re.compile(r"<[A-Za-z][^\t\n\f\r />]*+")
_GAP = r"[\t\n\f\r /]*+"
_IS = r"[\t\n\f\r ]*+=[\t\n\f\r ]*+"
_VALUE = r"""(?:"([^"]*+)"|'([^']*+)'|([^\t\n\f\r >]*+))"""
_ATTRIBUTE_NAME = r"[^\t\n\f\r />][^\t\n\f\r /=>]*+"
_ATTRIBUTE = re.compile(rf"{_GAP}({_ATTRIBUTE_NAME})(?:{_IS}{_VALUE})?")
_OTHER_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r >]*+)"""
_OTHER = rf"(?!(?i:href)[\t\n\f\r /=>]){_ATTRIBUTE_NAME}(?:{_IS}{_OTHER_VALUE})?+"
_HREF = re.compile(rf"{_NAME.pattern}(?:{_GAP}{_OTHER})*+{_GAP}(?i:href){_IS}{_VALUE}")
_END = re.compile(r"[\t\n\f\r /]*+>")
_QUOTES = ("", "", '"', "'", "")  # of the groups of _ATTRIBUTE: none, name, double-quoted, single-quoted, bare value
_SPACE = "\t\n\f\r "
_LOWER = {code: code + 32 for code in range(0x41, 0x5B)}
_UNSAFE = re.compile("[&<> '\"]")


class Attribute(NamedTuple):
    """`name` in lower case; `start` and `end` span the attribute; the value lies between quotes of kind `quote`.

    `value_start` is -1 for an attribute without a value.
    """

    name: str
    start: int
    end: int
    value_start: int
    value_end: int
    quote: str


class StartTag(NamedTuple):
    """The attributes of a start tag in their order, doubles included; `end` is just past its `>`."""

    end: int
    attributes: list[Attribute]

    def first(self, name: str) -> Attribute | None:
        """The attribute of that name which counts: the first one."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        return None


def read_start_tag(html: str, start: int) -> StartTag | None:
    """The start tag whose `<` is at `start`; None when there is no complete one."""
    match = _NAME.match(html, start)
    if match is None:
        return None
    attributes: list[Attribute] = []
    position = match.end()
    while (match := _ATTRIBUTE.match(html, position)) is not None:
        position = match.end()
        attributes.append(_attribute(match, _lowered(match[1])))
    end = _END.match(html, position)
    return None if end is None else StartTag(end.end(), attributes)


def find_href(html: str, start: int) -> tuple[int, int, str] | None:
    """Start, end and quote of the href of the complete start tag whose `<` is at `start`; None without one or its value."""
    match = _HREF.match(html, start)
    group = match.lastindex if match is not None else None
    return (*match.span(group), _QUOTES[group + 1]) if match is not None and group is not None else None


def escaped(value: str, quote: str = '"') -> str:
    """A value that may stand between quotes of that kind: no raw `&`, `<`, `>`, space or closing quote."""
    if _UNSAFE.search(value) is None:
        return value
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace(" ", "%20")
    return value.replace("'", "&#39;") if quote == "'" else value.replace('"', "&quot;")


def without(html: str, attribute: Attribute) -> tuple[int, int, str]:
    """The edit (start, end, replacement) that takes an attribute out and keeps its neighbours apart."""
    start = attribute.start
    while html[start - 1] in _SPACE:
        start -= 1
    rest = attribute.end
    if html[rest] == "/":  # the space stays, or the slash would become the end of a bare value before
        return attribute.start, rest, ""
    if html[rest] not in _SPACE:
        return start, rest, "" if html[rest] == ">" else " "
    while html[rest] in _SPACE:
        rest += 1
    # An attribute whose name begins with "=" would become the value of the one before.
    return start, attribute.end, " /" if html[rest] == "=" else ""


def _lowered(name: str) -> str:
    """Lower case as the standard has it: A to Z alone, not the Kelvin sign."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


def _attribute(match: re.Match[str], name: str) -> Attribute:
    group = match.lastindex or 1
    value_start, value_end = match.span(group) if group > 1 else (-1, -1)
    return Attribute(name, match.start(1), match.end(), value_start, value_end, _QUOTES[group])
