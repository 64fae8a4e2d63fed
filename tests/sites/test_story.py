"""From a page to a letter: what a visitor is shown, and where the letter to it comes from."""

from tests.sites.website import Website
from tracker.models import PageView, SiteLease, Visit


def test_a_visitor_from_an_advertisement_writes_to_the_address_shown(website: Website) -> None:
    website.dynamic()
    visitor = website.visitor()
    address = visitor.address(page="https://site.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=spring")
    assert address is not None
    assert address.startswith("info+a")
    assert visitor.address(page="https://site.example/contact") == address, "one visitor, one address"
    assert visitor.tells("click", address) == 204
    website.drained()
    (visit,) = website.rows(Visit)
    assert (visit.pages, visit.source["name"], visit.approved, visit.covered) == (2, "yandex", True, True)
    assert [view.page for view in website.rows(PageView)] == ["https://site.example/", "https://site.example/contact"]
    (lease,) = website.rows(SiteLease)
    assert (lease.address, lease.intent_at is not None) == (address, True)
    made = website.letter(address)
    assert made is not None
    assert (made.method, made.source["name"], made.visit_id, made.flags) == ("code", "yandex", visit.id, [])


def test_who_wrote_to_a_code_is_known_when_they_write_to_the_bare_address(website: Website) -> None:
    """In the same second even: servers tell no less."""
    website.dynamic()
    address = website.visitor().address(page="https://site.example/?utm_source=yandex&utm_medium=cpc")
    website.drained()
    second = website.now().replace(microsecond=0)
    for written_to, method in ((address, "code"), ("info@site.example", "history")):
        made = website.letter(str(written_to), internal_date=second)
        assert made is not None
        assert (made.method, made.source and made.source["name"]) == (method, "yandex")


def test_what_is_drained_twice_is_stored_once(website: Website) -> None:
    website.dynamic()
    website.visitor().sees()
    website.drained()
    from sqlmodel import delete

    from tracker.models import DrainCursor

    with website.context.database.session_scope() as session:
        session.exec(delete(DrainCursor))
    website.drained()
    assert len(website.rows(Visit)) == len(website.rows(PageView)) == 1
