"""What a look at a mailbox costs in which nothing has come: counted, for a thousand of them are looked at every ten minutes."""

from tests.fixtures.counts import counted
from tests.fixtures.leases import free
from tests.inbound.mail_world import Post, letter
from tests.servers.nasty import NastyImap
from tracker.inbound.accept import accept_all
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
    assert counts["statements"] <= 13, counts
    asked = [command.split()[0] for command in server.commands]
    assert asked[-4:] == [b"LIST", b"EXAMINE", b"UID", b"LOGOUT"], asked
    assert len(asked) <= 9, asked  # the others sign in
    after = post.folder().good_run_at
    assert before is not None and after is not None and after > before  # noqa: PT018
