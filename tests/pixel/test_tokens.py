"""Tokens: nobody can make one, change one, or make reading one fail."""

import base64
import hmac
import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.signer import Signer

from pixel.tokens import ClickClaims, OpenClaims, Tokens, TrapClaims, _Mac, _Seal, click_path, open_path, token_in_path
from tests.pixel.edge_server import KEY, OLDER_KEY

TOKENS = Tokens([KEY])
DELIVERY = "AAECAwQFBgc"
READERS = (TOKENS.read_open, TOKENS.read_click, TOKENS.read_self_mark)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

hosts = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
tails = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200)
urls = st.builds(
    lambda scheme, host, tail: f"{scheme}://{host}/{tail}", st.sampled_from(["http", "https"]), hosts, tails
)
public_ids = st.binary(min_size=8, max_size=8).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="))


def test_tokens_in_mail_that_was_sent_long_ago_are_valid() -> None:
    tokens = Tokens(("k1-0123456789-abcdefghijklmnopqrstuvwxyz",))
    delivery, url = "AAAAAAAAAAE", "https://shop.example/a?b=1"
    opening, trap = "AQAAAAAAAAABY-Uph_MUV7WMAU39J48IkATXxpU", "AQAAAAAAAAABxucwfwlypZhY70hxgKArPgFpOik"
    click = "AQAAAAAAAAABAANodHRwczovL3Nob3AuZXhhbXBsZS9hP2I9MQ8usrKbFbFPl3Af_csy7OvFpLX0A"
    assert tokens.read_open(opening) == OpenClaims(delivery)
    assert tokens.read_click(click) == ClickClaims(delivery, 3, url)
    assert tokens.read_trap(trap) == TrapClaims(delivery)
    assert (tokens.open(delivery), tokens.click(delivery, 3, url), tokens.trap(delivery)) == (opening, click, trap)


@given(public_ids)
def test_open_tokens_read_back_and_are_short(delivery: str) -> None:
    token = TOKENS.open(delivery)
    assert TOKENS.read_open(token) == OpenClaims(delivery)
    assert len(token) <= 44
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)


@given(public_ids, st.integers(0, 65_534), urls)
def test_click_tokens_read_back_exactly_and_are_short(delivery: str, link: int, url: str) -> None:
    token = TOKENS.click(delivery, link, url)
    assert TOKENS.read_click(token) == ClickClaims(delivery, link, url)
    assert len(token) <= 60 + len(url.encode()) * 4 / 3
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)


@given(st.binary(max_size=300))
def test_the_signature_is_the_hmac_of_the_standard_library_cut_to_160_bits(packed: bytes) -> None:
    key = Signer(KEY, "salt", key_derivation="hmac", digest_method=sha256).derive_key()
    text, signature = (part.encode() for part in (lambda t: (t[:-27], t[-27:]))(_Seal([KEY], "salt").sign(packed)))
    assert base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")[:20]).rstrip(b"=") == signature


@given(st.text())
def test_reading_never_raises_and_believes_nothing(text: str) -> None:
    assert [read(text) for read in READERS] == [None, None, None]


@given(st.text(ALPHABET, min_size=20, max_size=120))
def test_what_only_looks_like_a_token_is_refused(text: str) -> None:
    assert [read(text) for read in READERS] == [None, None, None]


@given(st.data())
def test_no_changed_character_is_accepted(data: st.DataObject) -> None:
    """Every character counts, the last ones too, where base64 leaves two bits unused."""
    click = TOKENS.click(DELIVERY, 7, "https://example.org/")
    token, read = data.draw(st.sampled_from([(TOKENS.open(DELIVERY), TOKENS.read_open), (click, TOKENS.read_click)]))
    place = data.draw(st.integers(0, len(token) - 1))
    mark = data.draw(st.sampled_from(ALPHABET).filter(lambda mark: mark != token[place]))
    assert read(token) is not None
    assert read(token[:place] + mark + token[place + 1 :]) is None


def test_the_unused_bits_of_the_last_character_count_too() -> None:
    """27 characters hold two bits more than 20 bytes have; a decoder that ignores them would accept four spellings."""
    for token, read in (
        (TOKENS.open(DELIVERY), TOKENS.read_open),
        (TOKENS.click(DELIVERY, 0, "https://e.org/"), TOKENS.read_click),
    ):
        assert [mark for mark in ALPHABET if read(token[:-1] + mark)] == [token[-1]]


@given(st.integers(1, 40), st.text(ALPHABET, min_size=1, max_size=4))
def test_shortened_and_lengthened_tokens_are_refused(cut: int, more: str) -> None:
    for token, read in (
        (TOKENS.open(DELIVERY), TOKENS.read_open),
        (TOKENS.click(DELIVERY, 0, "https://e.org/"), TOKENS.read_click),
    ):
        assert read(token[:-cut]) is None
        assert read(token[cut:]) is None
        assert read(token + more) is None
        assert read(more + token) is None


def test_each_kind_is_refused_as_the_other() -> None:
    made = (TOKENS.open(DELIVERY), TOKENS.click(DELIVERY, 0, "https://e.org/"), TOKENS.self_mark(DELIVERY))
    for i, token in enumerate(made):
        assert [read(token) is not None for read in READERS] == [i == j for j in range(3)]


