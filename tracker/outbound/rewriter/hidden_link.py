"""The hidden link: no person can see it, so whoever follows it is a machine. Pure."""

from collections.abc import Callable, Sequence

from turbohtml import TokenType, tokenize

from tracker.outbound.rewriter.document import Document, Edit
from tracker.outbound.rewriter.html_attributes import escaped
from tracker.outbound.rewriter.rewriting import FoundLink

# No box, no text, no stop of the keyboard, nothing for a screen reader; Word's engine hides it by its own word.
_MARKUP = (
    '<a href="{}" aria-hidden="true" tabindex="-1" style="display:inline-block;width:0;height:0;overflow:hidden;'
    'font-size:0;line-height:0;text-decoration:none;mso-hide:all"></a>'
)
_STYLED_TAGS = frozenset({"style", "table", "font", "center", "img"})
_STYLED_ATTRIBUTES = frozenset({"style", "bgcolor", "background", "color", "face"})


def hide(document: Document, links: Sequence[FoundLink], url: str | None, is_trap: Callable[[str], bool]) -> list[Edit]:
    """Takes our old hidden links out, and puts `url` as a new one behind the first tracked one of `links`.

    Without a tracked link that may be followed by another one nothing is placed; nor where it stands already.
    """
    if url is not None and escaped(url) in document.html:
        return []
    edits = without_traps(document, is_trap)
    place = _place(document, links) if url is not None else None
    if url is not None and place is not None and is_styled(document.html):
        edits.append(Edit(place, place, _MARKUP.format(escaped(url))))
    return edits


def without_traps(document: Document, is_trap: Callable[[str], bool]) -> list[Edit]:
    """Takes our hidden links out; one that something has grown into stays, and leads nowhere."""
    edits: list[Edit] = []
    for link in document.links:
        if link.url is None or not is_trap(link.url):
            continue
        element = link.element()
        if element is None or document.html[link.text_start : link.text_end].strip():
            edits.append(document.new_href(link, ""))
        else:
            edits.append(document.cut(*element))
    return edits


def is_styled(html: str) -> bool:
    """False for plain writing: paragraphs, lists, links, emphasis. There a hidden link would stand out."""
    for token in tokenize(html):
        if token.type is not TokenType.START_TAG:
            continue
        if token.tag in _STYLED_TAGS or any(n in _STYLED_ATTRIBUTES and v for n, v in token.attrs or ()):
            return True
    return False


def _place(document: Document, links: Sequence[FoundLink]) -> int | None:
    """Behind the first tracked link that a plain end tag closes, so before the last one; behind the only one."""
    tracked = [link.index for link in links if link.tracked]
    for index in tracked[:-1] or tracked:
        element = document.links[index].element()
        if element is not None:
            return element[1]
    return None
