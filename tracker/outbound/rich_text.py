"""What people write in the editor: HTML from plain text and back, and nothing that runs."""

import html as entities
import re

from turbohtml import PlainText, parse
from turbohtml.clean import linkify

from tracker.mail.safe_html import clean, runs_something

# The editor writes every line as a div; left as blocks, each would stand apart by an empty line.
_LINE = re.compile(
    r"<div\b[^>]*>((?:(?!</?(?:div|p|ul|ol|li|table|blockquote|h[1-6]|pre|hr)\b).)*+)</div>", re.IGNORECASE | re.DOTALL
)


def plain(html: str) -> str:
    """Formatted text as the plain box shows it and as the text alternative: a line is a line, links behind their text."""
    if not html:
        return ""
    page = parse(_LINE.sub(lambda line: line[1].removesuffix("<br>") + "<br>", html))
    for link in page.select("a[href]"):
        href = str(link.attrs.get("href") or "").strip()
        if not href.lower().startswith(("http:", "https:")) or link.text.strip() == href:
            del link.attrs["href"]
    return page.to_text(PlainText(links="inline", images=True)).strip("\n")


def formatted(text: str) -> str:
    """Plain text as simple HTML: a line is a line, an address becomes a link."""
    if not text.strip():
        return ""
    lines = [f"<div>{entities.escape(line) or '<br>'}</div>" for line in text.split("\n")]
    return linkify("".join(lines))


def without_scripts(html: str) -> str:
    """What was typed, untouched; only if it holds something that runs is it cleaned."""
    return clean(html) if runs_something(html) else html
