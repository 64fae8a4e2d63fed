"""The ground of every page: headers, error pages, static files, and requests that other sites make."""

import re
import socket
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from tests.web.conftest import ClientOf, server
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.web.http.routes import Routes
from tracker.web.http.static_files import FOLDER, static_url
from tracker.web.http.templating import local_path

MEMBER_PAGES = (
    "/settings/profile",
    "/settings/accounts",
    "/settings/accounts/new",
    "/settings/tokens",
    "/notifications",
    "/notifications/panel",
    "/notifications/state",
)
ADMIN_PAGES = ("/settings/people", "/settings/policy")


@pytest.mark.parametrize("path", [*MEMBER_PAGES, *ADMIN_PAGES, "/no-such-page"])
def test_every_page_tells_the_browser_to_be_strict(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*MEMBER_PAGES, *ADMIN_PAGES])
def test_pages_hold_no_script_or_style_of_their_own(client: httpx.Client, path: str) -> None:
    text = client.get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text)


@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_pages_of_administrators_are_closed_to_others(client_of: ClientOf, alice: User, bob: User, path: str) -> None:
    assert client_of(alice).get(path).status_code == 200
    refused = client_of(bob).get(path)
    assert refused.status_code == 403
    assert "You have no access to this page" in refused.text
    assert 'href="/settings/people"' not in client_of(bob).get("/settings/profile").text


