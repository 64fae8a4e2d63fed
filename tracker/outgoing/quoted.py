"""Quoted history: which element of a document begins the older message, and how far it reaches.

Class names and ids are those that mail programs give to the older message when they answer or forward.
"""

import re

WITHIN = re.compile(
    r"""gmail_quote|yahoo_quoted|protonmail_quote|tutanota_quote|zmail_extra|moz-cite-prefix|moz-forward-container
        |ms-outlook-mobile-reference-message|mail-editor-reference-message|olk_src_body_section|missive_quote
        |front-blockquote|messagereplysection|isreplycontent|__quoted_text__""",
    re.VERBOSE | re.IGNORECASE,
)
"""Marks of an element that holds the older message."""

FROM_HERE = re.compile(
    r"""divrplyfwdmsg|appendonsend|outlookmessageheader|zwchr|stopspelling
        |border-top:\s*solid\s+\#(?:e1e1e1|b5c4df)\s+1\.0pt""",
    re.VERBOSE | re.IGNORECASE,
)
"""Marks of a line above the older message: everything after it is quoted."""

_ANY = re.compile(f"(?:{WITHIN.pattern})|(?:{FROM_HERE.pattern})", re.VERBOSE | re.IGNORECASE)

ELEMENTS = frozenset({"div", "span", "p", "hr", "table", "td", "section"})
"""Elements that carry such marks. A blockquote needs none."""

ATTRIBUTES = frozenset({"class", "id", "name", "style", "data-marker"})


def has_marks(html: str) -> bool:
    """False when no element of the document can carry a mark, so that none need be looked at."""
    return _ANY.search(html) is not None