def test_each_kind_is_signed_with_a_key_of_its_own() -> None:
    """Even claims of the right shape are refused when another kind's key has signed them."""
    opening, click = b"\x01" + b"12345678", b"\x01" + b"12345678" + b"\x00\x00" + b"https://e.org/"
    assert TOKENS.read_open(TOKENS._open.sign(opening)) is not None
    assert TOKENS.read_open(TOKENS._click.sign(opening)) is None
    assert TOKENS.read_click(TOKENS._click.sign(click)) is not None
    assert TOKENS.read_click(TOKENS._open.sign(click)) is None
    assert TOKENS.read_click(TOKENS._mark.sign(click)) is None
    assert TOKENS.read_self_mark(TOKENS._open.sign(b"\x01anna")) is None


def test_every_key_verifies_and_the_first_signs() -> None:
    both = Tokens([KEY, OLDER_KEY])
    assert both.read_open(Tokens([OLDER_KEY]).open(DELIVERY)) == OpenClaims(DELIVERY)
    assert TOKENS.read_open(both.open(DELIVERY)) == OpenClaims(DELIVERY)
    assert Tokens([OLDER_KEY]).read_open(both.open(DELIVERY)) is None


def test_same_claims_make_the_same_token() -> None:
    """A link that stands twice in a mail, or a mail composed again, keeps its address."""
    assert TOKENS.click(DELIVERY, 1, "https://e.org/") == Tokens([KEY]).click(DELIVERY, 1, "https://e.org/")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "at least one"),
        ("just a string that is long enough to be a key", "a list"),
        ([""], "0 characters"),
        (["short"], "5 characters"),
        (["k" * 31], "31 characters"),
        ([KEY, "qwerty"], "6 characters"),
        (["please-change-me-please-change-me-please"], "example"),
        (["CHANGE_THIS_TO_SOMETHING_LONG_AND_RANDOM"], "example"),
        (["your-secret-key-here-0123456789-0123456789"], "example"),
        (["django-insecure-0123456789-0123456789-0123"], "example"),
        (["supersecretsupersecretsupersecretsecret"], "example"),
    ],
)
def test_f07_bad_keys_are_refused(keys: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        Tokens(keys)
    assert not any(len(key) > 3 and key in str(error.value) for key in keys), "the key itself is not shown"


@pytest.mark.parametrize(
    "delivery", ["", "short", "AAAAAAAAAAB", "AAAAAAAAAA=", "AAAAAAAAAAAA", "AAAAAAAAAA ", "ÄAAAAAAAAAA"]
)
def test_only_public_ids_are_signed(delivery: str) -> None:
    with pytest.raises(ValueError, match="public id"):
        TOKENS.open(delivery)
    with pytest.raises(ValueError, match="public id"):
        TOKENS.click(delivery, 0, "https://e.org/")


@pytest.mark.parametrize(
    "url", ["javascript:x", "//e.org", "https:e.org", "https://e.org/\n", "https://e.org/" + "x" * 8200, ""]
)
def test_only_destinations_that_would_work_are_signed(url: str) -> None:
    with pytest.raises(ValueError, match="destination"):
        TOKENS.click(DELIVERY, 0, url)


@pytest.mark.parametrize("link", [-1, 65_536])
def test_only_link_indexes_are_signed(link: int) -> None:
    with pytest.raises(ValueError, match="link index"):
        TOKENS.click(DELIVERY, link, "https://e.org/")


def test_a_version_from_the_future_is_refused() -> None:
    """A later format with the same keys must not be read with today's eyes."""
    later = TOKENS._open.sign(b"\x02" + b"12345678")
    assert TOKENS.read_open(later) is None
    assert TOKENS.read_click(TOKENS._click.sign(b"\x02" + b"12345678" + b"\x00\x00" + b"https://e.org/")) is None
    assert TOKENS.read_self_mark(TOKENS._mark.sign(b"\x02" + b"anna")) is None


def test_self_mark_reads_back() -> None:
    mark = TOKENS.self_mark("anna-1")
    assert TOKENS.read_self_mark(mark) == "anna-1"
    assert re.fullmatch(r"[A-Za-z0-9_-]+", mark)
    for name in ("", "x" * 65):
        with pytest.raises(ValueError, match="1 to 64"):
            TOKENS.self_mark(name)


@pytest.mark.parametrize("tail", ["", ".gif", "/example.com", ")", "?x", "%"])
def test_the_token_is_found_in_a_path(tail: str) -> None:
    click = TOKENS.click(DELIVERY, 0, "https://e.org/")
    assert token_in_path(click_path(click) + tail) == ("click", click)
    assert token_in_path(open_path(TOKENS.open(DELIVERY)) + tail) == ("open", TOKENS.open(DELIVERY))


@pytest.mark.parametrize("path", ["", "/", "/o", "/o/", "/x/abc", "o/abc", "/c/.abc", "/s/abc"])
def test_no_token_in_other_paths(path: str) -> None:
    assert token_in_path(path) is None


@pytest.mark.parametrize("length", [1, 12, 31, 55, 56, 64, 65, 200])
@pytest.mark.parametrize("key", [b"k" * 20, b"k" * 64, b"k" * 65])
def test_a_signature_is_an_hmac_of_sha256_cut_to_160_bits(key: bytes, length: int) -> None:
    text = bytes(range(length))
    signature = base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")[:20]).rstrip(b"=")
    assert _Mac(key).of(text) == signature == _Mac(key).of(text)
