"""Letters that arrive find their order, their customer and their manager, on both engines; traps by their numbers."""

from threading import Thread

import pytest
from sqlmodel import select

from tests.crm.shop_world import ShopWorld
from tests.inbound.arrivals import connected
from tests.inbound.corpus import simple
from tracker.crm.customers import CustomerChange, change_customer, delete_customer, merge_customers
from tracker.crm.orders import OrderChange, save_order
from tracker.inbound.accept import accept_all
from tracker.models import Customer, CustomerSource, EnquiryStatus, LetterBinding, Mailbox, Order

ENCODED = {
    "B4": "=?utf-8?q?=5B=2331?= =?utf-8?q?12=5D_=D0=B2?=",
    "B4 base64": "=?utf-8?b?UmU6IFsjMzEx?= =?utf-8?b?Ml0=?=",
    "B1": "Re: [#3112] question",
}


@pytest.mark.parametrize("trap", ENCODED)
def test_an_order_number_is_found_in_the_decoded_subject(shop: ShopWorld, trap: str) -> None:
    anna = shop.customer("anna@client.example")
    order = shop.order("3112", anna)
    binding = shop.binding(shop.letter("anna@client.example", ENCODED[trap]))
    assert binding is not None
    assert (binding.order_id, binding.customer_id, binding.rule) == (order.id, anna.id, "order_number")


def test_b5_a_number_that_is_folded_is_none(shop: ShopWorld) -> None:
    shop.order("3112")
    binding = shop.binding(shop.letter("anna@client.example", "[#31\r\n 12]"))
    assert binding is not None
    assert (binding.order_id, binding.rule) == (None, "customer_not_found")


def test_b9_whatever_stands_in_the_brackets_is_only_looked_up(shop: ShopWorld) -> None:
    for subject in ("[#%]", "[#'--]", "[#<script>]", '[#"x"]', "[#_]", "[#\\]"):
        binding = shop.binding(shop.letter("anna@client.example", subject))
        assert binding is not None
        assert (binding.order_id, binding.flags) == (None, ["order_not_found"])


def test_b10_an_order_of_another_shop_is_not_bound_to(shop: ShopWorld) -> None:
    chairs, tables = shop.shop("Chairs"), shop.shop("Tables")
    shop.order("9", shop=tables.public_id)
    own = shop.order("10", shop=chairs.public_id)
    shop.inbox.change(shop=chairs.public_id)
    other, mine = shop.letter("a@client.example", "[#9]"), shop.letter("a@client.example", "[#10]")
    assert [getattr(shop.binding(letter), "order_id", None) for letter in (other, mine)] == [None, own.id]


def test_b11_a_stranger_with_an_order_number_is_bound_and_flagged(shop: ShopWorld) -> None:
    anna = shop.customer("anna@client.example")
    order = shop.order("3112", anna)
    binding = shop.binding(shop.letter("eve@else.example", "[#3112]"))
    assert binding is not None
    assert (binding.order_id, binding.customer_id, binding.flags) == (order.id, anna.id, ["sender_differs"])
    assert shop.addresses(anna) == ["anna@client.example"]


def test_b12_any_address_in_any_case_is_the_customer(shop: ShopWorld) -> None:
    anna = shop.customer("Anna@Client.example", "ANNA@bücher.example")
    for sender in ("ANNA@CLIENT.EXAMPLE", "anna@xn--bcher-kva.example"):
        binding = shop.binding(shop.letter(sender))
        assert binding is not None
        assert (binding.customer_id, binding.rule) == (anna.id, "sender")


def test_b13_of_two_customers_with_one_address_the_one_who_wrote_last(shop: ShopWorld) -> None:
    first = shop.customer("info@firm.example", name="First")
    second = shop.customer("info@firm.example", name="Second")
    shop.customer("second@firm.example")
    order = shop.order("7", second)
    shop.letter("info@firm.example", "[#7]")
    binding = shop.binding(shop.letter("info@firm.example", "Hello"))
    assert order.id is not None
    assert binding is not None
    assert (binding.customer_id, binding.flags) == (second.id, ["ambiguous"])
    assert first.id != second.id


def test_b14_three_letters_of_a_stranger_in_one_load_make_one_customer(shop: ShopWorld) -> None:
    max_ = shop.person("Max")
    shop.inbox.change(create_customer=True, group=shop.group("Sales", max_).public_id, repeat_period_days=0)
    raws = [simple(f"Subject: {n}", sender="New <new@else.example>", body=f"chairs {n}") for n in range(3)]
    some = [shop.inbox.fetched(raw, n) for n, raw in enumerate(raws)]
    with shop.context.database.session_scope() as session:
        accept_all(session, shop.context, session.get_one(Mailbox, shop.inbox.mailbox.id), some)
    (customer,) = shop.customers()
    assert shop.notices(max_) == ["customer_assigned", "letter", "letter", "letter"]
    bindings = [shop.binding(letter) for letter in shop.inbox.letters()]
    assert [(binding.customer_id, binding.rule) for binding in bindings if binding] == [
        (customer.id, rule) for rule in ("created", "sender", "sender")
    ]


