"""The work of a day: traps B40–B52, on both engines."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from tests.crm.shop_world import ShopWorld
from tests.inbound.arrivals import connected
from tests.inbound.corpus import simple
from tracker.crm.access import find_enquiry, find_letter_or_none
from tracker.crm.answers import AnswerElsewhere, note_answered_elsewhere, note_answers
from tracker.crm.enquiries import (
    assign_enquiry,
    complete_enquiry,
    in_list,
    list_counts,
    snooze_enquiry,
    wake_snoozed,
)
from tracker.crm.hand_binding import bind_again, bind_by_hand, preview_binding, unbind
from tracker.crm.snooze import snooze_time
from tracker.mail.message_ids import new_id
from tracker.models import Customer, Delivery, EnquiryChange, EnquiryStatus, Letter, Message, User
from tracker.recipients import find_or_make
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError


def do(shop: ShopWorld, user: User, letter: Letter, action: Any, *more: Any) -> None:
    with shop.context.database.session_scope() as session:
        user = session.get_one(User, user.id)
        enquiry, status = find_enquiry(session, user, letter.public_id)
        more = tuple(session.get_one(User, item.id) if isinstance(item, User) else item for item in more)
        action(session, enquiry, status, *more)


def assign(shop: ShopWorld, by: User, letter: Letter, manager: User, before: User | None = None) -> None:
    do(shop, by, letter, assign_enquiry, manager, by, before)


def standing(shop: ShopWorld, user: User) -> dict[str, list[str]]:
    """The public ids of the enquiries in each list of a person."""
    with shop.context.database.reading() as session:
        return {
            name: list(
                session.exec(
                    select(Letter.public_id)
                    .join(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id))
                    .where(in_list(name, user, now()))
                    .order_by(col(Letter.id))
                )
            )
            for name in ("mine", "nobodys", "waiting", "snoozed", "done")
        }


def answer(shop: ShopWorld, by: User, to: str, at: datetime) -> None:
    """A message of ours that a server took then."""
    with shop.context.database.session_scope() as session:
        message = Message(user_id=by.id or 0, message_id=f"<{at.timestamp()}@shop.example>", subject="Answer")
        recipient = find_or_make(session, to)
        session.add_all([message, recipient])
        session.flush()
        delivery = Delivery(
            message_id=message.id or 0, recipient_id=recipient.id or 0, position=0, role="to", address=to,
            opens_rule="unknown", clicks_rule="unknown", status="accepted", accepted_at=at,
        )  # fmt: skip
        session.add(delivery)
        session.flush()
        note_answers(session, [delivery])


def test_b40_what_is_answered_in_one_mailbox_waits_in_none(shop: ShopWorld) -> None:
    second = connected(shop.context, shop.olga, "info@shop.example")
    raw = simple("Subject: Both", sender="new@else.example")
    letters = [shop.inbox.arrive(raw), second.arrive(raw)]
    assert standing(shop, shop.olga)["waiting"] == [letter.public_id for letter in letters]
    answer(shop, shop.olga, "new@else.example", now())
    assert standing(shop, shop.olga)["waiting"] == []


def test_b42_of_two_who_take_one_at_once_one_has_it(shop: ShopWorld) -> None:
    a, b = shop.person("Ann"), shop.person("Ben")
    shop.inbox.change(group=shop.group("Sales", a, b).public_id)
    letter = shop.letter("new@else.example")
    both, refusals = Barrier(2), []

    def take(person: User) -> None:
        both.wait(10)
        try:
            assign(shop, person, letter, person)
        except ActionError as error:
            refusals.append(error)

    takers = [Thread(target=take, args=(person,)) for person in (a, b)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(30)
    assert len(refusals) == 1
    holder = {a.id: a, b.id: b}[shop.status(letter).manager_id or 0]
    assert refusals[0].code in ("conflict", "not_found"), "whoever comes later may not even see it any more"
    if refusals[0].code == "conflict":
        assert holder.name in str(refusals[0])
    with shop.context.database.reading() as session:
        assert len(session.exec(select(EnquiryChange).where(EnquiryChange.letter_id == letter.id)).all()) == 1


def test_b43_what_a_disabled_manager_had_is_nobody_s_with_his_name(shop: ShopWorld) -> None:
    ann, ben = shop.person("Ann"), shop.person("Ben")
    shop.inbox.change(group=shop.group("Sales", ann, ben).public_id)
    letters = [shop.letter(f"n{n}@else.example") for n in range(5)]
    for letter in letters:
        assign(shop, ann, letter, ann)
    assert len(standing(shop, ann)["mine"]) == 5
    assert standing(shop, ben)["nobodys"] == []
    shop.change(ann, active=False)
    assert len(standing(shop, ben)["nobodys"]) == len(standing(shop, shop.olga)["nobodys"]) == 5
    assert {shop.status(letter).manager_id for letter in letters} == {ann.id}
    assign(shop, ben, letters[0], ben)
    assert standing(shop, ben)["mine"] == [letters[0].public_id]


def test_b44_who_takes_one_is_not_told_and_who_is_given_one_is(shop: ShopWorld) -> None:
    a, b = shop.person("Ann"), shop.person("Ben")
    shop.inbox.change(group=shop.group("Sales", a, b).public_id)
    letter = shop.letter("new@else.example")
    assign(shop, a, letter, a)
    assert shop.notices(a) == []
    assign(shop, shop.olga, letter, b, a)
    assert (shop.notices(a), shop.notices(b)) == ([], ["enquiry_assigned"])
    assert shop.bell(b) == ["enquiry_assigned"]


def test_moving_what_somebody_else_took_meanwhile_names_who_has_it(shop: ShopWorld) -> None:
    a, b = shop.person("Ann"), shop.person("Ben")
    letter = shop.letter("new@else.example")
    assign(shop, shop.olga, letter, a)
    with pytest.raises(ActionError, match="Ann") as refusal:
        assign(shop, shop.olga, letter, shop.olga)
    assert refusal.value.code == "conflict"
    with pytest.raises(ActionError, match="Ann"):
        assign(shop, shop.olga, letter, b, b)


BERLIN = ZoneInfo("Europe/Berlin")
SATURDAY = datetime(2026, 3, 28, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("trap", "choice", "moment"),
    [
        ("B45", "tomorrow", datetime(2026, 3, 29, 7, tzinfo=UTC)),
        ("B45", "2026-03-29T02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("B45", "monday", datetime(2026, 3, 30, 7, tzinfo=UTC)),
        ("B45", "week", datetime(2026, 4, 4, 7, tzinfo=UTC)),
        ("B45", "later", datetime(2026, 3, 28, 17, tzinfo=UTC)),
        ("B45", "2026-02-30T10:00", None),
        ("B45", "soon", None),
        ("B45", "0001-01-01T00:00", None),
    ],
)
def test_b45_days_are_days_of_the_person_s_calendar(trap: str, choice: str, moment: datetime | None) -> None:
    assert snooze_time(choice, SATURDAY, BERLIN) == moment, trap


def test_b46_a_reply_wakes_what_was_snoozed_and_what_is_done_stays_done(shop: ShopWorld) -> None:
    letter = shop.letter("new@else.example", hours=0)
    friday = now() + timedelta(days=3)
    do(shop, shop.olga, letter, snooze_enquiry, friday, shop.olga)
    assert standing(shop, shop.olga)["snoozed"] == [letter.public_id]
    repeat = shop.letter("new@else.example", "Again", hours=2)
    assert repeat.repeat_of_id == letter.id
    assert standing(shop, shop.olga)["waiting"] == [letter.public_id]
    do(shop, shop.olga, letter, complete_enquiry, shop.olga)
    assert shop.status(letter).snoozed_until is None
    assert wake_snoozed(shop.context) == 0
    with pytest.raises(ActionError) as refusal:
        do(shop, shop.olga, letter, snooze_enquiry, now() - timedelta(minutes=1), shop.olga)
    assert (refusal.value.code, refusal.value.field) == ("invalid", "until")


def test_what_was_snoozed_comes_back_with_a_word(shop: ShopWorld) -> None:
    letter = shop.letter("new@else.example")
    assert shop.bell(shop.olga) == ["enquiry"]
    do(shop, shop.olga, letter, snooze_enquiry, now() + timedelta(days=1), shop.olga)
    with shop.context.database.session_scope() as session:
        session.get_one(EnquiryStatus, letter.id).snoozed_until = now() - timedelta(seconds=1)
    assert wake_snoozed(shop.context) == 1
    assert standing(shop, shop.olga)["snoozed"] == []
    assert "enquiry_due" in shop.bell(shop.olga)


def test_b47_an_automatic_answer_changes_nothing(shop: ShopWorld) -> None:
    letter = shop.letter("new@else.example", hours=0)
    do(shop, shop.olga, letter, complete_enquiry, shop.olga)
    before = shop.status(letter)
    shop.letter("new@else.example", "Away", "Auto-Submitted: auto-replied", hours=3)
    assert shop.status(letter) == before


def test_b48_the_first_answer_counts_from_the_enquiry_not_its_repeat(shop: ShopWorld) -> None:
    shop.inbox.change(repeat_period_days=30)
    letter = shop.letter("new@else.example", hours=0)
    shop.letter("new@else.example", hours=24)
    shop.letter("new@else.example", hours=48)
    thursday = letter.received_at + timedelta(days=3)
    answer(shop, shop.olga, "new@else.example", thursday)
    status = shop.status(letter)
    assert (status.answered_at, status.received_at) == (thursday, letter.received_at)
    answer(shop, shop.olga, "new@else.example", thursday + timedelta(days=1))
    assert shop.status(letter).answered_at == thursday


def test_b49_the_answer_is_whoever_s_gave_it(shop: ShopWorld) -> None:
    a, b = shop.person("Ann"), shop.person("Ben")
    letter = shop.letter("new@else.example")
    assign(shop, shop.olga, letter, a)
    answer(shop, b, "NEW@else.example", now())
    status = shop.status(letter)
    assert (status.manager_id, status.answered_by) == (a.id, b.id)


def test_an_answer_from_before_and_one_to_somebody_else_are_none(shop: ShopWorld) -> None:
    letter = shop.letter("new@else.example")
    answer(shop, shop.olga, "new@else.example", letter.received_at - timedelta(minutes=1))
    answer(shop, shop.olga, "other@else.example", now())
    assert shop.status(letter).answered_at is None


def test_b56_nobody_sees_letters_of_a_colleague_s_mailbox(shop: ShopWorld) -> None:
    ann = shop.person("Ann")
    anna = shop.customer("anna@client.example", manager=ann.public_id)
    shop.inbox.change(notify_manager=False)
    letter = shop.letter("anna@client.example")
    assert getattr(shop.binding(letter), "customer_id", None) == anna.id
    with shop.context.database.reading() as session:
        assert find_letter_or_none(session, ann, letter.public_id) is None
        assert set(list_counts(session, ann).values()) == {0}
    assert shop.bell(ann) == ["customer_assigned"], "nothing of the letter"


def test_a_letter_that_is_given_to_the_manager_is_seen_with_its_repeats_until_it_is_given_on(shop: ShopWorld) -> None:
    ann, ben = shop.person("Ann"), shop.person("Ben")
    shop.customer("anna@client.example", manager=ann.public_id)
    letter = shop.letter("anna@client.example", hours=0)
    repeat = shop.letter("anna@client.example", "Again", hours=1)
    with shop.context.database.reading() as session:
        assert all(find_letter_or_none(session, ann, item.public_id) for item in (letter, repeat))
        assert not any(find_letter_or_none(session, ben, item.public_id) for item in (letter, repeat))
    assign(shop, ann, letter, ben, ann)
    with shop.context.database.reading() as session:
        assert all(find_letter_or_none(session, ben, item.public_id) for item in (letter, repeat))
        assert not any(find_letter_or_none(session, ann, item.public_id) for item in (letter, repeat))


def test_a_letter_is_bound_by_hand_taken_off_and_bound_again_by_the_rules(shop: ShopWorld) -> None:
    anna, boris = shop.customer("anna@client.example"), shop.customer("boris@client.example")
    letter = shop.letter("anna@client.example")
    with shop.context.database.session_scope() as session:
        stored, olga = session.get_one(Letter, letter.id), session.get_one(User, shop.olga.id)
        bind_by_hand(session, stored, olga, customer=session.get_one(Customer, boris.id))
    binding = shop.binding(letter)
    assert binding is not None
    assert (binding.customer_id, binding.rule, binding.flags) == (boris.id, "by_hand", ["sender_differs"])
    with shop.context.database.session_scope() as session:
        stored, olga = session.get_one(Letter, letter.id), session.get_one(User, shop.olga.id)
        unbind(session, stored, olga)
        preview = preview_binding(session, stored)
        assert (preview.is_change, preview.proposed.customer) == (True, anna.id)
        bind_again(session, stored, olga)
    binding = shop.binding(letter)
    assert binding is not None
    assert (binding.customer_id, binding.rule) == (anna.id, "sender")


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        (["From: ben@shop.example", "To: new@else.example", "Cc: shop@shop.example"], True),
        (["From: Shop <SHOP@shop.example>", "To: x@else.example, New <NEW@else.example>"], True),
        (["From: ben@shop.example", "To: ann@shop.example", "Cc: shop@shop.example"], False),
        (["From: ben@shop.example", "To: new@else.example", "Auto-Submitted: auto-replied"], False),
        (["From: ben@shop.example", "To: new@else.example", "Precedence: bulk", "List-Id: <news.shop.example>"], False),
        (["From: other@else.example", "To: new@else.example", "Cc: shop@shop.example"], False),
    ],
    ids=["a colleague with us in copy", "the mailbox itself", "handed on to a colleague", "automatic", "mail-out", "a stranger"],
)  # fmt: skip
def test_a_copy_of_what_one_of_us_wrote_elsewhere_is_the_answer(
    shop: ShopWorld, fields: list[str], counts: bool
) -> None:
    ben = shop.person("Ben")
    shop.person("Ann")
    letter = shop.letter("new@else.example", hours=0)
    raw = "\r\n".join([*fields, "Subject: Re: Chairs", f"Message-ID: <{len(fields[1])}@x>", "", "Ten euros."]).encode()
    shop.inbox.arrive(raw, hours=2)
    status = shop.status(letter)
    assert (status.answered_at is not None, status.waiting_since is None) == (counts, counts)
    if counts:
        assert status.answered_at == letter.received_at + timedelta(hours=2)
        assert status.answered_by == (ben.id if "ben" in fields[0] else shop.olga.id)


def test_an_answer_that_is_heard_of_late_stands_where_it_belongs(shop: ShopWorld) -> None:
    """Twice, before and after another answer, and before the sender's next letter."""
    shop.inbox.change(repeat_period_days=30)
    ben = shop.person("Ben")
    letter = shop.letter("new@else.example", hours=0)
    first, second = (letter.received_at + timedelta(hours=hours) for hours in (1, 3))

    def elsewhere(at: datetime) -> int:
        answer = AnswerElsewhere(at, ben.id or 0, frozenset({"new@else.example", "nobody@else.example"}))
        with shop.context.database.session_scope() as session:
            return note_answered_elsewhere(session, [answer])

    answer(shop, shop.olga, "new@else.example", second)
    assert (elsewhere(first), elsewhere(first)) == (1, 0)
    status = shop.status(letter)
    assert (status.answered_at, status.answered_by, status.last_answer_at) == (first, ben.id, second)
    again = shop.letter("new@else.example", hours=5)
    assert shop.status(letter).waiting_since == again.received_at
    assert elsewhere(second + timedelta(minutes=1)) == 0, "written before the sender asked again"
    assert shop.status(letter).waiting_since == again.received_at
    assert elsewhere(again.received_at + timedelta(hours=1)) == 1
    assert shop.status(letter).waiting_since is None
    assert elsewhere(letter.received_at - timedelta(hours=1)) == 0


