"""Sources decided again: what would change is shown, and only then kept."""

from typing import Any

import pytest
from sqlmodel import select

from tests.sites.website import Website
from tracker.models import Letter, LetterSource
from tracker.runtime.localized_text import ActionError
from tracker.sites import reattribution
from tracker.sites.reattribution import attribute_anew, source_changes


def looked(website: Website, **which: Any) -> list[tuple[str, str]]:
    """Method before and after of each letter that would change."""
    with website.context.database.reading() as session:
        changes = source_changes(session, website.user, **which)
        return [(change.before.method if change.before else "", change.after.method) for change in changes]


def reattribute(website: Website, **which: Any) -> None:
    with website.context.database.session_scope() as session:
        attribute_anew(session, source_changes(session, website.user, **which))


def test_a_rule_that_was_made_too_late(website: Website) -> None:
    line = {"address": "leaflet@site.example", "default_source": "std:ads/google"}
    block = website.block().public_id
    assert website.letter("leaflet@site.example") is None, "without rules nothing is decided"
    website.dynamic()
    assert looked(website) == [("", "none")]
    rule = website.static({"blocks": [block], **line}, name="Leaflet")
    assert looked(website) == [("", "static")]
    reattribute(website)
    (row,) = letters(website)
    assert (row.method, row.source["name"], row.rule_id) == ("static", "Google Ads", rule.id)
    assert looked(website) == [], "the second time nothing is left to change"
    website.change(rule, state="draft", static_settings=[])
    assert looked(website) == [("static", "none")]
    assert looked(website, until=row.received_at) == []
    assert len(looked(website, since=row.received_at)) == 1


def letters(website: Website) -> list[LetterSource]:
    with website.context.database.reading() as session:
        return list(session.exec(select(LetterSource).order_by(LetterSource.letter_id)))  # type: ignore[arg-type]


def test_what_was_said_of_a_letter_from_elsewhere_stays(website: Website) -> None:
    website.dynamic()
    row = website.letter("info@site.example")
    assert row is not None
    with website.context.database.session_scope() as session:
        stored = session.get_one(LetterSource, row.letter_id)
        stored.method, stored.source = "external", {"name": "A fair"}
    assert looked(website) == []


def test_only_the_letters_asked_for_and_never_too_many(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    website.dynamic()
    for number in range(3):
        website.letter("info@site.example", f"anna{number}@client.example")
    with website.context.database.session_scope() as session:
        for row in session.exec(select(LetterSource)):
            session.delete(row)
        ids = [letter.public_id for letter in session.exec(select(Letter))]
    assert len(looked(website)) == 3
    assert len(looked(website, letters=ids[:2])) == 2
    monkeypatch.setattr(reattribution, "MOST", 2)
    with pytest.raises(ActionError):
        looked(website)