@pytest.mark.parametrize("path", [*MEMBER_PAGES, *ADMIN_PAGES])
def test_nobody_gets_in_without_signing_in(visitor: httpx.Client, alice: User, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")


def test_an_unknown_address_is_a_page_with_a_way_out(client: httpx.Client) -> None:
    answer = client.get("/no-such-page")
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert "Alice" in answer.text


def test_errors_speak_the_readers_language(
    visitor: httpx.Client, client_of: ClientOf, context: AppContext, alice: User
) -> None:
    assert "Страница не найдена" in visitor.get("/no-such-page", headers={"accept-language": "ru"}).text
    with context.database.session_scope() as session:
        alice.locale = "ru"
        session.merge(alice)
    assert "Страница не найдена" in client_of(alice).get("/no-such-page", headers={"accept-language": "en"}).text


def test_a_form_that_is_too_large_is_refused_before_it_is_read(client: httpx.Client) -> None:
    answer = client.post("/settings/tokens", data={"name": "x" * 1_200_000})
    assert answer.status_code == 413
    assert "That is too large" in answer.text


@pytest.mark.parametrize("path", ["/settings/tokens", "/settings/people", "/sign-in"])
def test_a_form_that_is_too_large_is_refused_though_it_does_not_say_how_large_it_is(
    client: httpx.Client, path: str
) -> None:
    status = post_in_chunks(client, path, files=40, size=32_000)
    assert status == 413


def test_a_message_with_files_may_be_large_however_it_comes(client: httpx.Client) -> None:
    assert post_in_chunks(client, "/compose", files=100, size=32_000) != 413


def post_in_chunks(client: httpx.Client, path: str, files: int, size: int) -> int:
    """The status of a POST over a bare connection (RFC 9112 section 7.1): a form of so many files that announces no length."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {client.base_url.netloc.decode()}\r\nCookie: {cookies}\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    part = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n' + b"x" * size + b"\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        with suppress(ConnectionError):  # an answer before the end closes the way in
            connection.sendall(head.encode())
            for chunk in [*[part] * files, b"--edge--\r\n", b""]:
                connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        return int(connection.makefile("rb").readline().split()[1])


def test_a_broken_form_is_a_400_and_not_a_crash(client: httpx.Client) -> None:
    answer = client.post("/settings/tokens", content=b"nonsense", headers={"content-type": "multipart/form-data"})
    assert answer.status_code == 400


routes = Routes()


@routes.public_page("/crash")
def crash(_request: Request) -> Response:
    raise RuntimeError("password=hunter2")


def test_a_crash_shows_no_trace_and_keeps_the_headers(context: AppContext, alice: User) -> None:
    with server(context, extra=routes) as address:
        answer = httpx.get(f"{address}/crash", headers={"accept-language": "ru"})
    assert answer.status_code == 500
    assert "Что-то сломалось на нашей стороне" in answer.text
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


OWN = [
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    {},
    {"origin": "http://{host}"},
]
FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://{host}"},
    {"sec-fetch-site": ""},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://[broken"},
    {"origin": "http://{host}.evil.example"},
    {"authorization": "Bearer x", "origin": "https://evil.example"},
    {"authorization": "Basic eDp5", "sec-fetch-site": "cross-site"},
    {"authorization": "Bearer", "sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", OWN)
def test_what_our_own_pages_send_passes(client: httpx.Client, headers: dict[str, str]) -> None:
    own = {name: value.format(host=client.base_url.netloc.decode()) for name, value in headers.items()}
    assert client.post("/settings/tokens", data={"name": "CRM"}, headers=own).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
def test_what_another_sites_page_sends_is_refused_and_changes_nothing(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    foreign = {name: value.format(host=client.base_url.netloc.decode()) for name, value in headers.items()}
    answer = client.post("/settings/tokens", data={"name": "Stolen"}, headers=foreign)
    assert answer.status_code == 403
    assert "Another site" in answer.text
    assert "Alice" not in answer.text
    assert "Stolen" not in client.get("/settings/tokens").text


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer x", 401),
        ("bearer x", 401),
        ("Basic eDp5", 403),
        ("Digest username=x", 403),
        ("Negotiate x", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/notifications/readings"])
def test_the_api_is_for_programs_that_bring_a_token(
    client: httpx.Client, path: str, authorization: str, status: int
) -> None:
    headers = {"authorization": authorization, "sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert client.post(path, json={}, headers=headers).status_code == status


@pytest.mark.parametrize(
    "path", ["/mail/", "/static", "/settings/profile/", "/api/v1", "/api/v1/messages/", "/sign-in/", "/w", "/mail//"]
)
def test_no_address_is_corrected_by_a_redirect_that_names_the_host_of_the_request(
    client: httpx.Client, path: str
) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers={"host": "evil.example", "sec-fetch-site": "same-origin"})
        assert answer.status_code in (401, 404, 405), answer.status_code
        assert "location" not in answer.headers
        assert "evil.example" not in answer.text


def test_reading_is_open_to_links_from_elsewhere(client: httpx.Client) -> None:
    assert client.get("/settings/tokens", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_behind_a_proxy_the_public_name_counts_as_own(make_context: Callable[..., AppContext]) -> None:
    context = make_context(BASE_URL="https://mail.example.com")
    with context.database.session_scope() as session:
        session.add(User(email="a@example.com", name="A"))
    with server(context) as address:
        answer = httpx.post(f"{address}/sign-in", data={}, headers={"origin": "https://mail.example.com"})
    assert answer.status_code == 422


def test_files_are_kept_for_a_year_under_their_hash_and_asked_for_again_without(visitor: httpx.Client) -> None:
    fresh = visitor.get(static_url("ink.css"))
    assert fresh.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert visitor.get("/static/ink.css").headers["cache-control"] == "no-cache"
    assert visitor.get("/static/ink.css?v=000000000000").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/nothing.css", "/static/"])
def test_nothing_but_static_files_is_served(visitor: httpx.Client, alice: User, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_the_frame_weighs_little(client: httpx.Client) -> None:
    text = client.get("/settings/profile").text
    names = set(re.findall(r'"/static/([^?"]+)', text)) | {"desktop_notifications.js"}
    weight = sum((FOLDER / name).stat().st_size for name in names)
    assert weight < 60_000, (
        f"{names} weigh {weight} bytes; the first view may have 100,000 together with the page's own"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/mail", "/mail"),
        ("/mail?q=a b", "/mail?q=a b"),
        ("//x", "/"),
        ("https://x", "/"),
        ("", "/"),
        (None, "/"),
        ("/a\nb", "/"),
    ],
)
def test_only_paths_of_ours_are_gone_back_to(value: str | None, expected: str) -> None:
    assert local_path(value) == expected


def test_pages_are_compressed_for_browsers_that_take_it(client: httpx.Client) -> None:
    for encoding, said in (("gzip", "gzip"), ("identity", None)):
        answer = client.get("/mail", headers={"Accept-Encoding": encoding})
        assert answer.headers.get("content-encoding") == said
        assert "Accept-Encoding" in answer.headers.get("vary", "")
        assert "Inkling" in answer.text
