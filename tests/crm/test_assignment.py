"""New customers are shared out evenly: traps B16–B22 and B41, and several workers at once."""

from collections import Counter
from threading import Thread

import pytest

from tests.crm.shop_world import ShopWorld
from tests.inbound.arrivals import connected
from tracker.crm.shops import GroupChange, save_group
from tracker.models import ManagerGroup, User


def names(shop: ShopWorld, *people: User) -> str:
    """Who got the customers, in their order."""
    by_id = {person.id: person.name[0] for person in people}
    return "".join(by_id.get(customer.manager_id or 0, "-") for customer in shop.customers())


def strangers(shop: ShopWorld, count: int) -> None:
    for _ in range(count):
        shop.letter(f"new{shop._letters}@else.example")


def share_out(shop: ShopWorld, *people: User) -> ManagerGroup:
    group = shop.group("Sales", *people)
    shop.inbox.change(create_customer=True, group=group.public_id)
    return group


def test_b16_the_free_take_turns_and_the_busy_get_none(shop: ShopWorld) -> None:
    a, b, c = shop.person("Ann"), shop.person("Ben"), shop.person("Cid", status="busy")
    share_out(shop, a, b, c)
    strangers(shop, 6)
    assert names(shop, a, b, c) == "ABABAB"


def test_b17_while_nobody_is_free_all_others_take_turns(shop: ShopWorld) -> None:
    people = [shop.person(n, status=s) for n, s in (("Ann", "lunch"), ("Ben", "busy"), ("Cid", "break"))]
    people.append(shop.person("Dan", signed_in=False))
    share_out(shop, *people)
    strangers(shop, 8)
    assert names(shop, *people) == "ABCDABCD"


def test_b18_free_but_away_is_no_better_than_busy(shop: ShopWorld) -> None:
    people = [shop.person("Ann", signed_in=False), shop.person("Ben", status="busy")]
    share_out(shop, *people)
    strangers(shop, 4)
    assert names(shop, *people) == "ABAB"


def test_b19_whoever_becomes_free_gets_all_until_others_are(shop: ShopWorld) -> None:
    a, b = shop.person("Ann", status="busy"), shop.person("Ben", status="busy")
    share_out(shop, a, b)
    strangers(shop, 2)
    shop.change(b, status="free")
    strangers(shop, 3)
    shop.change(a, status="free")
    strangers(shop, 2)
    assert names(shop, a, b) == "ABBBBAB"


def test_b20_a_newcomer_gets_every_third_and_no_flood(shop: ShopWorld) -> None:
    a, b = shop.person("Ann"), shop.person("Ben")
    group = share_out(shop, a, b)
    strangers(shop, 10)
    new = shop.person("New")
    with shop.context.database.session_scope() as session:
        members = [person.public_id for person in (a, b, new)]
        save_group(session, session.get_one(ManagerGroup, group.id), GroupChange(members=members))
    strangers(shop, 9)
    assert Counter(names(shop, a, b, new)[10:]) == {"A": 3, "B": 3, "N": 3}


def test_b22_whoever_was_disabled_is_never_chosen(shop: ShopWorld) -> None:
    a, b = shop.person("Ann"), shop.person("Ben")
    share_out(shop, a, b)
    shop.change(a, active=False)
    strangers(shop, 3)
    assert names(shop, a, b) == "BBB"


@pytest.mark.parametrize(("size", "each"), [(2, 15), (3, 10), (6, 5)])
def test_b41_thirty_strangers_are_shared_out_evenly(shop: ShopWorld, size: int, each: int) -> None:
    people = [shop.person(f"P{n}") for n in range(size)]
    share_out(shop, *people)
    strangers(shop, 30)
    assert Counter(customer.manager_id for customer in shop.customers()) == {person.id: each for person in people}


def test_b21_several_workers_at_once_share_out_evenly(shop: ShopWorld) -> None:
    people = [shop.person(n) for n in ("Ann", "Ben", "Cid")]
    group = share_out(shop, *people)
    boxes = [connected(shop.context, shop.olga, f"box{n}@shop.example") for n in range(4)]
    for box in boxes:
        box.change(create_customer=True, group=group.public_id)

    def load(number: int) -> None:
        for n in range(6):
            shop.letter(f"w{number}n{n}@else.example", inbox=boxes[number])

    workers = [Thread(target=load, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert Counter(customer.manager_id for customer in shop.customers()) == {person.id: 8 for person in people}


def test_a_group_without_people_leaves_the_customer_without_a_manager_and_says_so(shop: ShopWorld) -> None:
    share_out(shop)
    strangers(shop, 2)
    assert [customer.manager_id for customer in shop.customers()] == [None, None]
    assert shop.bell(shop.olga).count("problem") == 1
