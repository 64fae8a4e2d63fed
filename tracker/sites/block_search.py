"""Where an address stands: in the HTML of a page, or on the pages that the snippet has seen."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from sqlmodel import Session
from turbohtml import Element, Text
from turbohtml import parse as parse_html

from tracker.models import Site, User
from tracker.models.ownership import find_owned
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.inputs import BlockSearch

MOST = 100
_ATTRIBUTES = ("href", "title", "aria-label", "data-email", "data-clipboard-text")
_NEVER = {"script", "style", "template", "noscript", "input", "textarea", "select"}


def search_block(session: Session, user: User, search: BlockSearch, shape: Any) -> Any:
    """Raises :class:`ActionError`."""
    site = find_owned(session, Site, user, search.site)
    if site is None:
        raise ActionError("invalid", LocalizedText("There is no such site. Choose one of yours."), "site")
    seen = [page for address, page in site.addresses if address == search.email.lower()]
    if search.html is None:
        return shape(checked="pages", places=[], pages=seen)
    return shape(checked="html", places=places_in(search.html, search.email), pages=seen)


def places_in(html: str, email: str) -> list[dict[str, Any]]:
    """Every place of the address in the page, at most :data:`MOST`."""
    address = re.compile(rf"(?<![\w.%+-]){re.escape(email)}(?![\w-]|\.\w)", re.IGNORECASE)
    made: list[dict[str, Any]] = []
    for place in _places(html, address):
        made.append(place)
        if len(made) == MOST:
            break
    return made


def _places(html: str, address: re.Pattern[str]) -> Iterator[dict[str, Any]]:
    for element in parse_html(html).descendants:
        if not isinstance(element, Element) or element.tag in _NEVER:
            continue
        for name in _ATTRIBUTES:
            value = str(element.attrs.get(name) or "")
            if address.search(unquote(value)):
                yield _place(f"attribute {name}", element, value)
        own = "".join(child.text for child in element.children if isinstance(child, Text))
        if address.search(own):
            yield _place("text", element, own.strip())


def _place(where: str, element: Element, text: str) -> dict[str, Any]:
    return {"where": where, "element": element.tag, "text": text[:300], "selector": _selector(element)}


def _selector(element: Element) -> dict[str, str] | None:
    """What selects the element, or the nearest around it that has a name."""
    node: Any = element
    while isinstance(node, Element):
        for name in ("id", "class", "name"):
            value = node.attrs.get(name)
            value = " ".join(value) if isinstance(value, list) else str(value or "")
            if value.strip():
                return {"attribute": name, "value": value.strip()[:200]}
        node = node.parent
    return None
