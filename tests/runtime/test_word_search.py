"""The index of words, on both engines: what is found by which words, that it follows every write, and that nobody stays in it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, text, update
from sqlmodel import Session, col, select

from tests.fixtures.contexts import ENGINES, People, database_of, opened_context
from tests.test_plans import noted, whole_tables
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import To, Written, make_account, write
from tracker.models import (
    Customer,
    CustomerAddress,
    Delivery,
    Letter,
    LetterBody,
    Message,
    Order,
    Recipient,
    SearchChange,
    SearchEntry,
    SearchKind,
    User,
    search_query,
)
from tracker.models.counting.bulk import append_rows, update_rows
from tracker.models.counting.tables import CUSTOMER, MESSAGE
from tracker.models.rows import public_id
from tracker.models.search_index import index_older
from tracker.models.search_query import finds, newest
from tracker.privacy.erase import erase
from tracker.recipients import find_or_make, matching
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.word_search import question_of, variants, words_of
from tracker.web.inbox.filter import LetterFilter
from tracker.web.messages.filter import Filter

PEOPLE = {
    "ivan@example.com": "Иван Пётр Алёшин",
    "per_cent@example.com": "100% Élan",
    "percent@example.com": "Percy",
    "kauf@xn--mller-kva.example": "北京 Groß",
    "olga@example.com": "Ольга Щербакова",
    "dmitri@example.com": "Dmitri Chekhov",
}


@pytest.mark.parametrize(
    ("typed", "addresses"),
    [
        ("иван", {"ivan@example.com"}),
        ("ИВАН", {"ivan@example.com"}),
        ("ива", {"ivan@example.com"}),
        ("Ивану", {"ivan@example.com"}),
        ("алешин", {"ivan@example.com"}),
        ("АЛЁШИНА", {"ivan@example.com"}),
        ("Иван петр", {"ivan@example.com"}),
        ("IVAN@", {"ivan@example.com"}),
        ("ivan@example.com", {"ivan@example.com"}),
        ("élan", {"per_cent@example.com"}),
        ("elan", {"per_cent@example.com"}),
        ("perc", {"percent@example.com"}),
        ("per_ce", {"per_cent@example.com"}),
        ("100%", {"per_cent@example.com"}),
        ("10", {"per_cent@example.com"}),
        ("иван\0петр", {"ivan@example.com"}),
        ("иван percy", set()),
        ("иван п", {"ivan@example.com"}),
        ("иван p", {"ivan@example.com"}),
        ("п", set()),
        ("müller", {"kauf@xn--mller-kva.example"}),
        ("mueller", {"kauf@xn--mller-kva.example"}),
        ("mmueler", set()),
        ("gross", {"kauf@xn--mller-kva.example"}),
        # the other alphabet
        ("ivan alyoshin", {"ivan@example.com"}),
        ("olga shcherbakova", {"olga@example.com"}),
        ("Щербаков", {"olga@example.com"}),
        ("chekhov", {"dmitri@example.com"}),
        ("дмитрий чехов", {"dmitri@example.com"}),
        ("Чехову dmit", {"dmitri@example.com"}),
        ("дмитрий chehkov", {"dmitri@example.com"}),
        ("京", {"kauf@xn--mller-kva.example"}),
        ("北京", {"kauf@xn--mller-kva.example"}),
        ("' OR 1=1 --", set()),
        ('"NEAR(a b)"* :*', set()),
        ("_2", set()),
        ("_0u1", set()),
        ("%", set()),
        ("", set(PEOPLE)),
        # one slip is forgiven where the words as typed are nowhere
        ("ivna", {"ivan@example.com"}),
        ("Алёшни", {"ivan@example.com"}),
        ("алшин", {"ivan@example.com"}),
        ("percyy", {"percent@example.com"}),
        ("ivna алшин", {"ivan@example.com"}),
        ("ivna алшин exmple", set()),
        ("xercy", set()),
        ("prexy", set()),
    ],
)
def test_every_word_must_begin_a_word_of_a_name_or_an_address(
    index_of_people: AppContext, typed: str, addresses: set[str]
) -> None:
    with index_of_people.database.reading() as session:
        assert {row.address for row in session.exec(matching(session, typed))} == addresses


@pytest.fixture(scope="module", params=ENGINES)
def index_of_people(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppContext]:
    with database_of(request) as url, opened_context(tmp_path_factory.mktemp("people"), url) as made:
        with made.database.session_scope() as session:
            for address, name in PEOPLE.items():
                find_or_make(session, address, name)
        yield made


@pytest.mark.parametrize(
    ("typed", "term"),
    [
        ("договора", "договор"),
        ("договорами", "договор"),
        ("стульев", "стуль"),
        ("цены", "цены"),
        ("заказы", "заказ"),
        ("companies", "compan"),
        ("company", "compan"),
        ("chairs", "chair"),
        ("quoted", "quot"),
        ("desks", "desk"),
        ("bus", "bus"),
        ("А-17", "а"),
        ("3112", "3112"),
    ],
)
def test_an_ending_is_left_off(typed: str, term: str) -> None:
    assert question_of(typed)[0][0].text == term


def test_a_slip_is_one_letter_and_never_the_first() -> None:
    taken = set(variants("gmial"))
    assert {"gmail", "gmal", "gmiall", "mgial"} <= taken
    assert not {"xmial", "gamil2", "amail", "gmial"} & taken
    assert not variants("bus")
    assert not variants("3112")
    assert variants("ΩΩΩΩ") == {"ΩΩΩ"}


def test_words_of_anything_are_words() -> None:
    odd = ("a\0b", "x'y\"z", "\ud7ff", "ﬁne", "İstanbul", "ẞ", "e\u0301", "й", "ü" * 300, "👍", "a_b", "١٢")
    for word in words_of(*odd):
        assert word.isalnum(), word
        assert len(word) <= 60
    assert words_of("й") == ["й"]
    assert words_of("e\u0301") == ["e"]


# --- it follows every write


Change = Callable[[Session, "World"], object]


class World:
    """One row of each kind, and whether the words of it are found."""

    def __init__(self, context: AppContext, alice: User) -> None:
        self.context, self.alice = context, alice
        account, mailbox = make_account(context, alice), make_mailbox(context, alice)
        (self.message,) = write(
            context,
            alice,
            Written(
                "Offer blue",
                (To("anna@x.example", "Anna Berg"),),
                columns={"names": "Somebody"},
                html="<p>oak desks</p>",
            ),
            account=account,
        )
        (self.letter,) = receive(
            context, mailbox, Came("Question green", "nina@z.example", "Nina", text="How tall is it?")
        )
        with context.database.session_scope() as session:
            self.customer = Customer(name="Violet GmbH", external_id="ext77")
            self.order = Order(number="А-1700")
            session.add_all([self.customer, self.order])
            session.flush()
            session.add(CustomerAddress(customer_id=self.customer.id or 0, address="v@y.example", lookup="v@y.example"))

    def kinds_of(self, typed: str) -> set[str]:
        kinds = {kind: self.alice.id if kind < 2 else None for kind in SearchKind}
        with self.context.database.reading() as session:
            return {kind.name.lower() for kind in newest(session, kinds, typed, 5)}


@pytest.fixture
def world(context: AppContext, people: People) -> World:
    return World(context, people.user())


@pytest.mark.parametrize(
    ("typed", "kinds"),
    [
        ("offer", {"message"}),
        ("blue anna", {"message"}),
        ("oak desk", {"message"}),
        ("anna@x.example", {"message", "recipient"}),
        ("nina", {"letter"}),
        ("tall green", {"letter"}),
        ("violet", {"customer"}),
        ("v@y.example", {"customer"}),
        ("ext77", {"customer"}),
        ("А-1700", {"order"}),
        ("а-17", {"order"}),
        ("nowhere", set()),
    ],
)
def test_each_kind_is_found_by_its_words(world: World, typed: str, kinds: set[str]) -> None:
    assert world.kinds_of(typed) == kinds


def _name_by_orm(session: Session, world: World) -> None:
    session.get_one(Message, world.message.id).subject = "Offer red"


def _text_of_letter(session: Session, _world: World) -> None:
    session.exec(update(LetterBody).values(text="red"))
    session.exec(update(Letter).values(snippet=""))


def _name_of_copy(session: Session, _world: World) -> None:
    session.exec(update(Delivery).values(name="", address="red@x.example"))
    session.exec(update(Recipient).values(name="Rea"))


CHANGES: dict[str, tuple[Change, str, str]] = {
    "an attribute": (_name_by_orm, "blue", "red"),
    "an update": (lambda s, w: s.exec(update(Message).values(subject="Offer red")), "blue", "red"),
    "many rows past the ORM": (
        lambda s, w: update_rows(s, MESSAGE, [{"id": w.message.id, "subject": "Offer red"}]), "blue", "red",
    ),
    "a copy": (_name_of_copy, "offer anna", "red"),
    "a body": (_text_of_letter, "tall", "red"),
    "a letter that goes": (lambda s, w: s.exec(update(Letter).values(deleted_at=now())), "green", ""),
    "a message that goes": (lambda s, w: s.delete(s.get_one(Message, w.message.id)), "offer", ""),
    "a person's mail that goes": (lambda s, w: s.exec(delete(Message)), "oak", ""),
    "an address": (lambda s, w: s.exec(update(CustomerAddress).values(address="red@y.example")), "violet red", "red"),
    "a number": (lambda s, w: s.exec(update(Order).values(number="red")), "а-1700", "red"),
    "plain SQL": (lambda s, w: (s.execute(text("DELETE FROM customer")), s.exec(delete(Customer))), "violet", ""),
}  # fmt: skip


@pytest.mark.parametrize(("change", "before", "after"), CHANGES.values(), ids=CHANGES)
def test_the_index_is_changed_with_what_it_tells_of(world: World, change: Change, before: str, after: str) -> None:
    with world.context.database.session_scope() as session:
        change(session, world)
    assert not after or world.kinds_of(after)
    assert before.endswith("red") or not world.kinds_of(before)
    with world.context.database.reading() as session:
        assert session.exec(select(SearchChange)).all() == []


def test_what_is_rolled_back_is_not_found(world: World) -> None:
    def fail() -> None:
        with world.context.database.session_scope() as session:
            _name_by_orm(session, world)
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert world.kinds_of("blue")
    assert not world.kinds_of("red")


def test_states_and_counters_cost_the_index_nothing(world: World) -> None:
    """Only a change of words is looked for before a commit."""
    asked: list[str] = []
    event.listen(world.context.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    with world.context.database.session_scope() as session:
        message = session.get_one(Message, world.message.id)
        message.opens, message.state = 3, "failed"
        session.exec(update(Delivery).values(status="rejected", tries=2))
    assert not [statement for statement in asked if "search_" in statement]


def test_rows_of_before_the_index_are_indexed_by_the_worker(world: World) -> None:
    database = world.context.database
    with database.session_scope() as session:
        session.exec(delete(SearchEntry))
        for kind, row in ((0, world.message), (1, world.letter), (3, world.customer)):
            session.add(SearchChange(kind=kind, row_id=row.id or 0, fresh=False))
    assert not world.kinds_of("offer")
    assert index_older(database) == 3
    assert index_older(database) == 0
    assert world.kinds_of("offer")
    assert world.kinds_of("nina")
    assert world.kinds_of("violet")


def test_whoever_is_erased_is_nowhere_in_the_index(world: World) -> None:
    with world.context.database.session_scope() as session:
        session.exec(update(Message).values(subject="For Anna Berg"))
    erase(world.context, "anna@x.example", f"user:{world.alice.id}")
    assert not world.kinds_of("anna")
    assert not world.kinds_of("berg")
    assert not world.kinds_of("anna@x.example")
    with world.context.database.session_scope() as session:
        words = {word for entry in session.exec(select(SearchEntry.words)) for word in entry.split()}
        assert not words & {"anna", "berg"}
        if world.context.database.is_sqlite:
            session.execute(text("CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'search_index', 'row')"))
            terms = set(session.execute(text("SELECT term FROM temp.terms")).scalars())
            assert "nina" in terms
            assert not terms & {"anna", "berg"}


# --- lists


def answers(context: AppContext, user: User, typed: str) -> tuple[list[str], list[str]]:
    """The subjects of the messages and of the letters that the lists show for these words."""
    with context.database.reading() as session:
        messages = Filter(q=typed).apply(session, select(Message), user).order_by(col(Message.listed_at).desc())
        letters = LetterFilter(q=typed, show="letters").apply(session, select(Letter), user)
        return [m.subject for m in session.scalars(messages)], [item.subject for item in session.scalars(letters)]


@pytest.mark.parametrize("many", [20_000, 1], ids=["gathered", "asked one by one"])
def test_lists_are_the_same_however_many_rows_hold_the_words(
    context: AppContext,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
    many: int,
) -> None:
    monkeypatch.setattr(search_query, "MANY", many)
    alice, bob = people.user(), people.user("Bob")
    to = To("anna@x.example", "Anna Berg")
    for n in range(3):
        write(context, alice, Written(f"offer {n}", (to,), ago=timedelta(hours=n)))
    write(context, bob, Written("offer of Bob", (to,)))
    receive(context, make_mailbox(context, alice), Came("offers?"), Came("else"))
    assert answers(context, alice, "offer") == (["offer 0", "offer 1", "offer 2"], ["offers?"])
    assert answers(context, alice, "nowhere") == ([], [])
    assert answers(context, bob, "anna") == (["offer of Bob"], [])


def test_what_the_newest_rows_hold_and_what_only_older_ones_do_is_the_same(
    context: AppContext, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight messages three are looked at before the index is asked; “chairs” is in all of them, the rest stands once."""
    monkeypatch.setattr(search_query, "NEWEST", 3)
    monkeypatch.setattr(search_query, "OFTEN", 2)
    alice = people.user()
    names = ("birch", "maple", "walnut", "cherry", "larch", "spruce", "poplar", "willow")
    write(context, alice, *(Written(f"chairs {name}", (To(f"{name}@x.example"),), ago=timedelta(hours=n))
                            for n, name in enumerate(names)))  # fmt: skip
    for typed, names_found in {
        "chairs": names,
        "chiars": names,
        "chairs willow": ("willow",),
        "chairs wilow": ("willow",),
        "chiars willow": ("willow",),
        "chairs birch": ("birch",),
        "birhc chairs": ("birch",),
        "birch willow": (),
        "chairs nowhere": (),
        "wilow": ("willow",),
    }.items():
        assert answers(context, alice, typed)[0] == [f"chairs {name}" for name in names_found], typed
        with context.database.reading() as session:
            ids = newest(session, {SearchKind.MESSAGE: alice.id, SearchKind.RECIPIENT: None}, typed, 9)
        assert len(ids.get(SearchKind.MESSAGE, ())) == len(names_found), typed


