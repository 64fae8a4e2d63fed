"""The filter: address bar and back, and what each value lets pass."""

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select
from starlette.datastructures import QueryParams

from tests.fixtures.contexts import opened_context
from tests.web.mail_world import ANNA, LUC, OFFER, Seen, To, Written, agree, make_account, write
from tracker.locale import use_locale
from tracker.models import Message, MessageState, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError
from tracker.runtime.paging import Cursor, in_order, read_page
from tracker.web.inbox.filter import LetterFilter
from tracker.web.inbox.rows import manages_others
from tracker.web.messages.filter import ACTIVITIES, EXCLUSIVE, STATES, Filter
from tracker.web.messages.rows import read_figures, state_counts

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map(lambda text: " ".join(text.split()))
DAYS = st.none() | st.dates() | st.datetimes(timezones=st.just(UTC))
ORDER = (Message.listed_at, Message.id)
FILTERS = st.builds(
    Filter,
    state=st.sets(st.sampled_from(list(STATES))).map(lambda chosen: tuple(s for s in STATES if s in chosen)),
    tracked=st.sampled_from(["", "true", "false"]),
    account=WORDS,
    recipient=WORDS,
    since=DAYS,
    until=DAYS,
    q=WORDS,
    thread=WORDS,
    template=WORDS,
    activity=st.sampled_from(["", *ACTIVITIES]),
)


@given(FILTERS)
def test_a_filter_comes_back_from_its_own_address(chosen: Filter) -> None:
    assert Filter.from_query(QueryParams(chosen.to_query())) == chosen


@given(FILTERS)
def test_taking_off_every_value_leaves_nothing(chosen: Filter) -> None:
    rest = chosen
    for name, value in chosen.values():
        assert (name, value) in rest.values()
        rest = rest.without(name, value)
    assert rest.is_empty


@given(FILTERS)
def test_a_filter_always_makes_a_query(empty: AppContext, chosen: Filter) -> None:
    user = User(id=1, email="a@example.com", name="A", timezone="Pacific/Kiritimati")
    with empty.database.reading() as session:
        assert session.scalars(chosen.apply(session, select(Message), user)).all() == []


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppContext]:
    with opened_context(tmp_path_factory.mktemp("empty")) as made:
        yield made


@given(
    st.integers(0, 7 * 10**15).map(lambda micro: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)),
    st.integers(0, 10**12),
)
def test_a_cursor_comes_back_from_its_own_text(at: datetime, number: int) -> None:
    assert Cursor.parse(str(Cursor(at, number))) == Cursor(at, number)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=nonsense", "state"),
        ("state=opened,nonsense", "state"),
        ("tracked=maybe", "tracked"),
        ("since=yesterday", "since"),
        ("until=2026-02-30", "until"),
        ("since=0000-00-00", "since"),
        ("since=0001-01-01T00:00:00%2B23:00", "since"),
        ("q=" + "x" * 201, "q"),
    ],
)
def test_what_cannot_be_understood_names_its_field(query: str, field: str) -> None:
    with pytest.raises(ActionError) as caught:
        Filter.from_query(QueryParams(query))
    assert caught.value.field == field
    assert field in caught.value.sentence


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "-1.2", "x.y", "9" * 18 + ".1", "1.2 OR 1=1"])
def test_a_cursor_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ActionError):
        Cursor.parse(text)


def test_states_may_be_repeated_or_divided_by_commas_and_come_out_in_one_order() -> None:
    assert Filter.from_query(QueryParams("state=no_reply&state=opened")) == Filter.from_query(
        {"state": "opened,no_reply"}
    )


@pytest.fixture
def listed(context: AppContext, alice: User) -> Callable[..., list[str]]:
    """`found(state="opened")`: the subjects that pass, newest first."""

    def subjects(user: User = alice, **query: str) -> list[str]:
        with context.database.reading() as session:
            rows = session.scalars(
                in_order(Filter.from_query(query).apply(session, select(Message), user), ORDER)
            ).all()
            return [row.subject for row in rows]

    return subjects


