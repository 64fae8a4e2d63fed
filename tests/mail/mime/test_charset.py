"""Octets without a usable label: the same guess wherever they are read."""

import pytest

from tracker.mail.mime.charset import codec_of
from tracker.mail.mime.text import readable

WORDS = [
    ("Grüße aus Köln, schöne Straße", "cp1252"),
    ("À bientôt, l’été à Orléans – où déjà", "cp1252"),
    ("Año nuevo: mañana señor Ibáñez", "cp1252"),
    ("Здравствуйте, прошу выслать цену на товар", "cp1251"),
    ("Re: заявка 12 от ООО «Ёлка» (Shop), да", "cp1251"),
    ("Grüße и привет, plain ASCII only besides", "utf-8"),
]


@pytest.mark.parametrize(("text", "codec"), WORDS)
@pytest.mark.parametrize("label", ["", "unknown-8bit", "us-ascii"])
def test_words_say_which_alphabet_they_are_in(text: str, codec: str, label: str) -> None:
    octets = text.encode(codec)
    assert codec_of(label, octets) == codec
    assert readable(octets, label) == text