def test_b51_an_answer_to_our_own_notification_is_no_letter_and_is_told_of_once(shop: ShopWorld) -> None:
    """From a phone, where a notification looks like a letter. What a customer writes is a letter whatever it names."""
    shop.inbox.change(create_customer=True)
    ben = shop.person("Ben")
    notice = new_id(shop.context.keyring, "n", "00000007", "shop.example")
    for number, (sender, more) in enumerate((
        ("ben@shop.example", []), ("BEN@shop.example", []), ("shop@shop.example", []),
        ("ben@shop.example", ["Auto-Submitted: auto-replied"]),
    )):  # fmt: skip
        raw = simple(
            "Subject: Re: News", f"In-Reply-To: {notice}", *more, sender=sender, body=f"Yes, do that. {number}"
        )
        assert shop.inbox.take(shop.inbox.fetched(raw, number)).outcome == "dropped"
    assert (shop.inbox.letters(), shop.customers()) == ([], [])
    assert (shop.bell(ben), shop.bell(shop.olga)) == (["problem"], ["problem"])
    forged = notice.replace("n-00000007", "n-00000008")
    for sender, named in (("new@else.example", notice), ("ben@shop.example", forged)):
        assert shop.letter(sender, "Chairs", f"In-Reply-To: {named}").category
    assert len(shop.inbox.letters()) == 2
