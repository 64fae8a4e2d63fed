"""A month behind the demo: forty messages to people of every kind, what became of them, templates, drafts and what is to be done.

The same month every time but for the clock. What is counted is counted from the events, as everywhere.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from sqlmodel import Session, select

from tracker.consent.rules import ConsentState
from tracker.models import (
    Account,
    Delivery,
    DeliveryStatus,
    Event,
    Message,
    MessageBody,
    MessageState,
    Recipient,
    Template,
    TrackedLink,
    User,
)
from tracker.models.counting.counters import recount
from tracker.models.rows import public_id
from tracker.recipients import find_or_make
from tracker.runtime.database import now

MONTH = 40
"""Messages."""


@dataclass(frozen=True)
class DemoPerson:
    """Somebody of the month. ``manner`` is how they read mail: see :data:`_MANNERS`."""

    name: str
    email: str
    state: ConsentState | None
    manner: str
    client: str = ""


PEOPLE = (
    DemoPerson("Clara Winter", "clara@winter.example", ConsentState.GRANTED, "keen", "Gmail"),
    DemoPerson("Jonas Weber", "jonas@weber.example", ConsentState.GRANTED, "answers", "Outlook"),
    DemoPerson("Ольга Кузнецова", "olga@kuznetsova.example", ConsentState.GRANTED, "keen", "Яндекс"),
    DemoPerson("Sofia Almeida", "sofia@almeida.example", ConsentState.GRANTED, "reads", "Apple Mail"),
    DemoPerson("Пётр Соколов", "petr@sokolov.example", ConsentState.GRANTED, "answers", "Mail.ru"),
    DemoPerson("Henrik Dahl", "henrik@dahl.example", ConsentState.GRANTED, "reads", "Thunderbird"),
    DemoPerson("Amélie Roux", "amelie@roux.example", ConsentState.GRANTED, "clicks", "Chrome"),
    DemoPerson("Paolo Conti", "paolo@conti.example", ConsentState.GRANTED, "protected", "Outlook"),
    DemoPerson("Ines Costa", "ines@costa.example", ConsentState.GRANTED, "apple", "Apple Mail"),
    DemoPerson("Karel Novák", "karel@novak.example", ConsentState.GRANTED, "silent"),
    DemoPerson("Emma Lindqvist", "emma@lindqvist.example", ConsentState.REFUSED, "answers"),
    DemoPerson("Наталья Орлова", "natalia@orlova.example", None, "silent"),
    DemoPerson("Mark Hughes", "mark@hughes.example", None, "answers"),
    DemoPerson("Yuki Tanaka", "yuki@tanaka.example", ConsentState.REFUSED, "silent"),
)

_MANNERS: dict[str, tuple[tuple[str, str, str, float], ...]] = {
    "keen": (("open", "human", "", 0.7), ("open", "human", "", 5), ("click", "human", "", 5.2), ("open", "human", "", 27)),
    "answers": (("open", "human", "", 1.5), ("reply", "human", "", 3.1)),
    "reads": (("open", "mail_proxy", "google", 2.4),),
    "clicks": (("open", "human", "", 4), ("click", "human", "", 4.1), ("click", "human", "", 22)),
    "protected": (
        ("open", "security_scanner", "microsoft", 0.01), ("click", "security_scanner", "microsoft", 0.011),
        ("click", "security_scanner", "microsoft", 0.012), ("open", "human", "", 7),
    ),
    "apple": (("open", "privacy_prefetch", "apple", 0.2),),
    "silent": (),
}  # fmt: skip
"""What somebody does with mail: kind, class, vendor and the hours after it was sent."""

TEMPLATES = (
    ("Offer", "Offer", "<p>Dear {{first_name}},</p><p>here is <a href=\"https://shop.example/offers\">our offer</a>. "
     "It holds until the end of the month.</p><p>Kind regards<br>Marina</p>"),
    ("After the visit", "Thank you for your visit", "<p>Dear {{first_name}},</p><p>thank you for coming to see us. The "
     "<a href=\"https://shop.example/catalogue\">catalogue</a> has everything we spoke about.</p><p>Kind regards<br>Marina</p>"),
    ("Напоминание", "Как вам наше предложение?", "<p>{{first_name}}, добрый день!</p><p>Удалось ли посмотреть "
     "<a href=\"https://shop.example/offers\">предложение</a>?</p><p>С уважением,<br>Марина</p>"),
)  # fmt: skip
_SUBJECTS: tuple[tuple[str, str, str, str, int | None], ...] = (
    ("Offer {n}: oak desks for the reading room", "Предложение {n}: дубовые столы для читального зала",
     "six oak desks for the reading room, as we agreed.", "шесть дубовых столов для читального зала, как договаривались.", 0),
    ("Offer {n}: twelve conference chairs", "Предложение {n}: двенадцать кресел для переговорной",
     "twelve chairs for the conference room, in grey and in green.", "двенадцать кресел для переговорной, серых и зелёных.", 0),
    ("Thank you for your visit", "Спасибо, что заглянули",
     "thank you for coming. All we spoke about is in the catalogue.", "спасибо за визит. В каталоге всё, о чём говорили.", 1),
    ("Offer {n}: shelves made to measure", "Предложение {n}: стеллажи по вашим размерам",
     "the shelves fit the wall that you measured.", "стеллажи встанут ровно на ту стену, что вы измерили.", 0),
    ("How do you like our offer?", "Как вам наше предложение?",
     "did you find time to look at it? I can call you tomorrow.", "удалось ли посмотреть? Могу позвонить завтра.", 2),
    ("Samples of the fabric", "Образцы ткани",
     "three samples are on their way to you by post.", "три образца отправили вам почтой.", None),
    ("The plan of the second floor", "План второго этажа",
     "the architect has moved the wall, so two more desks fit.", "архитектор сдвинул стену, и поместятся ещё два стола.", None),
    ("Contract and delivery dates", "Договор и сроки поставки",
     "the contract is ready to sign. We deliver within four weeks.", "договор готов. Поставка в течение четырёх недель.", None),
    ("Delivery on Thursday", "Доставка в четверг",
     "the lorry comes on Thursday between nine and noon.", "машина будет в четверг с девяти до двенадцати.", None),
)  # fmt: skip
"""What Marina writes, to whom English and to whom Russian is spoken: subjects, openings, and the template she began with."""
_URLS = ("https://shop.example/offers", "https://shop.example/terms")
_LINKS = {False: ("the offer", "our terms"), True: ("предложение", "условия")}
_TEXT = {
    False: "<p>Dear {name},</p><p>{opening}</p><p>Here is <a href=\"{urls[0]}\">{links[0]}</a>, with <a href=\"{urls[1]}\">"
    "{links[1]}</a>.</p><p>Kind regards<br>Marina</p>",
    True: "<p>{name}, добрый день!</p><p>{opening}</p><p>Вот <a href=\"{urls[0]}\">{links[0]}</a> и наши <a href=\"{urls[1]}\">"
    "{links[1]}</a>.</p><p>С уважением,<br>Марина</p>",
}  # fmt: skip


def add_month(session: Session, marina: User, people: Sequence[tuple[Recipient, DemoPerson]]) -> None:
    """Messages of the last thirty days, what is due of them, drafts, and the templates they began with."""
    chance = Random(7)  # noqa: S311  (the same month every time)
    account = session.exec(select(Account).where(Account.user_id == marina.id)).one()
    templates = [_template(session, marina, *facts) for facts in TEMPLATES]
    messages = []
    for number in range(MONTH - 1, -1, -1):
        *texts, template = _SUBJECTS[number % len(_SUBJECTS)]
        at = working_hour(chance, number * 30 / MONTH + 0.6)
        to = [people[(number * 5 + step) % len(people)] for step in range(2 if number % 9 == 4 else 1)]
        is_russian = "А" <= to[0][1].name[0] <= "я"
        subject, opening = (str(text).replace("{n}", str(140 - number)) for text in texts[is_russian::2])
        message = _message(session, marina, account, subject, opening, at, to)
        message.template_id = templates[template].id if template is not None else None
        messages.append(message)
    _leave_work(session, marina, messages)
    session.flush()
    recount(session, [message.id for message in messages])


def people_of_the_month(session: Session) -> list[tuple[Recipient, DemoPerson]]:
    return [(find_or_make(session, person.email, person.name), person) for person in PEOPLE]


def _template(session: Session, marina: User, name: str, subject: str, html: str) -> Template:
    template = Template(user_id=marina.id, name=name, subject=subject, html=html, shared=name == "Offer")
    session.add(template)
    session.flush()
    return template


def working_hour(chance: Random, days_ago: float) -> datetime:
    at = now() - timedelta(days=days_ago)
    while at.weekday() > 4:
        at -= timedelta(days=1)
    return min(at.replace(hour=chance.randint(7, 15), minute=chance.randint(0, 59)), now() - timedelta(hours=9))


def _message(
    session: Session,
    marina: User,
    account: Account,
    subject: str,
    opening: str,
    at: datetime,
    to: Sequence[tuple[Recipient, DemoPerson]],
) -> Message:
    first = to[0][1].name.split()[0]
    links = _LINKS["А" <= first[0] <= "я"]
    html = _TEXT["А" <= first[0] <= "я"].format(name=first, opening=opening, urls=_URLS, links=links)
    message_id = f"<{public_id()}@inkling.example>"
    message = Message(
        user_id=marina.id, account_id=account.id, message_id=message_id, thread=message_id,
        from_address=account.address, from_name=account.name, subject=subject,
        snippet=opening,
        state=MessageState.SENT, track_opens=True, track_links=True, created_at=at, send_at=at, sent_at=at, listed_at=at,
        names=", ".join(person.name for _, person in to),
        opens_tracked=sum(person.state == ConsentState.GRANTED for _, person in to),
        clicks_tracked=sum(person.state == ConsentState.GRANTED for _, person in to),
    )  # fmt: skip
    session.add(message)
    session.flush()
    session.add(MessageBody(message_id=message.id, html=html))
    for place, (url, text) in enumerate(zip(_URLS, links, strict=True)):
        session.add(TrackedLink(message_id=message.id, position=place, url=url, text=text, tracked=True))
    for place, (recipient, person) in enumerate(to):
        _copy(session, message, place, recipient, person)
    return message


def _copy(session: Session, message: Message, place: int, recipient: Recipient, person: DemoPerson) -> None:
    is_tracked, at = person.state == ConsentState.GRANTED, message.sent_at or now()
    rule = "granted" if is_tracked else str(person.state or "unknown")
    copy = Delivery(
        message_id=message.id, recipient_id=recipient.id, account_id=message.account_id, position=place, role="to",
        address=person.email, name=person.name, opens_on=is_tracked, opens_rule=rule, clicks_on=is_tracked, clicks_rule=rule,
        status=DeliveryStatus.ACCEPTED, tries=1, accepted_at=at,
    )  # fmt: skip
    session.add(copy)
    session.flush()
    for number, (kind, klass, vendor, hours) in enumerate(_MANNERS[person.manner]):
        moment = at + timedelta(hours=hours)
        if moment < now() and (is_tracked or kind == "reply"):
            session.add(
                Event(
                    message_id=message.id, delivery_id=copy.id, kind=kind, at=moment, klass=klass, confidence=0.9,
                    vendor=vendor or None, client=person.client if klass == "human" and kind != "reply" else "",
                    link=number % 2 if kind == "click" else None, reasons=[], alerted=True,
                    counted=klass in ("human", "mail_proxy"),
                )
            )  # fmt: skip


def _leave_work(session: Session, marina: User, messages: Sequence[Message]) -> None:
    """Two to follow up, one that failed, and two drafts."""
    names = {person.name for person in PEOPLE if person.manner == "silent"}
    silent = [message for message in messages if message.names in names][-2:]
    for days, message in enumerate(silent):
        message.follow_up_due_at = now() - timedelta(hours=3 + 20 * days)
    failed = messages[-4]
    failed.state, failed.subject = MessageState.FAILED, "Prices for the coming year"
    for copy in session.exec(select(Delivery).where(Delivery.message_id == failed.id)):
        copy.status, copy.reply, copy.accepted_at = DeliveryStatus.REJECTED, "550 5.1.1 No such user here", None
        copy.rejected_at = failed.sent_at
        for event in session.exec(select(Event).where(Event.delivery_id == copy.id)):
            session.delete(event)
    failed.sent_at = None
    for subject, to, text in (
        ("Offer 152: a kitchen for the team", "Clara Winter <clara@winter.example>", "you asked for a kitchen."),
        ("Ideas for spring", "", "whom to write to: everybody who asked for outdoor furniture last year."),
    ):
        draft = Message(
            user_id=marina.id, account_id=messages[0].account_id, message_id=f"<{public_id()}@inkling.example>",
            subject=subject, names=to.partition(" <")[0], snippet=text,
        )  # fmt: skip
        session.add(draft)
        session.flush()
        recipients = json.dumps({"to": to, "cc": "", "bcc": ""})
        html = f"<p>{text}</p>"
        session.add(MessageBody(message_id=draft.id, html=html, recipients=recipients))
