"""Searching by words, on both engines: case does not matter in any script, and nothing typed has a meaning of its own."""

import pytest
from sqlmodel import select

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tracker.models import Recipient
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.word_search import has_word, split_words

PEOPLE = {"ivan@example.com": "Иван Петров", "per_cent@example.com": "100% Élan", "percent@example.com": "Percy"}


@pytest.mark.parametrize(
    ("words", "addresses"),
    [
        ("иван", {"ivan@example.com"}),
        ("ИВАН", {"ivan@example.com"}),
        ("Иван петров", {"ivan@example.com"}),
        ("IVAN@", {"ivan@example.com"}),
        ("élan", {"per_cent@example.com"}),
        ("perc", {"percent@example.com"}),
        ("r_c", {"per_cent@example.com"}),
        ("100%", {"per_cent@example.com"}),
        ("иван\0петров", {"ivan@example.com"}),
        ("иван percy", set()),
    ],
)
def test_every_word_must_stand_in_a_name_or_an_address(context: AppContext, words: str, addresses: set[str]) -> None:  # noqa: F811
    with context.database.session_scope() as session:
        for address, name in PEOPLE.items():
            find_or_make(session, address, name)
    conditions = [has_word(word, [Recipient.name], [Recipient.lookup]) for word in split_words(words)]
    with context.database.reading() as session:
        assert {row.address for row in session.exec(select(Recipient).where(*conditions))} == addresses
