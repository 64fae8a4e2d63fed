"""The first start: the code, the first administrator, the policy; and that it happens once."""

import httpx
import pytest
from sqlmodel import select

from tests.web.conftest import MakeUser
from tests.web.reading import attribute, every, only
from tracker.consent.preferences import preference, workspace_pack
from tracker.consent.rules import Pack
from tracker.models import Preference, Role, User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import password_fits
from tracker.web.workspace.set_up_page import make_setup_code

FORM = {
    "name": "Alice",
    "email": "Alice@Example.com",
    "password": "a long enough one",
    "locale": "ru",
    "timezone": "Europe/Moscow",
    "policy": "strict",
    "reason": "",
}


@pytest.fixture
def code(context: AppContext) -> str:
    made = make_setup_code(context)
    assert made is not None
    return made


def set_up(visitor: httpx.Client, code: str, **changes: str) -> httpx.Response:
    return visitor.post("/set-up", data={**FORM, "code": code, **changes})


@pytest.mark.parametrize("path", ["/", "/settings", "/sign-in", "/mail", "/notifications"])
def test_while_nobody_is_there_every_page_leads_to_set_up(visitor: httpx.Client, path: str) -> None:
    answer = visitor.get(path, follow_redirects=True)
    assert answer.url.path == "/set-up"
    assert "One-time code" in answer.text


def test_the_code_makes_the_first_administrator_who_is_signed_in(
    visitor: httpx.Client, context: AppContext, code: str
) -> None:
    answer = set_up(visitor, code)
    assert answer.status_code == 303
    page = visitor.get(answer.headers["location"])
    assert '<html lang="ru"' in page.text
    with context.database.reading() as session:
        user = session.exec(select(User)).one()
        assert workspace_pack(session) == Pack.STRICT
    assert (user.email, user.role, user.timezone) == ("alice@example.com", Role.ADMIN, "Europe/Moscow")


def test_the_code_is_forgiving_in_its_spelling_and_works_once(
    visitor: httpx.Client, context: AppContext, code: str
) -> None:
    assert set_up(visitor, f" {code.lower().replace('-', ' ')} ").status_code == 303
    visitor.cookies.clear()
    again = set_up(visitor, code, email="mallory@example.com")
    assert again.headers["location"] == "/sign-in"
    assert make_setup_code(context) is None
    with context.database.reading() as session:
        assert len(session.exec(select(User)).all()) == 1
        assert preference(session, "setup_code_digest") is None


def test_wrong_codes_make_nobody_and_lock_nobody_out(visitor: httpx.Client, context: AppContext, code: str) -> None:
    """The code has 59 random bits: nobody guesses it, and a stranger must not keep away whoever has it."""
    assert {set_up(visitor, "AAAA-BBBB-CCCC").status_code for _ in range(12)} == {422}
    with context.database.reading() as session:
        assert session.exec(select(User)).all() == []
    assert set_up(visitor, code).status_code == 303


def test_without_a_printed_code_nothing_fits(visitor: httpx.Client, context: AppContext) -> None:
    assert set_up(visitor, "").status_code == 422
    assert set_up(visitor, "None").status_code == 422


def test_a_restart_prints_a_new_code_and_the_old_one_ends(
    visitor: httpx.Client, context: AppContext, code: str
) -> None:
    newer = make_setup_code(context)
    assert newer is not None
    assert newer != code
    assert set_up(visitor, code).status_code == 422
    assert set_up(visitor, newer).status_code == 303


def test_the_database_does_not_hold_the_code(context: AppContext, code: str) -> None:
    with context.database.reading() as session:
        preference = session.get_one(Preference, "setup_code_digest").value
    assert code not in preference
    assert code.replace("-", "") not in preference


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "The name is missing"),
        ("email", "alice", "not an e-mail address"),
        ("password", "too short", "The password is too short"),
        ("locale", "xx", "This language is not there"),
        ("timezone", "Mars/Olympus", "time zone is not known"),
        ("policy", "whatever", "one of the three policies"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_the_rest_is_kept(
    visitor: httpx.Client, code: str, field: str, value: str, words: str
) -> None:
    answer = set_up(visitor, code, **{field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert "a long enough one" not in answer.text
    assert field == "email" or "Alice@Example.com" in answer.text


def test_notice_needs_a_written_reason(visitor: httpx.Client, context: AppContext, code: str) -> None:
    assert "The reason is missing" in set_up(visitor, code, policy="notice").text
    assert set_up(visitor, code, policy="notice", reason="existing customers, § 7 (3)").status_code == 303
    with context.database.reading() as session:
        assert workspace_pack(session) == Pack.NOTICE


def test_where_people_are_there_is_no_code_and_no_page(
    visitor: httpx.Client, context: AppContext, make_user: MakeUser
) -> None:
    make_user("alice@example.com")
    assert make_setup_code(context) is None
    assert visitor.get("/set-up").headers["location"] == "/sign-in"


def test_a_wrong_code_leaves_the_password_typed_and_never_shows_it(
    visitor: httpx.Client, context: AppContext, code: str
) -> None:
    refused = set_up(visitor, "WRONG-CODE")
    assert refused.status_code == 422
    assert FORM["password"] not in refused.text
    typed = attribute(only(refused, "[name=password_typed]"), "value")
    assert "required" not in only(refused, "#password").attrs
    assert set_up(visitor, code, password="", password_typed="x" + typed).status_code == 422
    assert set_up(visitor, code, password="", password_typed=typed).status_code == 303
    with context.database.reading() as session:
        assert password_fits(session.exec(select(User.password_hash)).one(), FORM["password"])


def test_a_password_that_is_itself_wrong_is_typed_again(visitor: httpx.Client, code: str) -> None:
    assert every(set_up(visitor, code, password="short"), "[name=password_typed]") == []
