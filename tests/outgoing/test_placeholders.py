"""Placeholders: every value in its place and escaped for it, every hole named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turbohtml import parse

from tracker.outbound.placeholders import NAMES, Filled, fill, fill_html, first_name, names_of, own_names_of, used

ANNA = names_of("Anna Petit", "anna@petit.example", "Petit & Fils") | own_names_of("", "alice@s.example")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Dear {{first_name}},", Filled("Dear Anna,")),
        ("{{ Name }} of {{COMPANY}}", Filled("Anna Petit of Petit & Fils")),
        ("{{my_name}}", Filled("{{my_name}}", missing=("my_name",))),
        ("{{my_name|our shop}}", Filled("our shop")),
        ("{{first_name|there}}", Filled("Anna")),
        ("{{my_name|}} {{my_name}}", Filled("{{my_name|}} {{my_name}}", missing=("my_name",))),
        ("{{nmae}} {{nmae}}", Filled("{{nmae}} {{nmae}}", unknown=("nmae",))),
        ("{name} {{{name}}} {{ 1 }} {{a b}}", Filled("{name} {Anna Petit} {{ 1 }} {{a b}}")),
        ("no places", Filled("no places")),
    ],
)
def test_plain_text(text: str, filled: Filled) -> None:
    assert fill(text, ANNA) == filled


def test_html_is_escaped_as_text_and_percent_encoded_in_a_link() -> None:
    html = '<a href="https://x.example/?c={{company}}&amp;n={{first_name|x}}">{{company}}</a>'
    assert fill_html(html, ANNA).text == (
        '<a href="https://x.example/?c=Petit%20%26%20Fils&amp;n=Anna">Petit &amp; Fils</a>'
    )


def test_a_hostile_name_is_a_name() -> None:
    hostile = '"><script>alert(1)</script>\r\nBcc: eve@evil.example'
    filled = fill_html('<p title="{{name}}">{{name}}</p>', names_of(hostile, "a@b.example", "")).text
    page = parse(filled)
    assert not page.select("script")
    assert page.select("p")[0].text == page.select("p")[0].attrs["title"] == " ".join(hostile.split())
    assert "\n" not in fill("{{name}}", names_of(hostile, "a@b.example", "")).text


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert fill("{{name}}", {"name": "{{address}}", "address": "x"}).text == "{{address}}"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Anna Petit", "Anna"),
        ("Petit, Anna", "Anna"),
        ("Dr. Anna Petit", "Anna"),
        ("Анна", "Анна"),
        ("Dr.", "Dr."),
        ("", ""),
        ("Petit,", "Petit"),
    ],
)
def test_first_names(name: str, first: str) -> None:
    assert first_name(name) == first


def test_used_names_each_once_in_order() -> None:
    assert used("{{b}} {{Name}}", "{{name|x}} {{ a }}") == ("b", "name", "a")


@given(st.text(), st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_whatever_comes_nothing_is_lost_and_nothing_raises(text: str, values: dict[str, str]) -> None:
    filled = fill(text, values)
    assert set(filled.missing) <= set(NAMES)
    assert not set(filled.unknown) & set(NAMES)
    assert fill_html(text, {}).text.count("{{") <= text.count("{{")
