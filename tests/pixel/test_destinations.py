"""Where a click may lead, as pure questions; the same over the wire is in `test_click_traps.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel.destinations import host_of, is_web_address, location, origin_of, path_of


@given(st.text())
def test_any_text_is_either_refused_or_a_clean_header(text: str) -> None:
    for url in (text, f"https://{text}", f"https://e.org/{text}"):
        there = location(url)
        assert (there is not None) <= is_web_address(url)
        if there is not None:
            assert there.isascii()
            assert all(0x20 < byte < 0x7F for byte in there)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80))
def test_ascii_is_left_as_it_was(tail: str) -> None:
    assert location(f"https://e.org/{tail}") == f"https://e.org/{tail}".encode()


@pytest.mark.parametrize("host", ["xn--\u00fc", "\u200d.example", "a..\u00fc", "\u00fc" * 70, "\u0627a.example"])
def test_hosts_that_have_no_a_labels_are_refused(host: str) -> None:
    assert location(f"https://{host}/") is None


@pytest.mark.parametrize(
    ("url", "host", "origin", "path"),
    [
        ("https://Example.org", "example.org", ("example.org", "443"), ""),
        ("http://example.org./a?b=/c#d", "example.org", ("example.org", "80"), "/a"),
        ("https://u:p@example.org:8443/a/b", "example.org", ("example.org", "8443"), "/a/b"),
        ("https://[2001:DB8::1]/", "2001:db8::1", ("2001:db8::1", "443"), "/"),
        ("https://example.org#/x", "example.org", ("example.org", "443"), ""),
        ("mailto:a@example.org", None, None, ""),
        ("", None, None, ""),
    ],
)
def test_parts(url: str, host: str | None, origin: tuple[str, str] | None, path: str) -> None:
    assert (host_of(url), origin_of(url), path_of(url)) == (host, origin, path)