REFUSED = To("gone@x.example", opens=False, clicks=False, rule="granted", status="rejected")
WAITING = To("grey@x.example", opens=False, clicks=False, rule="granted", status="deferred")
ONE_OF_EACH = (
    Written("opened", (ANNA,), (Seen("open", "human", 60),)),
    Written("clicked", (ANNA,), (Seen("open", "mail_proxy", 60), Seen("click", "human", 70, link=0)), links=OFFER),
    Written("nothing yet", (ANNA,)),
    Written("machines", (ANNA,), (Seen("open", "security_scanner", 4),)),
    Written("apple", (ANNA,), (Seen("open", "privacy_prefetch", 4),)),
    Written("apple and opened", (ANNA, LUC), (Seen("open", "privacy_prefetch", 4), Seen("open", "human", 90))),
    Written("untracked", (LUC,)),
    Written("text only", (To("x@example.org", opens=False, clicks=False, rule="text_only"),)),
    Written("links only", (To("x@example.org", opens=False, rule="refused"),)),
    Written("answered", (ANNA,), (Seen("reply", "human", 600),)),
    Written("bounced", (ANNA,), (Seen("bounce", "human", 5),)),
    Written("draft", (), state=MessageState.DRAFT),
    Written("queued", (ANNA,), state=MessageState.QUEUED),
    Written("failed", (REFUSED,), state=MessageState.FAILED),
    Written("refused for one", (ANNA, REFUSED)),
    Written("waits for one", (ANNA, WAITING), state=MessageState.QUEUED, columns={"sent_at": now()}),
    Written("refused for one, waits for another", (REFUSED, WAITING), state=MessageState.QUEUED),
)
WANTED = {
    "opened": {"opened", "clicked", "apple and opened"},
    "clicked": {"clicked"},
    "not_opened": {"nothing yet", "machines", "answered", "bounced", "refused for one", "waits for one"},
    "machine_only": {"machines", "apple"},
    "unmeasurable": {"apple", "text only"},
    "untracked": {"untracked", "text only", "failed", "refused for one, waits for another"},
    "replied": {"answered"},
    "bounced": {"bounced", "refused for one", "refused for one, waits for another"},
    "draft": {"draft"},
    "queued": {"queued", "waits for one", "refused for one, waits for another"},
    "failed": {"failed"},
    "draft,queued": {"draft", "queued", "waits for one", "refused for one, waits for another"},
    "sent,bounced": {"bounced", "refused for one"},
    "sent,opened": {"opened", "clicked", "apple and opened"},
    "opened,clicked": {"clicked"},
}


@pytest.mark.parametrize("state", WANTED)
def test_states(context: AppContext, alice: User, listed: Callable[..., list[str]], state: str) -> None:
    write(context, alice, *ONE_OF_EACH)
    assert set(listed(state=state)) == WANTED[state]


def test_each_state_says_how_many_it_would_show_beside_the_rest(
    context: AppContext, alice: User, bob: User, listed: Callable[..., list[str]]
) -> None:
    write(context, alice, *ONE_OF_EACH)
    write(context, bob, *ONE_OF_EACH)
    for query in ("", "state=opened", "state=bounced", "state=sent&state=bounced", "q=one", "state=draft&q=nothing"):
        chosen = Filter.from_query(QueryParams(query))
        with context.database.reading() as session:
            counts = state_counts(session, alice, chosen)
        assert set(counts) == set(STATES)
        for group in EXCLUSIVE:
            others = tuple(state for state in chosen.state if state not in group)
            for state in group:
                shown = replace(chosen, state=(*others, state))
                rows = listed(**dict(QueryParams(shown.to_query()), state=",".join(shown.state)))
                assert counts[state] == len(rows), (query, state)


