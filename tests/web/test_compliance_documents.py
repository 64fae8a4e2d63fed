"""The compliance kit: written from the live settings, in both languages; the page that previews, saves and hands it out."""

from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from sqlmodel import update

from tests.web.browsing import OpenAs, signed_in_browser  # noqa: F401  (fixture)
from tests.web.conftest import ClientOf
from tests.web.mail_world import Seen, To, Written, write
from tests.web.reading import text_at
from tracker.consent.preferences import set_policy, set_preference
from tracker.consent.rules import Pack
from tracker.models import Event, User
from tracker.privacy.compliance_documents import compliance_archive, self_check
from tracker.privacy.periods import DEFAULTS, periods
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

NAMES = ("article-30", "impact-assessment", "notice-to-recipients", "notice-to-staff", "deadlines", "self-check")


def documents(context: AppContext) -> dict[str, str]:
    with context.database.reading() as session, ZipFile(BytesIO(compliance_archive(session, context))) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_every_paper_is_there_in_both_languages_and_says_what_is_set(context: AppContext, alice: User) -> None:
    with context.database.session_scope() as session:
        set_preference(
            session, "controller", {"name": "Werk GmbH", "address": "Am Ufer 1", "contact": "dpo@werk.example"}
        )
        set_preference(session, "retention", {"hits_days": 31})
    texts = documents(context)
    assert set(texts) == {f"{language}/{name}.md" for language in ("en", "ru") for name in NAMES}
    for language in ("en", "ru"):
        for name in NAMES[:3]:
            assert "Werk GmbH" in texts[f"{language}/{name}.md"]
            assert "31" in texts[f"{language}/{name}.md"], name
    assert "dpo@werk.example" in texts["en/article-30.md"]
    russian = "".join(text for name, text in texts.items() if name.startswith("ru/"))
    assert sum("а" <= letter <= "я" for letter in russian) > len(russian) / 3


def test_the_check_names_what_is_looser(context: AppContext, alice: User) -> None:
    with context.database.session_scope() as session:
        assert not any(self_check(session, now().date()).values())
        set_policy(session, Pack.NOTICE, "business customers abroad")
        set_preference(session, "footer", False)
    with context.database.reading() as session:
        points = {point.setting for point in self_check(session, now().date())["FR"]}
    assert {"policy", "footer"} <= points
    assert "policy" in documents(context)["en/self-check.md"]
    assert "business customers abroad" in documents(context)["en/article-30.md"]


def test_a_preview_changes_nothing_and_saving_does(context: AppContext, alice: User, client: httpx.Client) -> None:
    write(context, alice, Written("Offer", (To("anna@example.org"),), (Seen("open", "human", 60),)))
    with context.database.session_scope() as session:
        session.exec(update(Event).values(at=now() - timedelta(days=40)))
    typed = {name: str(days) for name, days in DEFAULTS.items()} | {"hits_days": "30"}
    shown = client.post("/settings/privacy/periods", data=typed | {"do": "preview"})
    assert "would be deleted: 1" in text_at(shown, "#hits_days-hint")
    with context.database.reading() as session:
        assert periods(session) == DEFAULTS
    assert client.post("/settings/privacy/periods", data=typed | {"do": "save"}).status_code == 303
    with context.database.reading() as session:
        assert periods(session)["hits_days"] == 30
    wrong = client.post("/settings/privacy/periods", data=typed | {"hits_days": "91", "do": "save"})
    assert wrong.status_code == 422
    assert "never longer" in text_at(wrong, "#hits_days-wrong")


def test_it_is_the_administrators(client_of: ClientOf, bob: User) -> None:
    for path in ("/settings/privacy", "/settings/privacy/papers"):
        assert client_of(bob).get(path).status_code == 403


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_axe_finds_nothing(context: AppContext, alice: User, open_as: OpenAs, locale: str) -> None:
    with context.database.session_scope() as session:
        session.get_one(User, alice.id).locale = locale
    for width in (1200, 360):
        page = open_as(alice, "/settings/privacy", viewport=(width, 800))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert Axe().run(page).response["violations"] == []
