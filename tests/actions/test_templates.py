"""Templates and signatures end alike by page and API."""

from collections.abc import Callable

import httpx
import pytest
from sqlmodel import select

from tests.actions.conftest import Person, Workspace, refusal
from tracker.models import Account, Template
from tracker.runtime.database import now

OFFER = {"name": "Offer", "subject": "For {{company}}", "html": "<p>Dear {{first_name|colleague}}</p>"}
Save = Callable[[Person, dict[str, str]], httpx.Response]


def by_page(person: Person, values: dict[str, str]) -> httpx.Response:
    return person.browser.post("/settings/templates/new", data={**values, "format": "html"})


def by_api(person: Person, values: dict[str, str]) -> httpx.Response:
    return person.api("POST", "/templates", values)


SAVES = pytest.mark.parametrize("save", [by_page, by_api])


@SAVES
def test_a_template_is_stored_without_what_runs(workspace: Workspace, bob: Person, save: Save) -> None:
    assert save(bob, {**OFFER, "html": "<p onclick=x>Hi<script>1</script></p>"}).status_code in (201, 303)
    (template,) = workspace.rows(Template)
    assert (template.user_id, template.name, template.subject) == (bob.id, "Offer", "For {{company}}")
    assert (template.html, template.shared) == ("<p>Hi</p>", False)


@SAVES
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", "two\nlines"),
        ("subject", "x" * 501),
        ("html", ""),
        ("html", "<p> </p>"),
        ("html", "<script>1</script>"),
        ("html", "<p>{{nmae}}</p>"),
        ("html", "x" * 400_001),
    ],
)
def test_a_template_is_refused_alike(workspace: Workspace, bob: Person, save: Save, field: str, value: str) -> None:
    code, fields = refusal(save(bob, {**OFFER, field: value}))
    assert (code, [name.replace("text", "html") for name in fields]) == ("invalid", [field])
    assert workspace.rows(Template) == []


def test_the_template_of_somebody_else_is_not_there(workspace: Workspace, alice: Person, bob: Person) -> None:
    by_api(bob, OFFER)
    (template,) = workspace.rows(Template)
    path = f"/settings/templates/{template.public_id}"
    for answer in (
        alice.browser.get(path),
        alice.browser.post(path, data=OFFER),
        alice.browser.post(f"{path}/removal"),
        alice.api("GET", f"/templates/{template.public_id}"),
        alice.api("PATCH", f"/templates/{template.public_id}", OFFER),
        alice.api("DELETE", f"/templates/{template.public_id}"),
    ):
        assert refusal(answer)[0] == "not_found"
    assert workspace.rows(Template) == [template]


def sign_by_page(person: Person, html: str) -> httpx.Response:
    return person.browser.post("/settings/signatures", data={"html": html, "format": "html"})


def sign_by_api(person: Person, html: str) -> httpx.Response:
    return person.api("PATCH", "/me", {"signature": html})


SIGNS = pytest.mark.parametrize("sign", [sign_by_page, sign_by_api])
Sign = Callable[[Person, str], httpx.Response]


@SIGNS
@pytest.mark.parametrize(
    ("html", "stored"),
    [
        ("<div>Bob<script>1</script></div>", "<div>Bob</div>"),
        ("<div> <br></div>", ""),
        ('<div><img src="data:image/png;base64,AA=="></div>', '<div><img src="data:image/png;base64,AA=="></div>'),
        (f"<div>{'x' * 30_000}</div>", f"<div>{'x' * 30_000}</div>"),
    ],
)
def test_a_signature_is_stored_alike(workspace: Workspace, bob: Person, sign: Sign, html: str, stored: str) -> None:
    assert sign(bob, html).status_code in (200, 303)
    assert workspace.read(bob.user).signature == stored


@SIGNS
def test_a_signature_that_is_too_large(workspace: Workspace, bob: Person, sign: Sign) -> None:
    assert refusal(sign(bob, "x" * 200_001))[0] == "invalid"
    assert workspace.read(bob.user).signature == ""


def test_the_signature_of_a_removed_account_is_not_there(workspace: Workspace, alice: Person, bob: Person) -> None:
    with workspace.context.database.session_scope() as session:
        server = {"smtp_host": "smtp.example.com", "smtp_port": 587, "smtp_security": "starttls"}
        session.add(Account.model_validate({"user_id": bob.id, "address": "bob@example.com", **server}))
    (account,) = workspace.rows(Account)
    form = {"of": account.public_id, "html": "<div>Bob</div>", "format": "html"}
    assert refusal(alice.browser.post("/settings/signatures", data=form))[0] == "not_found"
    assert bob.browser.post("/settings/signatures", data=form).status_code == 303
    with workspace.context.database.session_scope() as session:
        session.exec(select(Account)).one().removed_at = now()
    assert refusal(bob.browser.post("/settings/signatures", data={**form, "html": "<div>B</div>"}))[0] == "not_found"
    assert workspace.read(account).signature == "<div>Bob</div>"
