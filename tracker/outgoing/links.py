"""A link of a document: where the value of its href stands, what it says, and what people see of it."""

import re

from turbohtml import TokenType, tokenize

from tracker.outgoing.tags import RAW_TEXT, Cut, decoded, first_attribute, read_start_tag, value_of

# The usual start tag of a link: every value in double quotes, one space or line break between the attributes.
_USUAL = re.compile(
    r"""<a(?:[\t\n\f\r ]++(?!href=)[a-z][a-z0-9:_-]*+="[^"]*+")*+[\t\n\f\r ]++href="([^"]*+)"
        (?:[\t\n\f\r ]++[a-z][a-z0-9:_-]*+="[^"]*+")*+[\t\n\f\r ]*+>""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_INLINE_TAG = re.compile(r"</?(?:span|b|i|u|em|strong|font)(?: [^<>\"'=]*+=(?:\"[^\"]*+\"|'[^']*+'))*+>")


class Link:
    """`value` is the decoded href; its characters are `start`:`end` of the document, between quotes of kind `quote`.

    `host` is empty unless the value is a web address that a browser takes as it stands.
    """

    __slots__ = ("end", "host", "marks", "quote", "quoted", "start", "text", "text_end", "text_start", "value")

    def __init__(self, value: str, start: int, end: int, quote: str, text_start: int, host: str = "") -> None:
        self.value = value
        self.start = start
        self.end = end
        self.quote = quote
        self.text_start = text_start
        self.host = host
        self.text_end = -1
        self.text: str | None = None
        self.marks: list[Cut] = []
        self.quoted = False

    def visible_text(self, html: str) -> str:
        """What people see, in one line; the replacement text of an image where there is nothing else."""
        text = self.text
        if text is None:
            text = html[self.text_start : self.text_end] if self.text_end >= 0 else ""
            if "<" in text or "&" in text:
                text = _without_markup(text)
        return " ".join(text.split())

    def shift(self, html: str, by: int) -> None:
        """Moves a link of a part of the document to its offsets in the whole."""
        self.start, self.end = self.start + by, self.end + by
        self.text_start, self.text_end = self.text_start + by, self.text_end + by if self.text_end >= 0 else -1
        self.marks = [(start + by, end + by, new) for start, end, new in self.marks]


def read_link(html: str, start: int) -> Link | None:
    """The link whose complete start tag begins at `start`; None when it has no href with a value."""
    usual = _USUAL.match(html, start)
    if usual is not None:
        return Link(decoded(usual[1]), usual.start(1), usual.end(1), '"', usual.end())
    tag = read_start_tag(html, start)
    href = tag.first("href") if tag else None
    if tag is None or href is None or href.value_start < 0:
        return None
    return Link(value_of(html, href), href.value_start, href.value_end, href.quote, tag.end)


def _without_markup(text: str) -> str:
    if "&" not in text and "<" not in (bare := _INLINE_TAG.sub("", text)):
        return bare
    seen: list[str] = []
    alternative = raw = ""
    text = " ".join(text.splitlines())  # one line, so that a column is an offset
    for token in tokenize(text, capture_attributes=False):
        tag = token.tag or ""
        if token.type is TokenType.TEXT:
            seen.append("" if raw else token.data or "")
        elif token.type is not TokenType.COMMENT:
            raw = tag if token.type is TokenType.START_TAG and tag in RAW_TEXT else ""
            if tag == "img" and not alternative:
                alternative = value_of(text, first_attribute(text, token.col, "alt"))
    found = "".join(seen)
    return found if found.strip() else alternative
