"""The hidden link: no person can see it, so whoever follows it is a machine. Pure; only inserts, and takes out old ones."""

import re
from collections.abc import Callable, Iterator

from turbohtml import TokenType, tokenize

from tracker.outgoing.href import trimmed, web_address
from tracker.outgoing.links import Link
from tracker.outgoing.rewrite import Edit, Rewritten, cut_out, edited, emptied
from tracker.outgoing.survey import Survey
from tracker.outgoing.tags import escaped, read_start_tag

# No box, no text, no stop of the keyboard, nothing for a screen reader; Word's engine hides it by its own word.
_MARKUP = (
    '<a href="{}" aria-hidden="true" tabindex="-1" style="display:inline-block;width:0;height:0;overflow:hidden;'
    'font-size:0;line-height:0;text-decoration:none;mso-hide:all"></a>'
)
_STYLED_TAGS = frozenset({"style", "table", "font", "center", "img"})
_STYLED_ATTRIBUTES = frozenset({"style", "bgcolor", "background", "color", "face"})
_LOOK_BACK = 20
_END_TAG = re.compile(r"</a[^>]*>", re.IGNORECASE)


def hide(rewritten: Rewritten, html: str, url: str | None, is_trap: Callable[[str], bool]) -> Rewritten:
    """The rewritten document of `html` with our old hidden links taken out, and `url` as its own behind the first tracked link.

    Without a tracked link that may be followed by another one nothing is placed. `restore` gives `html` back.
    """
    if url is not None and escaped(url) in html:
        return rewritten  # it has been through here
    links = Survey(html, images=False).links
    edits = list(_old_ones(html, links, is_trap))
    place = _place(rewritten, html, links) if url is not None and is_styled(html) else None
    if url is not None and place is not None:
        edits.append(Edit(place, "", _MARKUP.format(escaped(url))))
    return edited(rewritten, html, edits) if edits else rewritten


def without_traps(html: str, is_trap: Callable[[str], bool]) -> str:
    """A document as people should see it, with our hidden links taken out; the very object when there are none."""
    edits = list(_old_ones(html, Survey(html, images=False).links, is_trap))
    return edited(Rewritten(html, (), (), False), html, edits).html if edits else html


def is_styled(html: str) -> bool:
    """False for plain writing: paragraphs, lists, links, emphasis. There a hidden link would stand out."""
    for token in tokenize(html):
        if token.type is not TokenType.START_TAG:
            continue
        if token.tag in _STYLED_TAGS or any(n in _STYLED_ATTRIBUTES and v for n, v in token.attrs or ()):
            return True
    return False


def _place(rewritten: Rewritten, html: str, links: list[Link]) -> int | None:
    """Behind the first tracked link that a plain end tag closes, so before the last one; behind the only one."""
    tracked = [link.index for link in rewritten.links if link.tracked]
    for index in tracked[:-1] or tracked:
        end = end_of_link(html, links[index])
        if end is not None and not in_comment(html, end):
            return end
    return None


def end_of_link(html: str, link: Link) -> int | None:
    """The offset behind the link's own end tag; None when it has none."""
    found = _END_TAG.match(html, link.text_end) if link.text_end >= 0 else None
    return found.end() if found else None


def in_comment(html: str, offset: int) -> bool:
    """What Outlook alone reads is no place for what everybody should find."""
    return html.rfind("<!--", 0, offset) > html.rfind("-->", 0, offset)


def _old_ones(html: str, links: list[Link], is_trap: Callable[[str], bool]) -> Iterator[Edit]:
    for link in links:
        url = web_address(trimmed(link.value))
        if url is None or not is_trap(url):
            continue
        start, end = start_of_link(html, link), end_of_link(html, link)
        if start is None or end is None or in_comment(html, end) or html[link.text_start : link.text_end].strip():
            yield emptied(html, link)  # something has grown into it: that stays
        else:
            yield cut_out(html, start, end)


def start_of_link(html: str, link: Link) -> int | None:
    """Where the link's start tag begins; None when that is not plain, as with a tag inside an attribute of the tag."""
    found, at = [], link.start
    for _ in range(_LOOK_BACK):
        at = html.rfind("<", 0, at)
        if at < 0:
            break
        tag = read_start_tag(html, at)
        href = tag.first("href") if tag else None
        if href is not None and href.value_start == link.start:
            found.append(at)
    return found[0] if len(found) == 1 else None
