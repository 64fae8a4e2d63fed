"""What a look at a mailbox costs in which nothing has come: counted, for a thousand of them are looked at every ten minutes."""

from datetime import timedelta

from tests.fixtures.contexts import People
from tests.fixtures.counts import counted
from tests.fixtures.leases import free, holder
from tests.inbound.mail_world import Post, fresh_address, letter, mailbox_on
from tests.servers.nasty import NastyImap
from tracker.inbound.accept import accept_all
from tracker.inbound.fetch.quiet_runs import QuietRun, note_together
from tracker.inbound.fetch.schedule import claim_many_due
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def test_a_look_without_news_writes_twice_and_asks_little(context: AppContext, post: Post, server: NastyImap) -> None:
    server.put(letter("known"))
    assert post.sync() == 1
    free(context, "mailbox", post.mailbox_id)
    post.change(due_at=now())
    before, server.commands[:] = post.folder().good_run_at, []
    with counted(context) as counts:
        claim = post.claim()
        assert claim is not None
        assert sync_mailbox(context, claim, accept_all) == 0
    assert counts["writing"] == 2, counts  # the claim, and how the run ended
    assert counts["reading"] == 3, counts  # what is due, how to sign in, how far the folder was read
    assert counts["statements"] <= 12, counts
    asked = [command.split()[0] for command in server.commands]
    assert asked[-4:] == [b"LIST", b"EXAMINE", b"UID", b"LOGOUT"], asked
    assert len(asked) <= 8, asked  # the others sign in
    after = post.folder().good_run_at
    assert before is not None and after is not None and after > before  # noqa: PT018


def test_runs_that_end_together_are_noted_in_as_few_statements_as_one(
    context: AppContext, people: People, server: NastyImap
) -> None:
    posts = []
    for number in range(6):
        server.host = f"127.0.0.{2 + number}"
        posts.append(mailbox_on(context, people.user(f"p{number}@firm.example"), server, fresh_address()))
        posts[-1].change(state="active", due_at=now())
    claims = {claim.mailbox_id: claim for claim in claim_many_due(context, 8)}
    runs = [QuietRun(context, claims[each.mailbox_id], {}) for each in posts]
    troubled, wanted, lost, off, *plain = posts
    troubled.change(failures=1)
    wanted.change(sync_wanted=True)
    free(context, "mailbox", lost.mailbox_id)
    off.change(active=False)
    with counted(context) as counts:
        assert note_together(runs) == [False, True, True, False, True, True]
    assert counts["statements"] <= 5, counts
    assert [each.mailbox.good_run_at is not None for each in posts] == [False, True, False, False, True, True]
    assert wanted.mailbox.due_at is not None and wanted.mailbox.due_at <= now()  # noqa: PT018
    assert all(each.mailbox.due_at > now() + timedelta(minutes=5) for each in plain if each.mailbox.due_at)
    assert [holder(context, "mailbox", each.mailbox_id) is None for each in posts] == [
        False,
        True,
        True,
        False,
        True,
        True,
    ]
