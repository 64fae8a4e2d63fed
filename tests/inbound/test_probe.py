"""The test letter of a rule, over a real SMTP server and real mailboxes: where it lands decides. Trap J73 of the specification."""

from typing import Any

import pytest

from tests.fixtures.contexts import People
from tests.inbound.mail_world import SECRET, Post, fresh_address, mailbox_on
from tests.servers import Dovecot, SmtpSink
from tracker.inbound.probe import LONGEST_WAIT, look_due, look_for, next_look, send_probe
from tracker.models import SiteRule, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError
from tracker.sites.inputs import NewBlock, NewRule, NewSite, RuleChange
from tracker.sites.rules import NEEDS_PROBE, save_rule
from tracker.sites.sites import save_block, save_site

pytestmark = pytest.mark.parametrize("context", ["sqlite"], indirect=True)
"""What decides is the mail server: one database is enough."""
NEW: dict[str, Any] = {"name": "Rule", "rule_type": "site_emails", "tracking_type": "dynamic"}


class World:
    """A draft rule whose mailbox is on Dovecot, and a person whose account is at the sink."""

    def __init__(self, post: Post, people: People, sink: SmtpSink | None, dovecot: Dovecot) -> None:
        self.context, self.post, self.dovecot, self.sink = post.context, post, dovecot, sink
        self.user: User = post.user
        if sink is not None:
            people.account(self.user, sink, state="works")
        with self.context.database.session_scope() as session:
            site = save_site(session, self.context, self.user, None, NewSite(name="Shop", hosts=["site.example"]))
            selector: Any = {"attribute": "email", "value": post.address}
            new = NewBlock(name="Contact", sites=[site.public_id], selectors=[selector])
            self.block = save_block(session, self.context, self.user, None, new).public_id
        self.rule_id = self.save(None, {}, substitution_type="auto_generation")

    def save(self, id: int | None, pool: dict[str, Any], **values: Any) -> int:
        pool = {"blocks": [self.block], "email_account": self.post.mailbox.public_id, **pool}
        with self.context.database.session_scope() as session:
            rule = session.get_one(SiteRule, id) if id else None
            change = RuleChange if id else NewRule
            values = values if id else {**NEW, "dynamic_settings": [pool], **values}
            saved = save_rule(session, self.context, self.user, rule, change(**values))
        return saved.id or 0

    @property
    def rule(self) -> SiteRule:
        with self.context.database.reading() as session:
            return session.get_one(SiteRule, self.rule_id)

    def send(self) -> SiteRule:
        send_probe(self.context, self.user, self.rule.public_id)
        return self.rule

    def lands(self, folder: str = "INBOX", address: str = "") -> None:
        assert self.sink is not None
        for letter in self.sink.accepted:
            self.dovecot.append(address or self.post.address, letter.content, folder)

    def looked(self, **values: Any) -> tuple[str, str]:
        """How the probe stands after a look; ``values`` are columns before it."""
        with self.context.database.session_scope() as session:
            row = session.get_one(SiteRule, self.rule_id)
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)
        look_for(self.context, self.rule_id)
        return self.rule.probe, self.rule.probe_detail or ""

    def activate(self) -> str:
        """The code of the refusal; empty when it is active."""
        try:
            self.save(self.rule_id, {}, state="active")
        except ActionError as error:
            return error.detail_code
        return ""


@pytest.fixture
def world(post: Post, people: People, smtp_sink: SmtpSink, dovecot: Dovecot) -> World:
    return World(post, people, smtp_sink, dovecot)


def test_it_arrives_is_no_letter_and_the_rule_becomes_active(world: World) -> None:
    assert world.activate() == NEEDS_PROBE
    rule = world.send()
    local, domain = world.post.address.split("@")
    assert world.sink is not None
    (sent,) = world.sink.accepted
    assert (rule.probe, sent.recipients) == ("sent", (f"{local}+{rule.probe_code}@{domain}",))
    assert world.looked() == ("sent", rule.probe_detail), "nothing has arrived yet"
    world.lands()
    assert next_look_of(world) is not None
    assert world.looked(probe_due_at=now())[0] == "passed"
    assert next_look_of(world) is None
    assert world.activate() == ""
    world.post.sync()
    assert world.post.letters() == []


def next_look_of(world: World) -> Any:
    with world.context.database.reading() as session:
        return next_look(session)


@pytest.mark.parametrize(
    ("folder", "said"),
    [("probe", "not read"), ("Junk", "spam"), ("Lists/Inkling", "not read"), ("Spam", "spam"), ("Trash", "not read")],
)
def test_j73_in_another_folder_it_has_not_arrived(world: World, folder: str, said: str) -> None:
    world.send()
    world.lands(folder)
    state, detail = world.looked()
    assert state == "failed"
    assert folder in detail
    assert said in detail
    assert world.activate() == NEEDS_PROBE


