"""Alice, her account, a sink that it submits to, and a gateway that knows her token."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select

from tests.houses import People, opened_house
from tests.outgoing.mail_programs import HURRIED, Line, MailPrograms, running_gateway, token_of
from tests.servers import SmtpSink
from tracker.models import Delivery, Message, MessageBody, User
from tracker.outbound.gateway.access import GatewayLimits
from tracker.outbound.gateway.server import Gateway
from tracker.runtime.context import House

ALICE = "alice@seller.example"
ANNA, LUC, BOSS = "anna@client.example", "luc@client.example", "boss@client.example"


@dataclass(frozen=True)
class GatewayWorld:
    """What a test of the gateway needs."""

    house: House
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
        with self.house.database.reading() as session:
            return list(session.exec(select(Message).order_by(Message.id)))  # type: ignore[arg-type]

    def raw(self, message: Message) -> bytes:
        """The clean message as it is kept."""
        with self.house.database.reading() as session:
            return session.get_one(MessageBody, message.id).raw or b""

    def deliveries(self) -> list[Delivery]:
        with self.house.database.reading() as session:
            return list(session.exec(select(Delivery).order_by(Delivery.id)))  # type: ignore[arg-type]


@contextmanager
def opened_world(house: House, sink: SmtpSink, folder: Path, limits: GatewayLimits = HURRIED) -> Iterator[GatewayWorld]:
    people = People(house)
    alice = people.user()
    people.account(alice, sink)
    token = token_of(house, alice)
    home = folder / "home"
    home.mkdir()
    with running_gateway(house, limits) as gateway:
        yield GatewayWorld(
            house, people, sink, alice, token, gateway, MailPrograms(gateway, ALICE, token, home)
        )  # fmt: skip


@pytest.fixture(name="world")
def gateway_world(house: House, smtp_sink: SmtpSink, tmp_path: Path) -> Iterator[GatewayWorld]:
    """On both databases."""
    with opened_world(house, smtp_sink, tmp_path) as world:
        yield world


@pytest.fixture(name="small_world")
def gateway_small_world(smtp_sink: SmtpSink, tmp_path: Path) -> Iterator[GatewayWorld]:
    """On SQLite alone, for what is between client and gateway."""
    with opened_house(tmp_path) as house, opened_world(house, smtp_sink, tmp_path) as world:
        yield world
