"""What people do not see of a message: blank text, and elements that hide what they hold."""

import re

from turbohtml import tokenize

from tracker.outgoing.tags import read_start_tag, value_of

BLANK = "\t\n\f\r \u00a0\u034f\u200b\u200c\u200d\ufeff\u00ad"
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|max-height\s*:\s*0|font-size\s*:\s*[01](?![0-9.])"
    r"|opacity\s*:\s*0(?![.0-9])",
    re.IGNORECASE,
)
_MAY_BE_UNSEEN = ("hid", "none", "max-height", "font-size", "opacity", "header", "preview", "&")
_PREHEADER = re.compile(r"pre-?header|preview-?text", re.IGNORECASE)


def is_blank(text: str) -> bool:
    """True for text that shows nothing, its character references not yet decoded."""
    if "&" in text:
        text = "".join(token.data or "" for token in tokenize(text))
    return not text.strip(BLANK)


def is_unseen(html: str, start: int, end: int | None) -> bool:
    """True when the start tag at `start` hides its element, or names it as the text for previews; `end` if it is known."""
    if end is not None:
        lowered = html[start:end].lower()
        if not any(word in lowered for word in _MAY_BE_UNSEEN):
            return False
    tag = read_start_tag(html, start)
    for attribute in tag.attributes if tag else ():
        if attribute.name == "hidden":
            return True
        if attribute.name == "style" and _UNSEEN.search(value_of(html, attribute)):
            return True
        if attribute.name in ("class", "id") and _PREHEADER.search(value_of(html, attribute)):
            return True
    return False