def test_b15_only_the_address_of_a_new_customer_is_filled_in(shop: ShopWorld) -> None:
    chairs = shop.shop("Chairs")
    shop.inbox.change(create_customer=True, shop=chairs.public_id)
    shop.letter("Anna Berg <Anna@Client.example>")
    (customer,) = shop.customers()
    assert (customer.name, customer.tags, customer.external_id, customer.manager_id) == ("", [], None, None)
    assert (customer.source, customer.shop_id) == (CustomerSource.INCOMING_EMAIL, chairs.id)
    assert shop.addresses(customer) == ["anna@client.example"]


def test_b24_whoever_gets_a_new_customer_is_told_twice_in_this_order(shop: ShopWorld) -> None:
    max_ = shop.person("Max")
    shop.inbox.change(create_customer=True, group=shop.group("Sales", max_).public_id)
    letter = shop.letter("new@else.example")
    assert shop.bell(max_) == ["customer_assigned", "letter"]
    assert shop.bell(shop.olga) == []
    assert shop.status(letter).manager_id == max_.id


def test_b25_a_mailbox_that_notifies_no_manager_tells_of_the_customer_alone(shop: ShopWorld) -> None:
    max_ = shop.person("Max")
    shop.inbox.change(create_customer=True, notify_manager=False, group=shop.group("Sales", max_).public_id)
    shop.letter("new@else.example")
    assert shop.bell(max_) == ["customer_assigned"]


def test_b26_a_letter_that_is_skipped_is_no_problem(shop: ShopWorld) -> None:
    letter = shop.letter("new@else.example")
    binding = shop.binding(letter)
    assert binding is not None
    assert binding.rule == "customer_not_found"
    assert shop.bell(shop.olga) == ["enquiry"], "it is still an enquiry in her mailbox"
    assert shop.customers() == []


def test_b23_the_letter_of_a_disabled_manager_s_customer_is_told_to_whoever_set_the_mailbox_up(shop: ShopWorld) -> None:
    max_ = shop.person("Max")
    anna = shop.customer("anna@client.example", manager=max_.public_id)
    shop.change(max_, active=False)
    letter = shop.letter("anna@client.example")
    assert shop.bell(shop.olga) == ["letter"]
    assert [customer.manager_id for customer in shop.customers()] == [max_.id]
    assert getattr(shop.binding(letter), "customer_id", None) == anna.id


def test_b32_numbers_are_texts(shop: ShopWorld) -> None:
    short, long = shop.order("401"), None
    binding = shop.binding(shop.letter("a@client.example", "[#0401]"))
    assert binding is not None
    assert (binding.order_id, binding.number) == (None, "0401")
    long = shop.order("0401")
    binding = shop.binding(shop.letter("a@client.example", "[#0401]"))
    assert getattr(binding, "order_id", None) == long.id != short.id


def test_b33_what_arrives_during_a_merge_is_the_kept_customer_s(shop: ShopWorld) -> None:
    anna, twin = shop.customer("anna@client.example"), shop.customer("twin@client.example")
    shop.letter("twin@client.example")
    with shop.context.database.session_scope() as session:
        merge_customers(session, session.get_one(Customer, anna.id), session.get_one(Customer, twin.id))
        arriving = Thread(target=lambda: shop.letter("twin@client.example", "during"))
        arriving.start()
        arriving.join(0.3)
    arriving.join(30)
    shop.letter("twin@client.example", "after")
    bindings = [shop.binding(letter) for letter in shop.inbox.letters()]
    assert [binding and binding.customer_id for binding in bindings] == [anna.id] * 3


def test_b34_two_customers_that_are_merged_keep_every_address_once(shop: ShopWorld) -> None:
    anna = shop.customer("x@y.example", "anna@client.example", tags=["vip"])
    boris = shop.customer("x@y.example", "boris@client.example", tags=["new"], external_id="b-1", name="Boris")
    order = shop.order("5", boris)
    letters = [shop.letter("anna@client.example"), shop.letter("boris@client.example")]
    with shop.context.database.session_scope() as session:
        merge_customers(session, session.get_one(Customer, anna.id), session.get_one(Customer, boris.id))
    (left,) = shop.customers()
    assert (left.id, left.name, left.external_id, left.tags) == (anna.id, "Boris", "b-1", ["vip", "new"])
    assert sorted(shop.addresses(left)) == ["anna@client.example", "boris@client.example", "x@y.example"]
    assert [getattr(shop.binding(letter), "customer_id", None) for letter in letters] == [anna.id, anna.id]
    with shop.context.database.reading() as session:
        assert session.get_one(Order, order.id).customer_id == anna.id


