"""Profile, password, tokens: one's own, shown once, and never another person's."""

import re

import httpx
import pytest
from sqlmodel import select

from tests.fixtures.contexts import PASSWORD, password_hash
from tests.web.conftest import ClientOf, MakeUser
from tracker import users
from tracker.models import ApiToken, User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import password_fits, token_digest

PROFILE = {
    "name": "Alice",
    "locale": "ru",
    "timezone": "Asia/Tokyo",
    "theme": "dark",
    "track_opens": "on",
    "undo_seconds": "10",
}


@pytest.fixture
def carla(make_user: MakeUser) -> User:
    return make_user("carla@example.com", "Carla", password_hash=password_hash())


def read(context: AppContext, user: User) -> User:
    with context.database.reading() as session:
        return session.get_one(User, user.id)


def test_the_profile_is_saved_and_the_page_speaks_the_new_language(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    assert client.post("/settings/profile", data=PROFILE).status_code == 303
    page = client.get("/settings/profile").text
    assert "Профиль сохранён." in page
    assert '<html lang="ru" data-theme="dark">' in page
    saved = read(context, alice)
    assert (saved.timezone, saved.track_opens, saved.track_links, saved.undo_seconds) == ("Asia/Tokyo", True, False, 10)
    assert "Профиль сохранён." not in client.get("/settings/profile").text


def test_whoever_likes_plain_text_writes_in_it(client: httpx.Client) -> None:
    assert "squire" in client.get("/compose").text
    assert client.post("/settings/profile", data={**PROFILE, "locale": "en", "editor": "plain"}).status_code == 303
    page = client.get("/compose").text
    assert "squire" not in page
    assert 'name="format" value="plain"' in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "The name is missing"),
        ("name", "x" * 201, "The name is too long"),
        ("locale", "../en", "This language is not there"),
        ("timezone", "../../etc/passwd", "time zone is not known"),
        ("theme", "pink", "Choose one of the three"),
        ("editor", "wild", "Choose one of the two"),
        ("undo_seconds", "31", "Choose one of the list"),
        ("undo_seconds", "-5", "Choose one of the list"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_saved(
    client: httpx.Client, context: AppContext, alice: User, field: str, value: str, words: str
) -> None:
    answer = client.post("/settings/profile", data={**PROFILE, "locale": "en", field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert f'id="{field}-wrong"' in answer.text
    assert read(context, alice).timezone == "UTC"


def test_a_form_cannot_change_what_it_does_not_show(client_of: ClientOf, context: AppContext, bob: User) -> None:
    client_of(bob).post(
        "/settings/profile", data={**PROFILE, "role": "admin", "email": "x@y.example", "id": "1", "active": ""}
    )
    saved = read(context, bob)
    assert (saved.role, saved.email, saved.active) == ("member", "bob@example.com", True)


def test_names_are_text_wherever_they_come_back(client: httpx.Client) -> None:
    hostile = '"><script>alert(1)</script>'
    client.post("/settings/profile", data={**PROFILE, "locale": "en", "name": hostile})
    page = client.get("/settings/profile").text
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 2


def test_a_new_password_needs_the_present_one_and_ends_all_other_visits(
    client_of: ClientOf, context: AppContext, carla: User
) -> None:
    present, elsewhere = client_of(carla), client_of(carla)
    wrong = present.post("/settings/password", data={"present": "nope", "password": "another long one"})
    assert wrong.status_code == 422
    assert "not your present password" in wrong.text
    assert present.post("/settings/password", data={"present": PASSWORD, "password": "short"}).status_code == 422
    assert (
        present.post("/settings/password", data={"present": PASSWORD, "password": "another long one"}).status_code
        == 303
    )
    assert password_fits(read(context, carla).password_hash, "another long one")
    assert present.get("/settings/profile").status_code == 200
    assert elsewhere.get("/settings/profile").status_code == 303


@pytest.mark.parametrize(("choice", "valid"), [({}, False), ({"tokens": "revoke"}, False), ({"tokens": "keep"}, True)])
def test_a_new_password_ends_api_tokens_unless_they_are_to_be_kept(
    client_of: ClientOf, context: AppContext, carla: User, choice: dict[str, str], valid: bool
) -> None:
    with context.database.session_scope() as session:
        row, _token = users.add_token(session, session.get_one(User, carla.id), "CRM")
    client = client_of(carla)
    page = client.get("/settings/profile").text
    assert '<option value="revoke" selected>' in page
    answer = client.post("/settings/password", data={"present": PASSWORD, "password": "another long one", **choice})
    assert answer.status_code == 303
    with context.database.reading() as session:
        assert (session.get_one(ApiToken, row.id).revoked_at is None) == valid


def test_a_password_that_is_tried_first_is_refused_with_its_own_address(client_of: ClientOf, carla: User) -> None:
    client = client_of(carla)
    for password in ("passwordpassword", carla.email + "1", "aaaaaaaaaaaa"):
        answer = client.post("/settings/password", data={"present": PASSWORD, "password": password})
        assert answer.status_code == 422
        assert "one of the first that are tried" in answer.text


def test_the_present_password_may_be_guessed_five_times(client_of: ClientOf, carla: User) -> None:
    client = client_of(carla)
    for _ in range(5):
        client.post("/settings/password", data={"present": "nope", "password": "another long one"})
    assert (
        client.post("/settings/password", data={"present": PASSWORD, "password": "another long one"}).status_code == 429
    )


def test_a_token_is_shown_once_and_kept_as_a_digest(client: httpx.Client, context: AppContext) -> None:
    made = client.post("/settings/tokens", data={"name": "CRM"})
    match = re.search(r'value="([\w-]{43})"', made.text)
    assert match is not None
    page = client.get("/settings/tokens").text
    assert "CRM" in page
    assert match[1] not in page
    with context.database.reading() as session:
        assert session.exec(select(ApiToken.token_digest)).one() == token_digest(match[1])


def test_a_token_is_revoked_by_its_owner_alone(
    client_of: ClientOf, context: AppContext, alice: User, bob: User
) -> None:
    client_of(alice).post("/settings/tokens", data={"name": "CRM"})
    with context.database.reading() as session:
        public_id = session.exec(select(ApiToken.public_id)).one()
    assert "CRM" not in client_of(bob).get("/settings/tokens").text
    assert client_of(bob).post(f"/settings/tokens/{public_id}/revocation").status_code == 404
    assert client_of(alice).post(f"/settings/tokens/{public_id}/revocation").status_code == 303
    with context.database.reading() as session:
        assert session.exec(select(ApiToken.revoked_at)).one() is not None


def test_a_token_needs_a_name(client: httpx.Client) -> None:
    assert "The name is missing" in client.post("/settings/tokens", data={"name": " "}).text
