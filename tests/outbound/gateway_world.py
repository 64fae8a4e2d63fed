"""Alice, her account, a sink that it submits to, and a gateway that knows her token."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People, opened_context
from tests.outbound.mail_programs import HURRIED, Line, MailPrograms, running_gateway, token_of
from tests.servers import SmtpSink
from tracker.models import Delivery, Message, MessageBody, User
from tracker.outbound.gateway.access import GatewayLimits
from tracker.outbound.gateway.server import Gateway
from tracker.runtime.context import AppContext

ALICE = "alice@seller.example"
ANNA, LUC, BOSS = "anna@client.example", "luc@client.example", "boss@client.example"


@dataclass(frozen=True)
class GatewayWorld:
    """What a test of the gateway needs."""

    context: AppContext
    people: People
    sink: SmtpSink
    alice: User
    token: str
    gateway: Gateway
    programs: MailPrograms

    def line(self, *, signed_in: bool = False) -> Line:
        """A connection that said EHLO, and AUTH when told to."""
        line = Line(self.gateway.port)
        line.says("EHLO laptop.example")
        if signed_in:
            assert line.says(line.plain(ALICE, self.token)).startswith("235")
        return line

    def queued(self) -> list[Message]:
        with self.context.database.reading() as session:
            return list(session.exec(select(Message).order_by(Message.id)))  # type: ignore[arg-type]

    def raw(self, message: Message) -> bytes:
        """The clean message as it is kept."""
        with self.context.database.reading() as session:
            return session.get_one(MessageBody, message.id).raw or b""

    def deliveries(self) -> list[Delivery]:
        with self.context.database.reading() as session:
            return list(session.exec(select(Delivery).order_by(Delivery.id)))  # type: ignore[arg-type]


@contextmanager
def opened_world(
    context: AppContext, sink: SmtpSink, folder: Path, limits: GatewayLimits = HURRIED
) -> Iterator[GatewayWorld]:
    people = People(context)
    alice = people.user()
    people.account(alice, sink)
    token = token_of(context, alice)
    home = folder / "home"
    home.mkdir()
    with running_gateway(context, limits) as gateway:
        yield GatewayWorld(
            context, people, sink, alice, token, gateway, MailPrograms(gateway, ALICE, token, home)
        )  # fmt: skip


@pytest.fixture(name="world")
def gateway_world(context: AppContext, smtp_sink: SmtpSink, tmp_path: Path) -> Iterator[GatewayWorld]:
    """On both databases."""
    with opened_world(context, smtp_sink, tmp_path) as world:
        yield world


@pytest.fixture(name="small_world")
def gateway_small_world(smtp_sink: SmtpSink, tmp_path: Path) -> Iterator[GatewayWorld]:
    """On SQLite alone, for what is between client and gateway."""
    with opened_context(tmp_path) as context, opened_world(context, smtp_sink, tmp_path) as world:
        yield world
