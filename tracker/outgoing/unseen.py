"""What people do not see of a message: blank text, and elements that hide what they hold."""

import re
from collections.abc import Iterable

BLANK = "\t\n\f\r \u00a0\u034f\u200b\u200c\u200d\ufeff\u00ad"
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|max-height\s*:\s*0|font-size\s*:\s*[01](?![0-9.])"
    r"|opacity\s*:\s*0(?![.0-9])",
    re.IGNORECASE,
)
_PREHEADER = re.compile(r"pre-?header|preview-?text", re.IGNORECASE)


def is_unseen(attributes: Iterable[tuple[str, str]]) -> bool:
    """True when a start tag with these attributes hides its element, or names it as the text for previews."""
    return any(
        name == "hidden"
        or (name == "style" and _UNSEEN.search(value) is not None)
        or (name in ("class", "id") and _PREHEADER.search(value) is not None)
        for name, value in attributes
    )
