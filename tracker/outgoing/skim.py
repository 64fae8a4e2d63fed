"""The quick reading of a document: from one piece that matters to the next, by patterns that follow the HTML standard (13.2.5).

A pattern swallows only what it knows to be text or a complete tag, comment or raw text element, all names in lower case.
Where anything else begins (a stray `<`, an attribute without a name, an open comment) it finds `ODD`, and the document is
left to the tokenizer.
"""

import re
from functools import lru_cache

from tracker.outgoing.quoted import ELEMENTS

VML = frozenset(
    f"v:{shape}"
    for shape in ("rect", "roundrect", "shape", "oval", "line", "polyline", "arc", "curve", "image", "group")
)
LINKS = VML | {"a", "area"}
_STARTS = LINKS | {"html", "body", "img", "base"}
_ENDS = LINKS | {"html", "body"}

ADDRESS, LINK, CLOSED_LINK, START, END, CONDITIONAL, THE_END = 2, 4, 6, 7, 8, 9, 10
"""What `pieces` finds, as the number of the last group: 1 `<a`, 2 an address that a browser takes as it stands and 3 its
host, or 4 any other value, 5 the text and 6 the end tag of a link that holds nothing but text, 7 and 8 names of tags."""

TEXT, RAW, OPENING, CLOSING, COMMENT, CONDITIONAL_COMMENT = 1, 2, 3, 4, 5, 6
"""What `every_piece` finds; 3 and 4 are names of tags."""

_SPACE = r"[\t\n\f\r ]"
_NAME_END = r"(?=[\t\n\f\r />])"
_NAME = rf"[a-z][a-z0-9:]*+{_NAME_END}"
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r "'<>=`]++(?=[\t\n\f\r >]))"""
# From behind the name to the end of the tag. A "=" begins a value only behind a name.
_REST = rf"""(?:[^"'<>=]*+(?<![\t\n\f\r /])={_VALUE})*+[^"'<>=]*+>"""
_END_REST = r"""[^"'<>=]*+>"""
_COMMENT_END = r"(?:[^-]++|-(?!-!?>))*+--!?>"
_COMMENT = rf"!(?:--(?!-?>|\[[iI][fF]){_COMMENT_END}|(?!--)[^>]*+>)"
_RAW_TEXT = "script|style|title|textarea|xmp|iframe|noembed|noframes|noscript|plaintext|frameset"


def _raw(name: str, forbidden: str = "") -> str:
    return rf"{name}{_NAME_END}{_REST}(?:[^<]++|<(?!/(?i:{name}){_NAME_END}{forbidden}))*+</{name}{_END_REST}"


_RAW = "|".join([_raw("style"), _raw("title"), _raw("textarea"), _raw("script", "|!--")])

# What may be an attribute that marks quoted history: see `quoted`.
_MARK = "quote|ply|message|moz-|olk_src|zmail_|zwchr|appendonsend|3.0pt|&"
_MARKED_NAMES = ("class", "id", "name", "marker")

# A web address that a browser takes as it stands, without the marks of a template's placeholder.
_ADDRESS = r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?:[/?#](?:[!#$'-;=?-Z\]-z~]++|&amp;|%(?![%7]))*+)?"
_OTHERS = rf"""(?:{_SPACE}++(?!href=)[a-z][a-z0-9:_-]*+="[^"]*+")*+"""
_INLINE = frozenset({"span", "b", "i", "u", "em", "strong", "font"})

IMAGE = re.compile(rf"""<img(?:{_SPACE}++(?!src=)[a-z][a-z0-9-]*+="[^"]*+")*+{_SPACE}++src="([^"]*+)"{_REST}""")
"""The usual image and its source."""

EVERY_PIECE = re.compile(
    rf"([^<]++)|<(?:({_RAW})|(?!(?:{_RAW_TEXT}){_NAME_END})({_NAME}){_REST}|/({_NAME}){_END_REST}|({_COMMENT})"
    rf"|(!--\[[iI][fF]){_COMMENT_END})|"
)


@lru_cache(64)
def outside(styles: bool) -> re.Pattern[str]:
    """Finds the pieces that matter outside of quoted history, and what may begin it (by a style only with `styles`)."""
    return pieces(_STARTS | {"blockquote"}, _ENDS, ELEMENTS, styles=styles)


@lru_cache(64)
def within(tag: str) -> re.Pattern[str]:
    """Of a quote that we are inside of only the end is looked for, and links for the list."""
    region = {tag} if tag else set()
    return pieces(_STARTS | region, _ENDS | region, frozenset(), styles=False)


def pieces(started: frozenset[str], ended: frozenset[str], marked: frozenset[str], *, styles: bool) -> re.Pattern[str]:
    """Finds links, the start and end tags of these names, conditional comments, and the end of the document.

    Of the names in `marked` it finds the start tags that may begin quoted history, by their style only with `styles`.
    """
    starts, ends = _any_of({"a", *started}), _any_of(ended)
    unmarked = _rest_without_mark(styles)
    passed_over = rf"(?!(?:{_any_of(marked | started)}|a|{_RAW_TEXT}){_NAME_END}){_NAME}{_REST}"
    if marked:
        passed_over += rf"|(?:{_any_of(marked)}){_NAME_END}{unmarked}"
        starts = _any_of({"a", *started, *marked})
    skipped = rf"[^<]*+<(?:/(?!(?:{ends}){_NAME_END}){_NAME}{_END_REST}|{passed_over}|{_COMMENT}|{_RAW})"
    return re.compile(
        rf"(?:{skipped})*+[^<]*+(?:{_link(_INLINE - started, unmarked if marked else _REST)}|<({starts}){_NAME_END}{_REST}"
        rf"|</({ends}){_NAME_END}{_END_REST}|<(!--\[[iI][fF]){_COMMENT_END}|(\Z)|())"
    )


def _link(inline: frozenset[str], rest: str) -> str:
    """The usual link: values in double quotes; its text may hold tags of these names."""
    tags = rf"<(?:/(?:{_any_of(inline)})>|(?:{_any_of(inline)}){_NAME_END}{rest})"
    return (
        rf"""(<a){_OTHERS}{_SPACE}++href="(?:({_ADDRESS})|([^"]*+))"(?:{_SPACE}++[a-z][a-z0-9:_-]*+="[^"]*+")*+{_SPACE}*+>"""
        rf"(?:([^<]*+(?:{tags}[^<]*+)*+)(</a>))?+"
    )


def _rest_without_mark(styles: bool) -> str:
    names = (*_MARKED_NAMES, "style") if styles else _MARKED_NAMES
    other = "".join(f"(?<!(?i:{name})=)" for name in names)
    clean = (
        "|".join(rf"{quote}(?![^{quote}]*?(?i:{_MARK}))[^{quote}]*+{quote}" for quote in ('"', "'"))
        + rf"""|(?![^\t\n\f\r >]*?(?i:{_MARK}))[^\t\n\f\r "'<>=`]++(?=[\t\n\f\r >])"""
    )
    return rf"""(?:[^"'<>=]*+(?<![\t\n\f\r /])=(?:{other}{_VALUE}|(?:{clean})))*+[^"'<>=]*+>"""


def _any_of(names: set[str] | frozenset[str]) -> str:
    return "|".join(sorted(names))
