"""The words of a letter: text out of HTML. Pure."""

from turbohtml import Document, PlainText, parse

MOST_HTML = 2_000_000
_PLAIN = PlainText(width=0, links="none", images=False)


def text_from_html(html: str) -> str:
    """The text of a document as lines; empty when it cannot be had. Never raises."""
    try:
        return text_of(parse(html[:MOST_HTML]))
    except Exception:  # a document that the parser refuses has no text for us
        return ""


def text_of(page: Document) -> str:
    return page.to_text(_PLAIN).replace("\0", "").strip()