def test_tracked_and_untracked_part_everything_that_left(
    context: AppContext, alice: User, listed: Callable[..., list[str]]
) -> None:
    write(context, alice, *ONE_OF_EACH)
    tracked, untracked = set(listed(state="tracked")), set(listed(state="untracked"))
    assert not tracked & untracked
    assert tracked | untracked == {item.subject for item in ONE_OF_EACH} - {"draft"}
    assert set(listed(state="no_reply")) & {"answered"} == set()


def test_one_sees_ones_own_mail_only(
    context: AppContext, alice: User, bob: User, listed: Callable[..., list[str]]
) -> None:
    write(context, alice, Written("of Alice", (ANNA,)))
    write(context, bob, Written("of Bob", (ANNA,)))
    assert listed() == ["of Alice"]
    assert listed(user=bob) == ["of Bob"]
    assert listed(user=bob, recipient=ANNA.address) == ["of Bob"]
    assert listed(user=bob, q="Alice") == []


@pytest.mark.parametrize(
    "words",
    [
        "Quandt",
        "zacharias",
        "ZACHARIAS quandt",
        "Müller",
        unicodedata.normalize("NFD", "Müller"),
        "müller",
        "bücher",
        "jörg@bücher.example",
        "JÖRG@BÜCHER.example",
        "@bücher.example",
        unicodedata.normalize("NFD", "jörg@bücher.example"),
        "xn--bcher-kva",
        "пример.рф",
        "ПРИМЕР.РФ",
        "größe",
        unicodedata.normalize("NFD", "größe"),
        "Größe",
        "façade",
    ],
)
def test_somebody_is_found_by_a_known_name_and_every_spelling(
    context: AppContext, alice: User, listed: Callable[..., list[str]], words: str
) -> None:
    agree(context, "jörg@bücher.example", name="Zacharias Quandt-Müller")
    agree(context, "info@пример.рф")
    to = (To("jörg@xn--bcher-kva.example"), To("info@пример.рф"))
    subject = "Größe und " + unicodedata.normalize("NFD", "façade")
    write(context, alice, Written(subject, to), Written("nothing of it", (ANNA,), snippet=""))
    assert listed(q=words) == [subject]


def test_account_recipient_and_words(context: AppContext, alice: User, listed: Callable[..., list[str]]) -> None:
    account = make_account(context, alice, "sales@shop.example")
    write(context, alice, Written("Oak chairs", (To("Luc@Studio.example", "Luc Moreau"),)), account=account)
    write(context, alice, Written("Приглашение 100% бесплатно", (ANNA,), snippet="Добрый день"))
    assert listed(account="sales@shop.example") == ["Oak chairs"] == listed(account=account.public_id)
    assert listed(recipient="luc@studio.EXAMPLE") == ["Oak chairs"]
    assert listed(recipient="not an address @") == []
    assert listed(q="CHAIRS oak") == ["Oak chairs"]
    assert listed(q="moreau") == ["Oak chairs"]
    assert listed(q="studio.exam") == ["Oak chairs"]
    assert listed(q="приглашение ДОБРЫЙ") == ["Приглашение 100% бесплатно"]
    assert listed(q="100%") == ["Приглашение 100% бесплатно"]
    assert listed(q="%") == []
    assert listed(q="_") == []
    assert listed(q="oak nothing") == []


def test_a_day_is_a_day_where_the_reader_is(
    context: AppContext, make_user: Callable[..., User], listed: Callable[..., list[str]]
) -> None:
    late = make_user("late@example.com", timezone="Asia/Vladivostok")  # ten hours before UTC
    at = datetime(2026, 3, 30, 23, 30, tzinfo=UTC)  # the 31st there
    with context.database.session_scope() as session:
        session.add(Message(user_id=late.id or 0, message_id="<1@x>", subject="at night", state="sent", listed_at=at))
    assert listed(user=late, since="2026-03-31", until="2026-03-31") == ["at night"]
    assert listed(user=late, until="2026-03-30") == []
    assert listed(user=late, since="2026-03-30T23:30:00Z", until="2026-03-30T23:30:00Z") == ["at night"]


