"""Push as a browser meets it: the switch, the worker, the manifest; and that none of it is there for strangers."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.servers import PushService, push_service, wait_until
from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import ClientOf
from tracker.models import PushSubscription, User
from tracker.notifications.notify import notify
from tracker.outbound.push_queue import push_to_browser
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.localized_text import LocalizedText

__all__ = ["signed_in_browser"]


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service() as service:
        yield service


def subscriptions(context: AppContext) -> list[int]:
    with context.database.reading() as session:
        return [row.user_id for row in session.exec(select(PushSubscription))]


def test_a_browser_subscribes_and_takes_it_back_and_signing_out_ends_it(
    client_of: ClientOf, context: AppContext, alice: User, bob: User, service: PushService
) -> None:
    first, second = client_of(alice), client_of(bob)
    keys = {first.post("/push/key").json()["key"], second.post("/push/key").json()["key"]}
    assert len(keys) == 1
    assert first.post("/push/subscriptions", data=service.keys).status_code == 204
    assert first.post("/push/subscriptions", data=service.keys).status_code == 204
    assert subscriptions(context) == [alice.id]
    first.post("/push/subscriptions/removal", data={"endpoint": service.url})
    assert subscriptions(context) == []
    second.post("/push/subscriptions", data=service.keys)
    second.post("/sign-out")
    assert subscriptions(context) == []


def test_strangers_cannot_subscribe_and_a_wrong_browser_is_refused(
    visitor: httpx.Client, client: httpx.Client, context: AppContext, service: PushService
) -> None:
    for path in ("/push/key", "/push/subscriptions", "/push/subscriptions/removal"):
        assert visitor.post(path, data=service.keys).headers["location"] == "/sign-in"
    assert client.post("/push/subscriptions", data={**service.keys, "auth": "x"}).status_code == 422
    assert client.post("/push/subscriptions", data={"endpoint": service.url}).status_code == 422
    assert subscriptions(context) == []


def test_the_manifest_names_what_is_there(visitor: httpx.Client, alice: User) -> None:
    answer = visitor.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    words = answer.json()
    assert (words["name"], words["start_url"], words["scope"], words["display"]) == ("Inkling", "/", "/", "standalone")
    assert {icon["sizes"] for icon in words["icons"]} == {"any", "192x192", "512x512"}
    for icon in words["icons"]:
        picture = visitor.get(icon["src"])
        assert (picture.status_code, picture.headers["content-type"]) == (200, icon["type"])
        if icon["type"] == "image/png":  # the size is in the head of the file (PNG specification, section 11.2.2)
            assert f"{int.from_bytes(picture.content[16:20])}x{int.from_bytes(picture.content[20:24])}" == icon["sizes"]
    worker = visitor.get("/service-worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"
    assert "worker-src 'self'" in worker.headers["content-security-policy"]


# A browser without a push service of its own is given one: what it answers is what the real one answers.
GIVE = """keys => {
  const known = {};
  PushManager.prototype.getSubscription = async () => known.now ?? null;
  PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
    if (!userVisibleOnly || applicationServerKey.length !== 87) throw new Error("not as it should be");
    const bytes = Uint8Array.from(atob(applicationServerKey.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
    return known.now = { endpoint: keys.endpoint, options: { applicationServerKey: bytes.buffer },
      unsubscribe: async () => { delete known.now; return true; },
      toJSON: () => ({ endpoint: keys.endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } }) };
  };
}"""


ALLOW = """window.asked = 0;
Notification.requestPermission = async () => { window.asked++; return "granted"; };
Object.defineProperty(Notification, "permission", { get: () => "granted" });"""


def test_the_switch_asks_on_a_click_and_a_push_reaches_the_worker(
    open_as: OpenAs, context: AppContext, alice: User, service: PushService, address: str
) -> None:
    page = open_as(alice, "/notifications")
    page.add_init_script(f"({GIVE})({json.dumps(service.keys)})")
    page.add_init_script(ALLOW)
    page.reload()
    assert page.evaluate("window.asked") == 0
    assert subscriptions(context) == []
    page.get_by_label("Notifications in this browser").check()
    expect(page.get_by_text("They come also while Inkling is closed.")).to_be_visible()
    assert page.evaluate("window.asked") == 1
    assert subscriptions(context) == [alice.id]
    _push(context, alice)
    (message,) = service.messages
    (shown,) = _delivered(page, address, service.read(service.requests[0][1]).decode())
    assert shown["body"] == message["text"]
    right_page = f"{address}{shown['data']['page']}"
    assert _clicked(page, shown) == {"closed": True, "opened": [right_page], "focused": []}
    assert page.request.get(right_page).ok
    other = page.context.new_page()
    other.goto(right_page)
    other.evaluate("page => history.replaceState(null, '', page)", right_page)
    assert _clicked(page, shown) == {"closed": True, "opened": [], "focused": [right_page]}
    other.close()
    page.get_by_label("Notifications in this browser").uncheck()
    wait_until(lambda: subscriptions(context) == [])


def test_a_browser_that_cannot_be_pushed_to_says_so(open_as: OpenAs, context: AppContext, alice: User) -> None:
    page = open_as(alice, "/notifications")
    page.add_init_script("PushManager.prototype.subscribe = async () => { throw new Error('no push service'); }")
    page.add_init_script(ALLOW)
    page.reload()
    page.get_by_label("Notifications in this browser").check()
    expect(page.get_by_text("On while Inkling is open in a tab")).to_be_visible()
    assert subscriptions(context) == []


def _push(context: AppContext, user: User) -> None:
    with context.database.session_scope() as session:
        notify(session, user.id or 0, "problem:1", "problem", now(), detail=LocalizedText("The account is broken"))
        subscription = session.exec(select(PushSubscription)).one()
    sending = threading.Thread(target=push_to_browser, args=(context, subscription.id, Shutdown()))
    sending.start()  # not in the thread of the browser, which runs a loop
    sending.join()


CLICK = """async shown => {
  const done = { closed: false, opened: [], focused: [] };
  Clients.prototype.openWindow = async function (url) { done.opened.push(url); };  // both ask for a hand on the mouse
  WindowClient.prototype.focus = async function () { done.focused.push(this.url); };
  const click = new ExtendableEvent("notificationclick");
  let work;
  click.waitUntil = (promise) => { work = promise; };
  click.notification = { ...shown, close: () => { done.closed = true; } };
  self.dispatchEvent(click);
  await work;
  return done;
}"""


def _clicked(page: Page, shown: dict[str, Any]) -> dict[str, Any]:
    """What the worker does once somebody clicks the notification."""
    done: dict[str, Any] = page.context.service_workers[0].evaluate(CLICK, shown)
    return done


def _delivered(page: Page, address: str, words: str) -> list[dict[str, Any]]:
    """Gives the worker what the browser would, once it has decrypted it; what it shows then."""
    tools = page.context.new_cdp_session(page)
    registrations: list[Any] = []
    tools.on("ServiceWorker.workerRegistrationUpdated", lambda event: registrations.extend(event["registrations"]))
    tools.send("ServiceWorker.enable")
    wait_until(lambda: page.evaluate("1") == 1 and bool(registrations and page.context.service_workers))
    worker = page.context.service_workers[0]
    worker.evaluate(
        "() => { self.shown = []; self.registration.showNotification = async (title, more) => { self.shown.push(more); } }"
    )
    registration = registrations[0]["registrationId"]
    tools.send("ServiceWorker.deliverPushMessage", {"origin": address, "registrationId": registration, "data": words})
    wait_until(lambda: worker.evaluate("self.shown.length") == 1)
    shown: list[dict[str, Any]] = worker.evaluate("self.shown")
    return shown
