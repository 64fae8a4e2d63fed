"""A website in a browser: pages on one port, an edge on another, and what the edge was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

from pixel.hits import Hit
from tests.pixel.edge_server import RunningEdge, running_edge
from tests.servers.processes import free_port

KEY = "k" * 32
BASE, SALES = "info@site.example", "sales@site.example"


def snapshot(**facts: Any) -> dict[str, Any]:
    """One site on 127.0.0.1 with one block for the base address and a rule of long codes; ``facts`` change the site."""
    site = {
        "key": KEY,
        "owner": "u",
        "hosts": ["127.0.0.1"],
        "session_minutes": 30,
        "cookie_days": 400,
        "attribution": "last_non_direct",
        "consent_mode": False,
        "ignore_robots": False,
        "ignored_referrers": [],
        "sources": [],
        "blocks": [block("b1", ("email", BASE))],
        "rules": [rule(pool())],
        **facts,
    }
    return {"format": 1, "version": 1, "edge": "a", "share": [0, 1], "sites": [site]}


def block(id: str, *selectors: tuple[str, str]) -> dict[str, Any]:
    return {"id": id, "selectors": [{"attribute": name, "value": value} for name, value in selectors]}


def pool(*blocks: str, base: str = BASE, addresses: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"id": f"p-{base}", "blocks": list(blocks or ("b1",)), "base": base, "addresses": list(addresses)}


def rule(*pools: dict[str, Any], static: tuple[dict[str, Any], ...] = (), **facts: Any) -> dict[str, Any]:
    return {
        "id": "r1",
        "substitution": "auto_generation" if pools else "",
        "sources": None,
        "static": list(static),
        "dynamic": list(pools),
        "lease_minutes": 10080,
        "rest_minutes": 10080,
        **facts,
    }


def line(address: str, *blocks: str, source: str | None = None) -> dict[str, Any]:
    return {"blocks": list(blocks or ("b1",)), "address": address, "source": source}


@dataclass
class SnippetSite:
    """Pages by path, and the edge that they ask. ``{{snippet}}`` in a page is the script tag."""

    edge: RunningEdge
    port: int
    pages: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tag(self, attributes: str = "") -> str:
        return f'<script async {attributes} src="http://localhost:{self.edge.port}/s/{KEY}.js"></script>'

    def page(self, body: str, path: str = "/", head: str = "", attributes: str = "") -> str:
        """Puts a page at a path; its address."""
        self.pages[path] = (
            f"<!doctype html><html><head><meta charset=utf-8>{head}{self.tag(attributes)}</head><body>{body}</body></html>"
        )
        return self.url + path

    def configure(self, **facts: Any) -> None:
        body = json.dumps(snapshot(**facts)).encode()
        (self.edge.settings.data_dir / "sites.json").write_bytes(body)

    def edge_script(self) -> str:
        """The snippet as the edge serves it."""
        return httpx.get(f"http://localhost:{self.edge.port}/s/{KEY}.js").text

    def visits(self) -> list[Hit]:
        return [hit for hit in self.edge.hits() if hit.kind == "visit"]

    def beacons(self) -> list[Mapping[str, Any]]:
        return [hit.body or {} for hit in self.edge.hits() if hit.kind == "beacon"]


def settled(page: Page) -> None:
    """Every frame and every timer of the snippet that is due has run."""
    page.evaluate("() => new Promise(r => setTimeout(() => requestAnimationFrame(() => setTimeout(r, 60)), 60))")


@contextmanager
def snippet_site(data_dir: Path) -> Iterator[SnippetSite]:
    port = free_port()
    with running_edge(data_dir, port=port, tracking_url=f"http://localhost:{port}") as edge:
        site = SnippetSite(edge, 0)
        site.configure()
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
        site.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            server.server_close()


def _handler(site: SnippetSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            text = site.pages.get(path)
            self.send_response(200 if text is not None else 404)
            kind = "text/javascript" if path.endswith(".js") else "text/html; charset=utf-8"
            for name, value in {"Content-Type": kind, **site.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None:
            return

    return Handler
