"""Who is read at the same time: no person, no host and no trouble takes the places of others."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fixtures.contexts import People
from tests.inbound.mail_world import Post, fresh_address, mailbox_on
from tests.servers.nasty import nasty_imap
from tracker.inbound.fetch.schedule import AT_ONCE_PER_PERSON, TROUBLED_AT_ONCE, Claim, claim_due, claim_many_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def _one_by_one(context: AppContext) -> list[Claim]:
    return [claim for _ in range(8) if (claim := claim_due(context)) is not None]


def _together(context: AppContext) -> list[Claim]:
    return claim_many_due(context, 8)


ways = pytest.mark.parametrize("claim_eight", [_one_by_one, _together])


@ways
def test_a_person_has_two_places_however_many_hosts_are_slow(
    context: AppContext, people: People, claim_eight: Callable[[AppContext], list[Claim]]
) -> None:
    alice, bob = people.user(), people.user("bob@firm.example")
    with nasty_imap() as first, nasty_imap() as other:
        slow = []
        for number in range(6):
            server = first
            server.host = f"127.0.0.{2 + number % 3}"
            slow.append(_due(mailbox_on(context, alice, server, fresh_address()), minutes=60))
        fast = _due(mailbox_on(context, bob, other, fresh_address()), minutes=1)
        claims = [claim.mailbox_id for claim in claim_eight(context)]
        assert len(set(claims) & {post.mailbox_id for post in slow}) == AT_ONCE_PER_PERSON
        assert fast.mailbox_id in claims


@ways
def test_mailboxes_in_trouble_have_some_places_and_leave_the_others(
    context: AppContext, people: People, claim_eight: Callable[[AppContext], list[Claim]]
) -> None:
    with nasty_imap() as server:
        troubled = []
        for number in range(6):
            server.host = f"127.0.0.{2 + number}"
            post = _due(
                mailbox_on(context, people.user(f"p{number}@firm.example"), server, fresh_address()), minutes=60
            )
            post.change(failures=1)
            troubled.append(post.mailbox_id)
        server.host = "127.0.0.1"
        well = _due(mailbox_on(context, people.user("well@firm.example"), server, fresh_address()), minutes=1)
        claims = [claim.mailbox_id for claim in claim_eight(context)]
        assert len(set(claims) & set(troubled)) == TROUBLED_AT_ONCE
        assert well.mailbox_id in claims


def test_a_host_that_rests_between_logins_holds_up_no_other(context: AppContext, people: People) -> None:
    with nasty_imap() as server:
        posts = []
        for number in (1, 2):
            server.host = f"127.0.0.{number}"
            person = people.user(f"p{number}@firm.example")
            posts.append(_due(mailbox_on(context, person, server, fresh_address()), minutes=3 - number))
        first, second = posts
        assert claim_due(context, {"127.0.0.1", "127.0.0.2"}) is None
        claim = claim_due(context, {"127.0.0.1"})
        assert claim is not None
        assert (claim.mailbox_id, claim.host) == (second.mailbox_id, "127.0.0.2")
        claim = claim_due(context)
        assert claim is not None
        assert claim.mailbox_id == first.mailbox_id


def test_what_is_claimed_together_signs_in_at_many_hosts_each_once_the_longest_waiting_first(
    context: AppContext, people: People
) -> None:
    with nasty_imap() as server:
        posts = []
        for number in range(12):
            server.host = f"127.0.0.{1 + number % 3 if number < 9 else number}"
            person = people.user(f"p{number}@firm.example")
            posts.append(_due(mailbox_on(context, person, server, fresh_address()), minutes=30 - number))
        posts[10].change(sync_wanted=True)
        posts[11].change(due_at=None)
        lots = [[claim.mailbox_id for claim in claim_many_due(context, most)] for most in (2, 8, 8, 8)]
        numbers = [[[post.mailbox_id for post in posts].index(number) for number in lot] for lot in lots]
        assert numbers == [[10, 0], [1, 2, 3, 9], [4, 5], []]  # two at a host, and never two of it at once


def _due(post: Post, minutes: int) -> Post:
    post.change(due_at=now() - timedelta(minutes=minutes))
    return post