def test_a_folder_that_is_read_is_as_good_as_the_inbox(world: World) -> None:
    world.post.change(folders=["INBOX", "probe"])
    world.send()
    world.lands("probe")
    assert world.looked()[0] == "passed"


def test_j73_a_catch_all_that_is_another_mailbox(world: World) -> None:
    catch_all = fresh_address("catchall")
    world.dovecot.add_user(catch_all, SECRET)
    mailbox_on(world.context, world.user, world.dovecot, catch_all)
    world.send()
    world.lands(address=catch_all)
    assert world.looked()[0] == "sent", "others are looked into only after some time"
    state, detail = world.looked(probe_at=now() - LONGEST_WAIT / 2)
    assert state == "failed"
    assert catch_all in detail


def test_the_senders_own_copy_is_no_arrival(world: World) -> None:
    world.send()
    world.lands("Sent Items")
    assert world.looked()[0] == "sent"


def test_what_never_arrives_fails_in_the_end(world: World) -> None:
    world.send()
    state, detail = world.looked(probe_at=now() - 2 * LONGEST_WAIT)
    assert state == "failed"
    assert "has not arrived" in detail
    world.send()
    world.lands()
    assert world.looked()[0] == "passed", "the next one may"


def test_a_mailbox_that_cannot_be_opened_is_said_and_tried_again(world: World) -> None:
    world.send()
    world.dovecot.add_user(world.post.address, "another secret")
    state, detail = world.looked()
    assert state == "sent"
    assert detail
    assert world.looked(probe_at=now() - 2 * LONGEST_WAIT)[0] == "failed"


def test_of_a_list_the_first_the_middle_and_the_last(world: World) -> None:
    addresses = [f"ad{number}@firm.example" for number in range(7)]
    pool = {"addresses": addresses, "blocks": [world.block], "email_account": world.post.mailbox.public_id}
    world.save(world.rule_id, {}, substitution_type="manual_pool", dynamic_settings=[pool])
    world.send()
    assert world.sink is not None
    assert [letter.recipients for letter in world.sink.accepted] == [(addresses[n],) for n in (0, 3, 6)]
    world.dovecot.append(world.post.address, world.sink.accepted[0].content)
    assert world.looked()[0] == "sent", "one of three"
    world.lands()
    assert world.looked()[0] == "passed"


def test_without_an_account_a_person_writes_to_the_address(post: Post, people: People, dovecot: Dovecot) -> None:
    world = World(post, people, None, dovecot)
    rule = world.send()
    assert f"+{rule.probe_code}@" in (rule.probe_detail or "")
    address = post.address.replace("@", f"+{rule.probe_code}@")
    dovecot.append(post.address, f"From: me@else.example\r\nTo: <{address.upper()}>\r\n\r\nHere.\r\n".encode())
    assert world.looked()[0] == "passed"


def test_an_address_that_the_server_refuses(world: World) -> None:
    assert world.sink is not None
    world.sink.rules.refuse_content = "550 5.1.1 no such user"
    rule = world.send()
    assert rule.probe == "failed"
    assert "no such user" in (rule.probe_detail or "")
    world.sink.rules.refuse_content = "451 4.7.1 later"
    with pytest.raises(ActionError) as refused:
        world.send()
    assert refused.value.code == "conflict"
    assert world.rule.probe_code == rule.probe_code, "nothing was sent"


def test_another_mailbox_wants_another_letter(world: World) -> None:
    world.send()
    world.lands()
    assert world.looked()[0] == "passed"
    other = fresh_address()
    world.dovecot.add_user(other, SECRET)
    box = mailbox_on(world.context, world.user, world.dovecot, other).mailbox.public_id
    world.save(world.rule_id, {}, dynamic_settings=[{"blocks": [world.block], "email_account": box}])
    assert (world.rule.probe, world.activate()) == ("none", NEEDS_PROBE)


def test_two_workers_look_once(world: World) -> None:
    world.send()
    assert look_due(world.context) == 0, "not yet"
    with world.context.database.session_scope() as session:
        session.get_one(SiteRule, world.rule_id).probe_due_at = now()
    assert [look_due(world.context) for _ in range(2)] == [1, 0]


def test_what_has_nothing_to_probe_is_refused(world: World) -> None:
    world.save(world.rule_id, {}, dynamic_settings=[])
    with pytest.raises(ActionError) as refused:
        world.send()
    assert refused.value.code == "conflict"


def test_over_pop3(context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    post = mailbox_on(context, people.user(), dovecot, address, protocol="pop3")
    world = World(post, people, smtp_sink, dovecot)
    world.send()
    assert world.looked()[0] == "sent"
    world.lands()
    assert world.looked()[0] == "passed"
