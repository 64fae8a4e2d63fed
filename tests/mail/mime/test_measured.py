"""Files of a letter measured piece by piece are what they are as a whole."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.mail.mime import encodings
from tracker.mail.mime.encodings import measured, octets_of


@given(
    st.binary(max_size=400), st.integers(1, 60), st.sampled_from(["base64", "BASE64 ", "quoted-printable", "7bit", ""])
)
def test_pieces_are_the_whole(octets: bytes, piece: int, encoding: str) -> None:
    body = base64.encodebytes(octets) if "64" in encoding else octets
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "PIECE", piece)
        pieces = measured(b"before" + body + b"after", 6, 6 + len(body), encoding)
    whole = octets_of(body, encoding)
    assert pieces == (len(whole), hashlib.sha256(whole).hexdigest())


@given(st.binary(max_size=400), st.integers(1, 60))
def test_any_bytes_are_measured(body: bytes, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "PIECE", piece)
        assert measured(body, 0, len(body), "base64")[0] >= 0