def test_b35_nothing_of_a_deleted_customer_comes_back(shop: ShopWorld) -> None:
    shop.inbox.change(create_customer=True)
    old = shop.customer("anna@client.example", name="Anna", tags=["vip"])
    before = shop.letter("anna@client.example")
    with shop.context.database.session_scope() as session:
        delete_customer(session, session.get_one(Customer, old.id))
    shop.letter("anna@client.example")
    (new,) = shop.customers()
    assert (new.name, new.tags, new.source) == ("", [], CustomerSource.INCOMING_EMAIL)
    assert getattr(shop.binding(before), "customer_id", "") is None


def test_b36_own_addresses_never_become_customers(shop: ShopWorld) -> None:
    shop.inbox.change(create_customer=True)
    shop.letter("new@else.example", "Hello", "Cc: info@shop.example", "X: sales+a@shop.example")
    rules = []
    for own in ("olga@seller.example", "shop+tag@shop.example", "Olga <OLGA+x@seller.example>"):
        binding = shop.binding(shop.letter(own, "Forwarded"))
        rules.append(binding.rule if binding else None)
    assert [shop.addresses(customer) for customer in shop.customers()] == [["new@else.example"]]
    assert set(rules) <= {"own_address", None}, "what we wrote ourselves is not even looked at"


def test_b37_a_reply_to_that_is_no_address_changes_nothing(shop: ShopWorld) -> None:
    shop.inbox.change(create_customer=True)
    shop.letter("anna@client.example", "Hello", "Reply-To: Fischer")
    assert [shop.addresses(customer) for customer in shop.customers()] == [["anna@client.example"]]


def test_b40_one_letter_in_two_mailboxes_of_a_shop_makes_one_customer(shop: ShopWorld) -> None:
    max_ = shop.person("Max")
    chairs = shop.shop("Chairs")
    second = connected(shop.context, shop.olga, "info@shop.example")
    for inbox in (shop.inbox, second):
        inbox.change(create_customer=True, shop=chairs.public_id)
    shop.inbox.change(group=shop.group("Sales", max_).public_id)
    raw = simple("Subject: Both", "Message-ID: <both@else.example>", sender="new@else.example")
    letters = [shop.inbox.arrive(raw), second.arrive(raw)]
    assert len(shop.customers()) == 1
    assert shop.notices(max_).count("customer_assigned") == 1
    with shop.context.database.reading() as session:
        assert len(session.exec(select(EnquiryStatus)).all()) == len(letters)


def test_letters_of_a_first_load_are_bound_and_make_nobody(shop: ShopWorld) -> None:
    anna = shop.customer("anna@client.example", manager=shop.person("Max").public_id)
    shop.inbox.change(create_customer=True)
    known, new = shop.letter("anna@client.example", silent=True), shop.letter("new@else.example", silent=True)
    assert getattr(shop.binding(known), "customer_id", None) == anna.id
    assert getattr(shop.binding(new), "rule", None) == "customer_not_found"
    assert [customer.id for customer in shop.customers()] == [anna.id]


def test_an_automatic_answer_is_bound_and_opens_nothing(shop: ShopWorld) -> None:
    order = shop.order("3112")
    letter = shop.letter("anna@client.example", "[#3112] out of office", "Auto-Submitted: auto-replied")
    assert getattr(shop.binding(letter), "order_id", None) == order.id
    with shop.context.database.reading() as session:
        assert session.get(EnquiryStatus, letter.id) is None


def test_letters_of_an_order_follow_it_to_another_customer(shop: ShopWorld) -> None:
    anna, boris = shop.customer("anna@client.example"), shop.customer("boris@client.example")
    order = shop.order("3112", anna)
    letter = shop.letter("anna@client.example", "[#3112]")
    with shop.context.database.session_scope() as session:
        save_order(session, session.get_one(Order, order.id), OrderChange(customer=boris.public_id))
    assert getattr(shop.binding(letter), "customer_id", None) == boris.id


def test_two_loads_of_one_stranger_at_once_make_one_customer(shop: ShopWorld) -> None:
    others = [connected(shop.context, shop.olga, f"box{n}@shop.example") for n in range(4)]
    group = shop.group("Sales", shop.person("Max"), shop.person("Nina"))
    for inbox in others:
        inbox.change(create_customer=True, group=group.public_id)
    loads = [Thread(target=lambda inbox=inbox: shop.letter("new@else.example", inbox=inbox)) for inbox in others]
    for load in loads:
        load.start()
    for load in loads:
        load.join(60)
    (customer,) = shop.customers()
    with shop.context.database.reading() as session:
        assert list(session.exec(select(LetterBinding.customer_id))) == [customer.id] * 4


def test_a_customer_who_lost_the_address_is_not_found_by_it(shop: ShopWorld) -> None:
    anna = shop.customer("anna@client.example")
    with shop.context.database.session_scope() as session:
        change_customer(session, session.get_one(Customer, anna.id), CustomerChange(addresses=["new@c.example"]), None)
    assert getattr(shop.binding(shop.letter("anna@client.example")), "rule", None) == "customer_not_found"
    assert getattr(shop.binding(shop.letter("new@c.example")), "customer_id", None) == anna.id
