"""Quoted history: which element of a document begins the older message, and how far it reaches.

Class names, ids and styles are those that mail programs give to the older message when they answer or forward.
"""

import re

WITHIN = (
    "gmail_quote",
    "yahoo_quote",
    "protonmail_quote",
    "tutanota_quote",
    "zmail_extra",
    "moz-cite-prefix",
    "moz-forward-container",
    "ms-outlook-mobile-reference-message",
    "mail-editor-reference-message",
    "olk_src_body_section",
    "missive_quote",
    "freshdesk_quote",
    "mb_quote",
    "quoted-content",
    "border-left:2px solid #c3d9e5",
    "mail-quote-collapse",
    "js-readmsg-msg",
    "aolreplacedbody",
    "inoteshistory",
    "messagereplysection",
    "isreplycontent",
    "__quoted_text__",
)
"""Marks of an element that holds the older message."""

FROM_HERE = (
    "divrplyfwdmsg",
    "appendonsend",
    "outlookmessageheader",
    "zwchr",
    "stopspelling",
    "replysplit",
    "ms-outlook-mobile-body-separator-line",
    "border-top:solid #e1e1e1 1.0pt; padding:3.0pt 0",
    "border-top:solid #e1e1e1 1.0pt;padding:3.0pt 0",
    "border-top:solid #b5c4df 1.0pt;padding:3.0pt 0",
)
"""Marks of a line above the older message: everything after it is quoted."""

FROM_COMMENT = r"<!--\s*+originalmessage\s*+-->"
"""A pattern for the comment, in lower case, above the older message: everything after it is quoted (Samsung)."""

ELEMENTS = frozenset({"div", "span", "p", "hr", "table", "td", "section"})
"""Elements that carry such marks. A blockquote needs none."""

ATTRIBUTES = frozenset({"class", "id", "name", "style", "data-marker"})


# What the marks have in common is looked for once; a character reference may hide one.
_COMMON = {"_quote" if "_quote" in mark else re.escape(mark[-17:]) for mark in WITHIN + FROM_HERE} | {"&"}
MAY_BEGIN = rf"<(?:{'|'.join(sorted(ELEMENTS))})[\t\n\f\r /].*(?:{'|'.join(sorted(_COMMON))})"
"""A pattern for the start tag, in lower case, of an element that may carry a mark."""


def begins_within(values: str) -> bool:
    """True when these attribute values, in lower case, mark the element that holds the older message."""
    return any(mark in values for mark in WITHIN)


def begins_from_here(values: str) -> bool:
    """True when these attribute values, in lower case, mark a line above the older message."""
    return any(mark in values for mark in FROM_HERE)
