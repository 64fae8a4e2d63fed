"""Customers and enquiries through every door: the API by the names of the interface, and the pages, with two managers signed in."""

import re
from typing import Any

import pytest

from tests.actions.conftest import Person, Workspace
from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.corpus import simple
from tracker.models import Letter, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.outbound.webhook_queue import deliver_to_endpoint
from tracker.runtime.deadline import Shutdown

FORWARDED = """Please look at this.

---------- Forwarded message ---------
From: Anna <anna@client.example>
Date: Mon, 23 Nov 2026 at 10:00
Subject: Chairs
To: <colleague@partner.example>

How much are twelve chairs?
"""


@pytest.fixture
def alice(workspace: Workspace) -> Person:
    return workspace.person("Alice", role="admin")


@pytest.fixture
def bob(workspace: Workspace) -> Person:
    return workspace.person("Bob")


@pytest.fixture
def inbox(workspace: Workspace, alice: Person) -> Arrivals:
    return connected(workspace.context, alice.user, "shop@shop.example")


def letter(inbox: Arrivals, sender: str, subject: str, hours: float = 0) -> Letter:
    return inbox.arrive(simple(f"Subject: {subject}", sender=sender, body=f"{subject} {hours}"), hours)


def made(answer: Any, status: int = 201) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def test_customers_and_orders_are_kept_by_another_program(workspace: Workspace, alice: Person, bob: Person) -> None:
    shop = made(alice.api("POST", "/shops", {"name": "Chairs"}))
    facts = {
        "name": "Anna",
        "addresses": ["anna@client.example"],
        "manager": bob.user.public_id,
        "shop": shop["id"],
        "tags": ["x"],
    }
    first = made(alice.api("PUT", "/customers/by-external-id/crm-1", facts))
    assert made(bob.api("PUT", "/customers/by-external-id/crm-1", facts), 200)["version"] == first["version"]
    assert {name: first[name] for name in facts} == facts
    assert made(alice.api("GET", "/customers?q=ann"), 200)["items"][0]["id"] == first["id"]
    order = made(
        alice.api("POST", "/orders", {"number": "3112", "customer": first["id"], "shop": shop["id"], "status": "paid"})
    )
    again = alice.api("POST", "/orders", {"number": "3112", "shop": shop["id"]})
    assert again.status_code == 409
    assert made(alice.api("PATCH", f"/orders/{order['id']}", {"status": "sent"}), 200)["status"] == "sent"
    assert made(alice.api("PUT", "/orders/by-external-id/o-1", {"number": "77"}))["number"] == "77"
    assert alice.api("DELETE", f"/customers/{first['id']}").status_code == 204
    assert alice.api("GET", f"/customers/{first['id']}").status_code == 404
    assert made(alice.api("GET", f"/orders/{order['id']}"), 200)["customer"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"addresses": ["no address"]}, "addresses.0"), ({"name": "A", "manager": "nobody"}, "manager"), ({}, "name"),
        ({"name": "A", "shop": "x"}, "shop"), ({"name": "A", "price": 5}, "price"), ({"name": "a\nb"}, "name"),
        ({"addresses": ["alice@example.com"]}, "addresses"),
    ],
)  # fmt: skip
def test_what_no_customer_can_be_is_refused_with_the_field(
    workspace: Workspace, alice: Person, body: dict[str, Any], field: str
) -> None:
    answer = alice.api("POST", "/customers", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("number", ["", "a b", "[1]", "1" * 33])
def test_an_order_number_that_no_subject_could_hold_is_refused(
    workspace: Workspace, alice: Person, number: str
) -> None:
    assert alice.api("POST", "/orders", {"number": number}).status_code == 422


def test_a_day_of_two_managers_by_the_api(workspace: Workspace, alice: Person, bob: Person, inbox: Arrivals) -> None:
    group = made(alice.api("POST", "/groups", {"name": "Sales", "members": [bob.user.public_id]}))
    inbox.change(group=group["id"], create_customer=True)
    came = letter(inbox, "new@else.example", "Chairs")
    (mine,) = made(bob.api("GET", "/enquiries?list=mine"), 200)["items"]
    assert (mine["id"], mine["manager"], mine["bound"]["kind"], mine["bound"]["rule"]) == (
        came.public_id, bob.user.public_id, "customer", "created",
    )  # fmt: skip
    assert made(bob.api("GET", f"/letters/{came.public_id}"), 200)["text"]
    assert made(bob.api("POST", f"/enquiries/{came.public_id}/snooze", {"until": "2099-01-01T09:00:00Z"}), 200)[
        "snoozed_until"
    ]
    assert [item["id"] for item in made(bob.api("GET", "/enquiries?list=snoozed"), 200)["items"]] == [came.public_id]
    refused = bob.api("POST", f"/enquiries/{came.public_id}/snooze", {"until": "2020-01-01T09:00:00Z"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "until")
    assert made(bob.api("DELETE", f"/enquiries/{came.public_id}/snooze"), 200)["snoozed_until"] is None
    assert made(bob.api("POST", f"/enquiries/{came.public_id}/completion"), 200)["done_at"]
    assert made(bob.api("DELETE", f"/enquiries/{came.public_id}/completion"), 200)["done_at"] is None
    taken = alice.api("POST", f"/enquiries/{came.public_id}/assignment", {"manager": alice.user.public_id})
    assert (taken.status_code, "Bob" in taken.text) == (409, True)
    moved = {"manager": alice.user.public_id, "from": bob.user.public_id}
    assert (
        made(alice.api("POST", f"/enquiries/{came.public_id}/assignment", moved), 200)["manager"]
        == alice.user.public_id
    )
    assert bob.api("GET", f"/letters/{came.public_id}").status_code == 404
    assert made(alice.api("DELETE", f"/enquiries/{came.public_id}/assignment"), 200)["manager"] is None
    assert [item["id"] for item in made(bob.api("GET", "/enquiries?list=nobodys"), 200)["items"]] == [came.public_id]


def test_a_letter_is_bound_and_taken_off_by_the_api(workspace: Workspace, alice: Person, inbox: Arrivals) -> None:
    came = letter(inbox, "new@else.example", "Chairs")
    customer = made(alice.api("POST", "/customers", {"name": "Anna"}))
    bound = made(alice.api("POST", f"/letters/{came.public_id}/binding", {"customer": customer["id"]}), 200)
    assert bound["bound"] == {"kind": "customer", "id": customer["id"], "rule": "by_hand"}
    assert alice.api("DELETE", f"/letters/{came.public_id}/binding").status_code == 204
    assert made(alice.api("GET", f"/letters/{came.public_id}"), 200)["bound"] is None
    assert alice.api("POST", f"/letters/{came.public_id}/binding", {}).status_code == 422


def test_customers_come_in_as_csv_with_a_result_for_each_line(workspace: Workspace, alice: Person) -> None:
    file = "name,addresses\nAnna,anna@client.example\nBad,nothing\n"
    answer = alice.program.post("/api/v1/customers/import", content=file.encode(), headers={"Content-Type": "text/csv"})
    result = made(answer, 200)
    assert [(item["line"], item["status"]) for item in result["items"]] == [(2, "created"), (3, "refused")]
    assert (result["created"], result["refused"]) == (1, 1)


def test_the_report_is_the_same_as_json_and_as_csv(workspace: Workspace, alice: Person, inbox: Arrivals) -> None:
    letter(inbox, "new@else.example", "Chairs")
    table = made(alice.api("GET", "/reports/enquiries?group=mailbox"), 200)
    assert table["totals"]["enquiries"] == 1
    as_csv = alice.program.get("/api/v1/reports/enquiries", headers={"Accept": "text/csv"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert as_csv.text.lstrip("\ufeff").splitlines()[0].split(",") == table["columns"]
    assert made(alice.api("GET", "/reports/answers"), 200)["rows"] == []
    assert alice.api("GET", "/reports/enquiries?group=colour").status_code == 422


def test_a_webhook_shows_its_secret_once(workspace: Workspace, alice: Person, bob: Person) -> None:
    new = made(alice.api("POST", "/webhooks", {"url": "http://127.0.0.1:9/x", "kinds": ["customer.created"]}))
    assert new["secret"].startswith("whsec_")
    assert "secret" not in made(alice.api("GET", f"/webhooks/{new['id']}"), 200)
    assert bob.api("GET", f"/webhooks/{new['id']}").status_code == 404
    assert made(alice.api("POST", f"/webhooks/{new['id']}/test"), 202) == {"events": 1}
    assert made(alice.api("GET", f"/webhooks/{new['id']}/attempts"), 200)["items"] == []
    assert alice.api("POST", "/webhooks", {"url": "http://10.0.0.1/", "kinds": ["customer.created"]}).status_code == 422
    assert alice.api("POST", "/webhooks", {"url": "http://127.0.0.1:9/", "kinds": ["no.such"]}).status_code == 422
    assert alice.api("DELETE", f"/webhooks/{new['id']}").status_code == 204


def test_a_day_of_two_managers_on_the_pages(workspace: Workspace, alice: Person, bob: Person, inbox: Arrivals) -> None:
    customer = made(
        alice.api(
            "POST",
            "/customers",
            {"name": "Anna <b>", "addresses": ["anna@client.example"], "manager": bob.user.public_id},
        )
    )
    made(alice.api("POST", "/orders", {"number": "3112", "customer": customer["id"]}))
    came = letter(inbox, "anna@client.example", "[#3112] <script>")
    page = bob.browser.get(f"/letters/{came.public_id}")
    assert (page.status_code, "Anna &lt;b&gt;" in page.text, "3112" in page.text) == (200, True, True)
    for path in ("/enquiries?list=mine", "/customers", "/customers?q=ann", f"/customers/{customer['id']}", "/customers/new",
                 "/customers/import", "/settings/groups", "/reports/enquiries", "/enquiries?list=waiting"):  # fmt: skip
        assert bob.browser.get(path).status_code == 200, path
    assert "Anna" in bob.browser.get("/customers/export").text
    origin = {"Origin": workspace.url, "Sec-Fetch-Site": "same-origin"}
    url = f"/letters/{came.public_id}"
    bob.browser.post(f"{url}/completion", data={"act": "done"}, headers=origin)
    assert made(bob.api("GET", "/enquiries?list=done"), 200)["items"][0]["id"] == came.public_id
    bob.browser.post(f"{url}/binding", data={"act": "unbind"}, headers=origin)
    bob.browser.post(f"{url}/binding", data={"act": "bind", "to": "[#3112]"}, headers=origin)
    assert made(bob.api("GET", f"/letters/{came.public_id}"), 200)["bound"]["kind"] == "order"
    bob.browser.post("/status", data={"status": "lunch", "back": "/customers"}, headers=origin)
    assert made(bob.api("GET", "/me"), 200)["status"] == "lunch"
    bob.browser.post(
        f"{url}/assignment", data={"manager": alice.user.public_id, "from": bob.user.public_id}, headers=origin
    )
    assert bob.browser.get(url).status_code == 404
    assert alice.browser.get(url).status_code == 200


def test_webhooks_and_office_hours_on_the_pages(workspace: Workspace, alice: Person, bob: Person) -> None:
    """What the API does the pages do: made with the secret shown once, tried, changed, off and on, sent again, deleted."""
    page = bob.browser.post("/settings/webhooks", data={"url": "http://127.0.0.1:9/<b>", "kinds": ["letter.received"]})
    (endpoint,) = workspace.rows(WebhookEndpoint, user_id=bob.id)
    url = f"/settings/webhooks/{endpoint.public_id}"
    assert ("whsec_" in page.text, "&lt;b&gt;" in page.text) == (True, True), page.text[-1500:]
    assert "whsec_" not in bob.browser.get(url).text
    assert alice.browser.get(url).status_code == 404
    wrong = bob.browser.post("/settings/webhooks", data={"url": "http://10.0.0.1/"})
    assert (wrong.status_code, "kinds-wrong" in wrong.text) == (422, True)
    assert "whsec_" in bob.browser.post(f"{url}/secret").text
    assert workspace.read(endpoint).secret_before is not None
    bob.browser.post(f"{url}/test")
    (event,) = workspace.rows(WebhookEvent)
    assert event.public_id in bob.browser.get(url).text
    deliver_to_endpoint(workspace.context, endpoint.id, Shutdown())
    assert "ConnectError" in bob.browser.get(url).text
    bob.browser.post(f"{url}/replay", data={"event": event.public_id})
    assert [row.tries for row in workspace.rows(WebhookDelivery)] == [0]
    for act, active in (("off", False), ("on", True)):
        bob.browser.post(url, data={"act": act})
        assert workspace.read(endpoint).active is active
    bob.browser.post(
        url, data={"act": "save", "url": "http://127.0.0.1:9/y", "kinds": ["message.opened", "customer.created"]}
    )
    assert workspace.read(endpoint).kinds == ["message.opened", "customer.created"]
    assert (
        bob.browser.post(url, data={"act": "save", "url": "ftp://x", "kinds": ["customer.created"]}).status_code == 422
    )
    assert "127.0.0.1:9/y" in bob.browser.get("/settings/webhooks").text
    bob.browser.post(url, data={"act": "remove"})
    assert workspace.rows(WebhookEndpoint) == []

    assert bob.browser.get("/settings/office-hours").status_code == 403
    hours = {"counts": "on", "days_mon": "9:00-18:00", "timezone": "Europe/Berlin", "presence_minutes": "7"}
    assert alice.browser.post("/settings/office-hours", data={**hours, "holidays": "2026-12-25"}).status_code == 303
    standing = made(bob.api("GET", "/working-time"), 200)
    assert (standing["days"]["mon"], standing["holidays"], standing["presence_minutes"]) == (
        "9:00-18:00",
        ["2026-12-25"],
        7,
    )
    assert "9:00-18:00" in alice.browser.get("/settings/office-hours").text
    for typed in ({**hours, "days_mon": "nine"}, {**hours, "days_mon": ""}, {**hours, "presence_minutes": "0"}):
        assert alice.browser.post("/settings/office-hours", data=typed).status_code == 422
    assert bob.api("PATCH", "/working-time", {"days": None}).status_code == 403
    assert alice.api("PATCH", "/working-time", {"days": {"mon": "x"}}).status_code == 422
    assert made(alice.api("PATCH", "/working-time", {"days": None}), 200)["days"] is None


def test_b29_and_b39_who_an_answer_goes_to(workspace: Workspace, alice: Person, inbox: Arrivals) -> None:
    """A stranger with a customer's order number is answered alone, after a warning; of what a colleague handed on, the customer."""
    facts = {"name": "Anna", "addresses": ["anna@client.example", "second@client.example"]}
    customer = made(alice.api("POST", "/customers", facts))
    made(alice.api("POST", "/orders", {"number": "3112", "customer": customer["id"]}))
    letter(inbox, "anna@client.example", "A secret of Anna")
    stranger = letter(inbox, "stranger@else.example", "[#3112] Where is it?")
    page = alice.browser.get(f"/letters/{stranger.public_id}").text
    assert "data-confirm" in page[: page.index("</form>", page.index(f'name="letter" value="{stranger.public_id}"'))]
    answer = alice.browser.get(f"/compose?letter={stranger.public_id}").text
    assert "stranger@else.example" in answer
    assert "anna@client.example" not in answer
    assert "secret" not in answer

    raw = simple("Subject: Fwd: Chairs", sender="colleague@partner.example", body=FORWARDED)
    handed_on = inbox.arrive(raw, 3)
    assert "forwarded" in handed_on.flags
    made(alice.api("POST", f"/letters/{handed_on.public_id}/binding", {"customer": customer["id"]}), 200)
    page = alice.browser.get(f"/letters/{handed_on.public_id}").text
    assert "/compose?to=colleague%40partner.example" in page
    to = re.search(r'name="to"[^>]*value="([^"]*)"', alice.browser.get(f"/compose?letter={handed_on.public_id}").text)
    assert to is not None
    assert to[1] == "anna@client.example"
