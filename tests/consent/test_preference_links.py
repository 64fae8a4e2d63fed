"""Links of a recipient: nobody can make or change one, and nothing about the person is in them."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.consent.preference_links import LinkKind, PreferenceLink, PreferenceLinks

KEY, OLD = "k" * 40, "o" * 40
LINK = PreferenceLink(LinkKind.COPY, "abcdefghijk", "ABCDEFGHIJK", date(2026, 11, 26), "0a1b2c3d")


@pytest.mark.parametrize("kind", LinkKind)
def test_what_was_signed_is_read(kind: LinkKind) -> None:
    links = PreferenceLinks([KEY])
    for link in (replace(LINK, kind=kind), replace(LINK, kind=kind, copy="")):
        assert links.read(links.token(link)) == link


def test_a_changed_token_is_nobodys() -> None:
    links, token = PreferenceLinks([KEY]), PreferenceLinks([KEY]).token(LINK)
    for place in range(len(token)):
        other = "a" if token[place] != "a" else "b"
        assert links.read(token[:place] + other + token[place + 1 :]) is None, place
    assert links.read(token[:-1]) is None
    assert links.read(token + "A") is None


@given(st.text())
def test_anything_else_is_nobodys(text: str) -> None:
    assert PreferenceLinks([KEY]).read(text) is None
    assert PreferenceLinks([KEY]).read_url(f"https://t.example/r/{text}") is None


def test_f8_keys_are_rotated() -> None:
    token = PreferenceLinks([OLD]).token(LINK)
    assert PreferenceLinks([KEY, OLD]).read(token) == LINK
    assert PreferenceLinks([KEY]).read(token) is None


@pytest.mark.parametrize("tail", ["", "/", "?utm_source=x", "/one-click", ".", ")", "%3D"])
def test_what_mail_programs_stick_to_it_is_told_from_it(tail: str) -> None:
    links = PreferenceLinks([KEY])
    assert links.read_url(f"https://old.example/r/{links.token(LINK)}{tail}") == LINK


def test_a_page_is_bound_to_its_link_and_to_the_ledger_it_showed() -> None:
    links = PreferenceLinks([KEY])
    token = links.token(LINK)
    value = links.page_value(token, 3)
    assert links.made_by_page(value, token, 3)
    assert not links.made_by_page(value, token, 4), "something was said since"
    assert not links.made_by_page(value, links.token(replace(LINK, kind=LinkKind.ASK)), 3)
    assert not links.made_by_page(value[:-1], token, 3)
    assert not links.made_by_page("", token, 3)
