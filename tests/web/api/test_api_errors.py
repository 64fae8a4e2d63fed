"""Errors: always a problem document, always naming what is off, never a 500."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tests.web.api.conftest import Caller, World
from tracker.web.api.authenticated import LARGEST


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
    return body


def fields(response: httpx.Response, status: int = 422) -> list[str]:
    return [error["field"] for error in problem(response, status)["errors"]]


def test_unknown_address(bob: Caller) -> None:
    problem(bob.get("/nothing"), 404)


def test_a_slash_too_many_is_not_redirected(bob: Caller) -> None:
    problem(bob.get("/me/"), 404)


def test_wrong_method(bob: Caller) -> None:
    response = bob.call("DELETE", "/me")
    problem(response, 405)
    assert "GET" in response.headers["allow"]


def test_unknown_field_is_named(bob: Caller) -> None:
    response = bob.call("PATCH", "/me", {"name": "Bob", "colour": "red"})
    assert fields(response) == ["colour"]
    assert "colour" in response.json()["detail"]
    assert bob.get("/me").json()["name"] == "Bob"


def test_unknown_field_deep_down_is_named_by_its_path(bob: Caller) -> None:
    to = [{"address": "a@example.com"}, {"address": "b@example.com", "phone": "1"}]
    assert fields(bob.post("/messages", {"to": to, "subject": "x", "text": "y"})) == ["to.1.phone"]


def test_unknown_query_is_named(bob: Caller) -> None:
    for path in ("/messages", "/notifications", "/accounts", "/recipients"):
        assert fields(bob.get(path, limt=5)) == ["limt"], path


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": 0}, "limit"), ({"limit": 201}, "limit"), ({"limit": "x"}, "limit")]
)
def test_limits_of_lists(bob: Caller, query: dict[str, Any], field: str) -> None:
    for path in ("/messages", "/notifications", "/accounts", "/recipients"):
        assert fields(bob.get(path, **query)) == [field]


@pytest.mark.parametrize("cursor", ["x", "1.x", "9" * 40, "1." + "9" * 40, "-1.1", "\0"])
def test_foreign_cursors(bob: Caller, cursor: str) -> None:
    for path in ("/messages", "/notifications", "/accounts", "/recipients"):
        assert fields(bob.get(path, cursor=cursor)) == ["cursor"]


def test_body_that_is_not_json(bob: Caller) -> None:
    assert "not JSON" in problem(bob.raw("PATCH", "/me", b'{"name": '), 400)["detail"]


def test_body_of_another_kind(bob: Caller) -> None:
    problem(bob.raw("PATCH", "/me", b"name=Bob", "application/x-www-form-urlencoded"), 415)


def test_body_missing(bob: Caller) -> None:
    assert fields(bob.call("PATCH", "/me")) == ["body"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b"[" * 100_000,
        b"1" * 5000,
        b"[]",
        b'"x"',
        b"null",
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"name": "a\\u0000b"}',
        b'{"name": NaN}',
        b'{"undo_seconds": 1e400}',
        b'{"undo_seconds": 99999999999999999999999999}',
        b'{"undo_seconds": true}',
        b'{"undo_seconds": "5"}',
        b'{"track": null}',
        b'{"name": null}',
        b'{"name": "two\\nlines"}',
        b'{"name": ""}',
        b'{"timezone": "../../etc/passwd"}',
        b'{"timezone": "Mars/Olympus"}',
        b'{"locale": "fr"}',
        b'{"status": "away"}',
    ],
)
def test_malformed_bodies(bob: Caller, content: bytes) -> None:
    response = bob.raw("PATCH", "/me", content)
    problem(response, response.status_code)
    assert response.status_code in (400, 422)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/accounts", {"address": "\ud800"}, "address"),
        ("POST", "/accounts", {"address": "a@b.example", "smtp": {"host": "\ud800", "port": 25}}, "smtp.host"),
        ("POST", "/accounts", {"address": "a@b.example", "preset": "\ud800"}, "preset"),
        ("POST", "/customers", {"addresses": ["a@b.example", "\ud800"]}, "addresses"),
        ("PATCH", "/me", {"timezone": "\ud800"}, "timezone"),
        ("POST", "/messages", {"to": [{"address": "\ud800"}], "subject": "x"}, "to.0.address"),
    ],
)
def test_half_a_character_is_refused_by_the_name_of_its_field(
    bob: Caller, method: str, path: str, body: Any, field: str
) -> None:
    """A sentence that quoted it could not be written."""
    errors = problem(bob.raw(method, path, json.dumps(body).encode()), 422)["errors"]
    assert (field, "string_unicode") in [(error["field"], error["code"]) for error in errors]


@pytest.mark.parametrize("chunked", [False, True])
def test_body_too_large(bob: Caller, chunked: bool) -> None:
    content = json.dumps({"name": "x" * LARGEST}).encode()
    headers = {"Authorization": f"Bearer {bob.token}", "Content-Type": "application/json"}
    sent: Any = iter([content[:1000], content[1000:]]) if chunked else content
    problem(bob.line.patch(f"{bob.url}/me", content=sent, headers=headers), 413)


def test_no_answer_may_be_stored(world: World, bob: Caller) -> None:
    for response in (bob.get("/me"), bob.get("/nothing"), world.line.get(f"{world.url}/me")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


_WORDS = """
account to cc bcc subject html text attachments track send_at in_reply_to follow_up_days address name filename
content_type content_base64 opens links purpose state channel note at notice preset smtp imap host port security login
secret jurisdiction never_track consent clicks locale timezone status undo_seconds signature
"""
_NAMES = st.sampled_from(_WORDS.split())
_BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=8), inner, max_size=6),
    max_leaves=20,
)
_CALLS = st.sampled_from(
    [
        ("PATCH", "/me"),
        ("POST", "/accounts"),
        ("POST", "/messages"),
        ("PUT", "/recipients/anna@example.org"),
        ("POST", "/recipients/anna@example.org/consent"),
    ]
)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=_CALLS, body=_BODIES)
def test_no_body_breaks_anything(bob: Caller, call: tuple[str, str], body: Any) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    response = bob.raw(*call, content)
    assert response.status_code < 500, response.text
    assert response.json() is not None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=_CALLS, content=st.binary(max_size=60))
def test_no_bytes_break_anything(bob: Caller, call: tuple[str, str], content: bytes) -> None:
    problem_or_success = bob.raw(*call, content)
    assert problem_or_success.status_code < 500, problem_or_success.text


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/messages/", "/accounts/", "/recipients/", "/notifications/"]),
    name=st.text(min_size=1, max_size=30),
    query=st.dictionaries(
        st.sampled_from(
            ["state", "tracked", "recipient", "account", "thread", "q", "since", "until", "limit", "cursor", "unread"]
        ),
        st.text(max_size=20),
    ),
)
def test_no_address_breaks_anything(bob: Caller, path: str, name: str, query: dict[str, str]) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in name.encode("utf-8", "surrogatepass"))
    assert bob.get(path + quoted).status_code < 500
    assert bob.get(path.rstrip("/"), **query).status_code < 500
