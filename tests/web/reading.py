"""Reading pages in tests: the one element meant, its words, its classes."""

import httpx
from turbohtml import Document, Element, parse

Page = httpx.Response | Document | Element


def every(page: Page, selector: str) -> list[Element]:
    return list((parse(page.text) if isinstance(page, httpx.Response) else page).select(selector))


def only(page: Page, selector: str) -> Element:
    """The first element that fits; a test fails here when there is none."""
    elements = every(page, selector)
    assert elements, f"nothing on the page is {selector}"
    return elements[0]


def words(element: Element) -> str:
    return " ".join(element.text.split())


def text_at(page: Page, selector: str) -> str:
    return words(only(page, selector))


def attribute(element: Element, name: str) -> str:
    value = element.attrs.get(name)
    return " ".join(value) if isinstance(value, list) else str(value or "")
