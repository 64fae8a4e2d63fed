"""A site, its edge and its mailbox: what a marketer sets up, visitors who come, and letters that they write."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlmodel import SQLModel

from pixel.hits import Hit
from tests.inbound.arrivals import Arrivals, connected
from tests.pixel.edge_server import DRAIN_KEY, RunningEdge, running_edge
from tracker.engagement.edge_sources import LocalSpool
from tracker.engagement.ingest import drain
from tracker.models import Letter, LetterSource, Mailbox, Site, SiteBlock, SiteRule, SiteSource, User
from tracker.runtime.context import AppContext
from tracker.sites.inputs import NewBlock, NewRule, NewSite, NewSource, RuleChange
from tracker.sites.rules import save_rule
from tracker.sites.sites import save_block, save_site, save_source

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
BASE = "info@site.example"


@dataclass
class Visitor:
    """Somebody on a page: asks what to show as the snippet does, and remembers what it was told."""

    website: "Website"
    agent: str = BROWSER
    origin: str = "https://site.example"
    facts: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)

    def sees(self, page: str = "https://site.example/", referrer: str = "", **more: Any) -> dict[str, Any]:
        """One page; what it shows."""
        asked = {"key": self.website.site.key, "page": page, "referrer": referrer, **self.facts, **more}
        reply = self.post("resolve", asked)
        assert reply.status_code == 200, reply.text
        self.answer = reply.json()
        if self.answer["visitor"]:
            self.facts |= {name: self.answer[name] for name in ("visitor", "session", "held")}
        return self.answer

    def post(self, what: str, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"User-Agent": self.agent, "Content-Type": "text/plain", "Origin": self.origin, **headers}
        said = {name: value for name, value in said.items() if value}
        return self.website.line.post(f"/et/v1/{what}", content=content, headers=said)

    def address(self, **page: Any) -> str | None:
        """What the first of the rules shows."""
        rules = self.sees(**page)["rules"]
        return str(rules[0]["show"]) if rules else None

    def tells(self, kind: str, address: str = "") -> int:
        facts = {"key": self.website.site.key, "kind": kind, "address": address}
        return self.post("beacon", {**self.facts, **facts}).status_code


@dataclass
class Website:
    """One site of one person, in force at a running edge."""

    context: AppContext
    user: User
    edge: RunningEdge
    line: httpx.Client
    inbox: Arrivals
    site: Site = field(default_factory=lambda: Site(user_id=0, key="", name=""))

    def add_site(self, **facts: Any) -> Site:
        with self.context.database.session_scope() as session:
            values = {"name": "Shop", "hosts": ["site.example"], **facts}
            return save_site(session, self.context, self.user, None, NewSite(**values))

    def block(self, *selectors: tuple[str, str], **facts: Any) -> SiteBlock:
        pairs = [{"attribute": name, "value": value} for name, value in selectors or [("email", BASE)]]
        values = {"name": "Contact", "sites": [self.site.public_id], "selectors": pairs, **facts}
        with self.context.database.session_scope() as session:
            return save_block(session, self.context, self.user, None, NewBlock(**values))

    def source(self, name: str, channel: str = "ads", **facts: Any) -> SiteSource:
        with self.context.database.session_scope() as session:
            new = NewSource(name=name, channel=channel, **facts)
            return save_source(session, self.context, self.user, None, new)

    def dynamic(self, block: SiteBlock | None = None, **facts: Any) -> SiteRule:
        """An active rule with addresses of each visitor's own; an administrator vouches."""
        pool = {"blocks": [(block or self.block()).public_id], "email_account": self.inbox.mailbox.public_id}
        pool["addresses"] = facts.pop("addresses", [])
        values = {
            "name": "Dynamic",
            "rule_type": "site_emails",
            "tracking_type": "dynamic",
            "substitution_type": "auto_generation",
            "state": "active",
            "probe": "skip",
            "dynamic_settings": [pool],
            **facts,
        }
        return self.rule(**values)

    def static(self, *lines: dict[str, Any], **facts: Any) -> SiteRule:
        box = {"email_account": self.inbox.mailbox.public_id}
        values = {
            "name": "Static",
            "rule_type": "site_emails",
            "tracking_type": "static",
            "state": "active",
            "static_settings": [{**box, **line} for line in lines],
            **facts,
        }
        return self.rule(**values)

    def rule(self, **values: Any) -> SiteRule:
        with self.context.database.session_scope() as session:
            return save_rule(session, self.context, self.user, None, NewRule(**values))

    def change(self, rule: SiteRule, **values: Any) -> SiteRule:
        with self.context.database.session_scope() as session:
            row = session.get_one(SiteRule, rule.id)
            return save_rule(session, self.context, self.user, row, RuleChange(**values))

    def visitor(self, **facts: Any) -> Visitor:
        return Visitor(self, **facts)

    def hits(self) -> list[Hit]:
        return [hit for hit in self.edge.hits() if hit.kind in ("visit", "beacon")]

    def drained(self) -> None:
        while drain(self.context, LocalSpool(self.context)):
            pass

    def letter(
        self, to: str, sender: str = "anna@client.example", *, headers: str = "", **facts: Any
    ) -> LetterSource | None:
        """A letter to this address arrives; where it comes from. ``headers`` are whole lines besides."""
        self._count = getattr(self, "_count", 0) + 1
        raw = (
            f"From: {sender}\r\nTo: {to}\r\n{headers}Subject: Chairs {self._count}\r\n"
            f"Message-ID: <m{self._count}@client.example>\r\n"
            f"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n\r\nHow much are {self._count} chairs?\r\n"
        )
        facts = {"internal_date": self.now(), "fetched_at": self.now(), **facts}
        letter = self.inbox.arrive(raw.encode(), **facts)
        return self.attribution(letter)

    def now(self) -> Any:
        from tracker.runtime.database import now

        return now()

    def attribution(self, letter: Letter) -> LetterSource | None:
        with self.context.database.reading() as session:
            return session.get(LetterSource, letter.id)

    def rows(self, table: type[Any]) -> list[Any]:
        from sqlmodel import select

        with self.context.database.reading() as session:
            return list(session.exec(select(table).order_by(table.id)))

    def set(self, row: SQLModel, **values: Any) -> None:
        with self.context.database.session_scope() as session:
            stored = session.get_one(type(row), row.id)  # type: ignore[attr-defined]
            for name, value in values.items():
                setattr(stored, name, value)
            session.add(stored)


@contextmanager
def website_of(context: AppContext, user: User, **edge: Any) -> Iterator[Website]:
    """A site on ``site.example`` whose mailbox is ``info@site.example``."""
    with (
        running_edge(context.settings.data_dir, drain_key=DRAIN_KEY, **edge) as running,
        httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=30) as line,
    ):
        website = Website(context, user, running, line, connected(context, user))
        website.site = website.add_site()
        yield website


def mailbox_of(website: Website) -> Mailbox:
    return website.inbox.mailbox