def test_pages_hold_every_message_once_also_when_many_share_a_moment(context: AppContext, alice: User) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    with context.database.session_scope() as session:
        for number in range(23):
            moment = at + timedelta(seconds=number // 5)
            session.add(
                Message(
                    user_id=alice.id or 0,
                    message_id=f"<{number}@x>",
                    subject=str(number),
                    state="sent",
                    listed_at=moment,
                )
            )
    seen: list[str] = []
    after = None
    while True:
        with context.database.reading() as session:
            rows, after = read_page(session, Filter().apply(session, select(Message), alice), ORDER, after, limit=4)
        seen += [row.subject for row in rows]
        if after is None:
            break
    assert sorted(seen, key=int) == [str(number) for number in range(23)]
    assert len(seen) == len(set(seen))


def test_pages_read_what_they_show_by_indexes_of_their_own(context: AppContext, alice: User) -> None:
    """However deep a page is, and however much is counted for the figures above it."""
    plans: list[str] = []

    def explain(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        with sqlite3.connect(context.settings.data_dir / "inkling.sqlite3") as raw:
            plans.append(" ".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)))

    event.listen(context.database.engine, "before_cursor_execute", explain)
    with context.database.reading() as session:
        deep = Cursor(datetime(2026, 1, 1, tzinfo=UTC), 5)
        session.scalars(in_order(Filter().apply(session, select(Message), alice), ORDER, deep)).all()
        read_figures(session, alice, Filter())
        manages_others(session, alice)
    event.remove(context.database.engine, "before_cursor_execute", explain)
    deep_page, figures, others = plans
    assert "USING INDEX ix_message_user_list" in deep_page
    assert not [plan for plan in plans if "TEMP B-TREE" in plan or "SCAN" in plan]
    assert "USING COVERING INDEX ix_message_user_list" in figures
    assert "ix_event_prefetch" in figures
    assert "ix_enquiry_status_others" in others


def test_days_are_kept_apart_from_moments() -> None:
    chosen = Filter.from_query({"since": "2026-03-31"})
    assert type(chosen.since) is date


def test_states_that_exclude_each_other_widen_and_all_others_narrow(
    context: AppContext, alice: User, listed: Callable[..., list[str]]
) -> None:
    write(context, alice, *ONE_OF_EACH)
    either = {*listed(state="opened"), *listed(state="not_opened")}
    assert set(listed(state="opened,not_opened")) == either != set()
    assert set(listed(state="opened,not_opened,clicked")) == either & set(listed(state="clicked"))
    assert set(listed(state="replied,no_reply,opened")) == set(listed(state="opened")) & {
        *listed(state="replied"),
        *listed(state="no_reply"),
    }
    sentence = Filter.from_query({"state": "opened,not_opened,clicked"}).sentence()
    assert sentence == "Mail: opened or not opened (measurable) and with a click."


@pytest.mark.parametrize(
    ("query", "english", "russian"),
    [
        ({"until": "2026-03-31"}, "Mail: until 31 March 2026.", "Письма: по 31 марта 2026\u202fг."),
        (
            {"activity": "opened", "since": "2026-03-30", "until": "2026-03-31"},
            "Mail: opened since 30 March 2026 until 31 March 2026.",
            "Письма: открытые с 30 марта 2026\u202fг. по 31 марта 2026\u202fг.",
        ),
        ({"activity": "answered"}, "Mail: answered.", "Письма: с ответом."),
        ({"activity": "clicked", "q": "a."}, "Mail: with the words “a.” and with a click.", None),
    ],
)
def test_a_sentence_has_one_full_stop_whatever_ends_it(
    query: dict[str, str], english: str, russian: str | None
) -> None:
    chosen = Filter.from_query(query)
    assert chosen.sentence() == english
    with use_locale("ru"):
        assert chosen.sentence() == (russian or chosen.sentence())
    with use_locale("ru"):
        assert not LetterFilter.from_query({"until": "2026-03-31"}).sentence().endswith("..")
