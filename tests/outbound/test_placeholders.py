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
        ("Prof. Dr. Dr. h.c. Max Muster", "Max"),
        ("Dr. med. Anna Petit", "Anna"),
        ("Anna Petit, PhD", "Anna"),
        ("John Smith, Jr.", "John"),
        ("Smith, John, Jr.", "John"),
        ("John Smith CPA", "John"),
        ("Dipl.-Ing. Karl Braun", "Karl"),
        ("Ing. Jan Novák, CSc.", "Jan"),
        ("MUDr. Petr Novák", "Petr"),
        ("prof. zw. dr hab. Jan Kowalski", "Jan"),
        ("Sig.ra Maria Rossi", "Maria"),
        ("Sr. Juan Pérez", "Juan"),
        ("Mme Claire Dupont", "Claire"),
        ("van der Berg, Jan", "Jan"),
        ("Jean-Luc Picard", "Jean-Luc"),
        ("O'Brien, Pat", "Pat"),
        ("'Anna Petit'", "Anna"),
        ("Anna Petit (ACME)", "Anna"),
        ("Иванова Мария Петровна", "Мария"),
        ("Мария Петровна Иванова", "Мария"),
        *((name, "") for name in ("Dr.", "", "Petit,", "Smith, Jr.", "Petit, PhD", "Smith, Esq.", "Herr Müller")),
        *((name, "") for name in ("Frau Dr. Schmidt", "M. Dupont", "г-н Петров", "A. Petit", "J. R. R. Tolkien")),
        *((name, "") for name in ("anna@client.example", "<anna@client.example>", "info", "ACME GmbH", "Sales Team")),
        *((name, "") for name in ("Mr. & Mrs. Smith", "Support via Zendesk", "Отдел продаж", "12 Anna")),
    ],
)
def test_first_names(name: str, first: str) -> None:
    assert first_name(name) == first


def test_an_address_is_no_name() -> None:
    assert names_of("anna@petit.example", "anna@petit.example", "")["name"] == ""


QUOTES = {
    "blockquote": '<blockquote type="cite"><div>Dear {{name}}</div></blockquote>',
    "inside a quote": "<blockquote><blockquote>{{name}}</blockquote>{{name}}</blockquote>",
    "gmail": '<div class="gmail_quote">On Monday {{name}}:<blockquote>{{name}}</blockquote></div>',
    "outlook": '<div id="divRplyFwdMsg">From: x</div><div>{{name}}</div>',
    "never closed": "<blockquote><p>{{name}}",
    "plain box": "<div>&gt; Dear {{name}}</div><div>&gt;&gt; {{name}}</div>",
    "in a link": '<blockquote><a href="https://x.example/{{name}}">x</a></blockquote>',
}


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
def test_what_is_quoted_is_not_filled(quote: str) -> None:
    assert fill_html(f"<p>{{{{name}}}}</p>{quote}", ANNA).text == f"<p>Anna Petit</p>{quote}"


def test_after_a_quotation_it_goes_on() -> None:
    html = "<p>{{name}}</p><blockquote>{{name}}</blockquote><p>{{name}}</p>"
    assert fill_html(html, ANNA).text == "<p>Anna Petit</p><blockquote>{{name}}</blockquote><p>Anna Petit</p>"


def test_braces_that_no_template_put_there_are_words() -> None:
    assert fill("{{name}} {{company}} {{x}}", ANNA, {"name"}) == Filled("Anna Petit {{company}} {{x}}", unknown=("x",))


def test_used_names_each_once_in_order() -> None:
    assert used("{{b}} {{Name}}", "{{name|x}} {{ a }}") == ("b", "name", "a")


@given(st.text(), st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_whatever_comes_nothing_is_lost_and_nothing_raises(text: str, values: dict[str, str]) -> None:
    filled = fill(text, values)
    assert set(filled.missing) <= set(NAMES)
    assert not set(filled.unknown) & set(NAMES)
    assert fill_html(text, {}).text.count("{{") <= text.count("{{")