def test_no_search_reads_a_table_from_end_to_end(context: AppContext, people: People) -> None:
    alice = people.user()
    write(context, alice, *(Written(f"offer {n}", (To(f"a{n}@x.example", f"A {n}"),)) for n in range(30)))
    with noted(context) as statements, context.database.reading() as session:
        for typed in ("offer", "nowhere", "ofer"):
            answers_of = finds(session, SearchKind.MESSAGE, Message.id, typed, alice.id, Message.user_id)
            session.exec(select(Message).where(*answers_of).order_by(col(Message.listed_at).desc()).limit(5)).all()
            newest(session, {SearchKind.MESSAGE: alice.id, SearchKind.RECIPIENT: None}, typed, 5)
    whole = [line for said, values in statements.first.items() for line in whole_tables(context, said, values)]
    assert not whole, "\n".join(whole)


def test_a_thousand_customers_at_once_are_all_found(context: AppContext, people: People) -> None:
    with context.database.session_scope() as session:
        rows: Sequence[dict[str, object]] = [
            {
                "id": n, "public_id": public_id(), "name": f"Name{n} Family", "tags": [], "source": "import", "version": 1,
                "created_at": now(), "changed_at": now(),
            }
            for n in range(1, 1201)
        ]  # fmt: skip
        append_rows(session, CUSTOMER, rows)
    with context.database.reading() as session:
        matches = session.exec(select(Customer).where(*finds(session, SearchKind.CUSTOMER, Customer.id, "famil"))).all()
    assert len(matches) == 1200
