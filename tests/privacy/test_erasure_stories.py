"""Stories of erasure: no spelling and no stored form of a person survives in mail to others, and nobody else is touched."""

import base64
import html as entities
import json
import quopri
import unicodedata
from email.header import Header
from io import BytesIO
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from sqlalchemy import select as columns
from sqlmodel import SQLModel, select, update

from tests.fixtures.contexts import People, opened_context
from tests.outbound.submitted_mail import enqueue_submitted
from tests.servers import SmtpSink
from tracker.mail.addresses import Address
from tracker.models import Attachment, Delivery, Message, MessageBody, Template, User, WebhookEvent
from tracker.outbound.draft import Draft, OutgoingFile
from tracker.outbound.queue import send_due
from tracker.outbound.send import enqueue_composed as accept
from tracker.privacy.erase import erase
from tracker.privacy.redact import Redactor
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext

BRIEN, JOERG, LUC = "o'brien@client.example", "jörg@bücher.example", "luc@other.example"
NAME = "Orla O'Brien-Quill"


def numeric(text: str, form: str = "&#{};") -> str:
    return "".join(form.format(ord(letter)) for letter in text)


IN_HTML = {
    "as it is": BRIEN,
    "capitals": BRIEN.upper(),
    "apostrophe by number": BRIEN.replace("'", "&#39;"),
    "apostrophe in hexadecimal": BRIEN.replace("'", "&#x27;"),
    "apostrophe with noughts": BRIEN.replace("'", "&#0039;"),
    "apostrophe by name": BRIEN.replace("'", "&apos;"),
    "at by number": BRIEN.replace("@", "&#64;"),
    "at by name": BRIEN.replace("@", "&commat;"),
    "dot by name": BRIEN.replace(".", "&period;"),
    "every letter by number": numeric(BRIEN),
    "every letter in hexadecimal": "".join(f"&#x{ord(letter):X};" for letter in BRIEN),
    "mailto": f'<a href="mailto:{quote(BRIEN, safe="")}">x</a>',
    "every letter by percent": "".join(f"%{ord(letter):02X}" for letter in BRIEN),
    "percent of percent": quote(quote(BRIEN, safe=""), safe=""),
    "query of a link": f'<a href="https://x.example/?e={quote(BRIEN)}&amp;n=1">x</a>',
    "tags inside": "<b>o</b>'brien<i>@client</i>.example",
    "place to break": "o'brien@<wbr>client.<wbr>example",
    "soft hyphens": "o'brien@cli\u00adent.exam\u00adple",
    "nobody sees it": "o'brien\u200b@client.example",
    "entities nobody sees": "o'brien&shy;@client.&zwnj;example",
    "wide letters": "o'brien＠client.example",
    "spelt out": "o'brien [at] client.example",
    "json in an attribute": '<div data-x="{&quot;to&quot;:&quot;o\\u0027brien@client.example&quot;}">x</div>',
}
OF_JOERG = {
    "own letters": JOERG,
    "A-label": "jörg@xn--bcher-kva.example",
    "capitals": "JÖRG@BÜCHER.EXAMPLE",
    "decomposed": unicodedata.normalize("NFD", JOERG),
    "entities": "j&ouml;rg@b&uuml;cher.example",
    "numbers": "j&#246;rg@b&#252;cher.example",
    "percents": quote(JOERG),
    "mixed": "j&#xF6;rg@xn--bcher-kva.example",
}


@pytest.mark.parametrize("spelt", IN_HTML.values(), ids=IN_HTML)
def test_every_spelling_is_cut_out_and_the_words_around_it_stay(spelt: str) -> None:
    text = f"<p>before {spelt} after, luc@other.example</p>"
    redacted = Redactor(frozenset({BRIEN})).text(text)
    assert not Redactor(frozenset({BRIEN})).mentions(redacted)
    assert "[erased]" in redacted
    assert redacted.startswith("<p>before ")
    assert redacted.endswith(" after, luc@other.example</p>")


@pytest.mark.parametrize("spelt", OF_JOERG.values(), ids=OF_JOERG)
def test_a_domain_in_its_own_letters_and_the_other_way_round(spelt: str) -> None:
    for known in (JOERG, "jörg@xn--bcher-kva.example"):
        assert Redactor(frozenset({known})).text(f"to {spelt}.") == "to [erased]."


OTHERS = ["x.o'brien@client.example", "o'brien@client.example.org", "o'brien@client.examples", "brien@client.example"]
OTHERS += [
    "o'brien+news@client.example",
    "jo'brien@client.example",
    "o'brien@eclient.example",
    "o'brien@xclient.example",
]


@pytest.mark.parametrize("other", OTHERS)
def test_an_address_like_it_is_somebody_elses(other: str) -> None:
    assert Redactor(frozenset({BRIEN})).text(f"<p>{other}</p>") == f"<p>{other}</p>"


NAMES = {
    "To: \"Orla O'B.\" <o'brien@client.example>, Luc <luc@other.example>": "To: [erased] <[erased]>, Luc <luc@other.example>",
    "Orla Quill <o'brien@client.example> wrote:": "[erased] <[erased]> wrote:",
    "Please write to <o'brien@client.example>": "Please write to <[erased]>",
    "von Orla Quill &lt;o&#39;brien@client.example&gt;": "von [erased] &lt;[erased]&gt;",
}


@pytest.mark.parametrize(("text", "redacted"), NAMES.items())
def test_a_name_beside_the_address_goes_with_it(text: str, redacted: str) -> None:
    assert Redactor(frozenset({BRIEN})).text(text) == redacted


# --- what is stored in bytes


HEAD = "From: alice@seller.example\r\nTo: luc@other.example\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"


def packed(text: str) -> bytes:
    octets = BytesIO()
    with ZipFile(octets, "w") as archive:
        archive.writestr("word/document.xml", f"<w:t>{text}</w:t>")
    return octets.getvalue()


def file_of(content: bytes, kind: str, name: str) -> str:
    body = base64.encodebytes(content).decode().replace("\n", "\r\n")
    return (
        "Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nContent-Type: text/plain\r\n\r\nHello\r\n--A\r\n"
        f"Content-Type: {kind}; name={name}\r\nContent-Disposition: attachment; filename={name}\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{body}--A--\r\n"
    )


INNER = f"From: {BRIEN}\r\nTo: alice@seller.example\r\nSubject: x\r\n\r\nHello\r\n"
RAW = {
    "plain": f"Subject: s\r\n\r\nask {BRIEN}\r\n",
    "base64": "Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(f"ask {BRIEN}".encode()).decode(),
    "quoted-printable": "Subject: s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + quopri.encodestring(("x" * 60 + " " + BRIEN.replace("@", "=40")).encode()).decode().replace("=3D40", "=40"),
    "html in base64": "Subject: s\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(entities.escape(BRIEN).encode()).decode(),
    "UTF-16": "Subject: s\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(BRIEN.encode("utf-16")).decode(),
    "subject": f"Subject: about {BRIEN}\r\n\r\nHello\r\n",
    "encoded subject": f"Subject: {Header('über ' + BRIEN, 'utf-8').encode()}\r\n\r\nHello\r\n",
    "subject in Q": "Subject: =?utf-8?Q?=C3=BCber_o=27brien=40client=2Eexample?=\r\n\r\nHello\r\n",
    "another field": f"Subject: s\r\nX-Original-To: {BRIEN}\r\n\r\nHello\r\n",
    "Cc of others": f"Subject: s\r\nCc: Orla <{BRIEN}>\r\n\r\nHello\r\n",
    "attached letter": "Subject: s\r\n" + file_of(INNER.encode(), "message/rfc822", "a.eml"),
    "attached card": "Subject: s\r\n" + file_of(f"BEGIN:VCARD\r\nEMAIL:{BRIEN}\r\n".encode(), "text/vcard", "a.vcf"),
    "attached document": "Subject: s\r\n" + file_of(packed(BRIEN), "application/octet-stream", "a.docx"),
    "attached letter in a file in base64": "Subject: s\r\n"
    + file_of(
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(INNER.encode()), "message/rfc822", "b.eml"
    ),
    "invitation": "Subject: s\r\n"
    + file_of(f"BEGIN:VCALENDAR\r\nATTENDEE:mailto:{BRIEN}\r\n".encode(), "text/calendar", "i.ics"),
}


@pytest.fixture(name="world")
def erasure_world(tmp_path: Path, smtp_sink: SmtpSink):  # type: ignore[no-untyped-def]
    with opened_context(tmp_path) as context:
        people = People(context)
        alice = people.user()
        people.account(alice, smtp_sink)
        yield context, alice


def submit(context: AppContext, alice: User, text: str) -> Message:
    raw = (HEAD + text).encode()
    with context.database.session_scope() as session:
        return enqueue_submitted(session, context, session.get_one(User, alice.id), "alice@seller.example", [LUC], raw)


def raw_of(context: AppContext, message: Message) -> bytes | None:
    with context.database.reading() as session:
        return session.get_one(MessageBody, message.id).raw


@pytest.mark.parametrize("text", RAW.values(), ids=RAW)
def test_mail_to_others_that_tells_of_them_keeps_no_raw_bytes(
    world: tuple[AppContext, User], text: str, tmp_path: Path
) -> None:
    context, alice = world
    message, other = submit(context, alice, text), submit(context, alice, "Subject: s\r\n\r\nask luc@other.example\r\n")
    while send_due(context):
        pass
    erase(context, BRIEN, "user:1")
    assert raw_of(context, message) is None
    assert raw_of(context, other) is not None
    assert_nothing(context, tmp_path)


@pytest.mark.parametrize("text", RAW.values(), ids=RAW)
def test_what_is_still_to_leave_goes_without_them(
    world: tuple[AppContext, User], text: str, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    context, alice = world
    message = submit(context, alice, text)
    erase(context, BRIEN, "user:1")
    raw = raw_of(context, message)
    assert raw is not None
    assert not Redactor(frozenset({BRIEN})).spellings.are_in_octets(raw)
    assert_nothing(context, tmp_path)
    while send_due(context):
        pass
    (taken,) = smtp_sink.accepted
    assert taken.recipients == (LUC,)
    assert b"brien" not in taken.content.lower()


def assert_nothing(context: AppContext, folder: Path) -> None:
    """Neither in a column nor, on SQLite, in what the file has left of deleted rows."""
    with context.database.reading() as session:
        for table in SQLModel.metadata.tables.values():
            for row in session.connection().execute(columns(*table.columns)).mappings():
                for name, value in row.items():
                    octets = value if isinstance(value, bytes) else str(value).encode()
                    assert b"brien" not in octets.lower(), f"{table.name}.{name}"
                    assert base64.b64encode(BRIEN.encode())[:20] not in octets, f"{table.name}.{name}"
    for path in folder.glob("*.sqlite3*"):
        assert b"o'brien@" not in path.read_bytes().lower(), path


def test_drafts_templates_names_files_and_the_form_of_what_was_sent(
    world: tuple[AppContext, User], tmp_path: Path
) -> None:
    context, alice = world
    vcard = OutgoingFile("a.vcf", "text/vcard", f"EMAIL:{BRIEN}".encode())
    harmless = OutgoingFile("b.txt", "text/plain", b"nothing")
    html = f'<p>See "{NAME}" &lt;{entities.escape(BRIEN)}&gt;</p>'
    with context.database.session_scope() as session:
        find_or_make(session, BRIEN, NAME)
        user = session.get_one(User, alice.id)
        session.add(Template(user_id=user.id or 0, name="T", subject=BRIEN, html=html))
        sent = Draft(to=(Address(LUC), Address(BRIEN, NAME)), subject=NAME, html=html)
        accept(session, context, user, sent)
        accept(session, context, user, Draft(to=(Address(LUC),), subject="s", html=html, attachments=(vcard, harmless)))
        draft = Message(user_id=user.id or 0, message_id="<d@x>", subject=f"about {BRIEN}")
        session.add(draft)
        session.flush()
        session.add(MessageBody(message_id=draft.id or 0, html=html, recipients=f'{{"to": "{NAME} <{BRIEN}>"}}'))
        session.add(
            Attachment(
                message_id=draft.id or 0, filename="c.vcf", content_type="text/vcard", size=9, content=vcard.content
            )
        )
    while send_due(context):
        pass
    erase(context, BRIEN, "user:1")
    assert_nothing(context, tmp_path)


def test_the_retention_of_proof_is_untouched_and_luc_stays(world: tuple[AppContext, User]) -> None:
    context, alice = world
    submit(context, alice, f"Subject: s\r\n\r\nask {BRIEN} or {LUC}\r\n")
    receipt = erase(context, BRIEN, "user:1")
    assert len(receipt.digest) >= 32
    with context.database.reading() as session:
        body = session.exec(select(MessageBody)).one()
        assert session.exec(select(Delivery)).one().address == LUC
    assert (body.text or "").strip() == f"ask [erased] or {LUC}"
    with context.database.session_scope() as session:
        session.exec(update(Message).values(subject="still here"))


def test_what_other_programs_were_told_of_them_goes(world: tuple[AppContext, User]) -> None:
    context, _ = world
    contents = [
        {"sender": "O'Brien@Client.example", "subject": "My divorce"},
        {"name": "Orla", "addresses": ["luc@other.example", BRIEN]},
        {"sender": "luc@other.example", "subject": f"Ask {BRIEN}"},
    ]
    with context.database.session_scope() as session:
        for number, data in enumerate(contents):
            body = json.dumps({"type": "letter.received", "data": data})
            session.add(WebhookEvent(public_id=f"told-{number}", kind="letter.received", body=body))
    assert erase(context, BRIEN, "user:1").done["webhook_event"] == 3
    with context.database.reading() as session:
        left = [json.loads(body)["data"] for body in session.exec(select(WebhookEvent.body))]
    assert left == [{"sender": "luc@other.example", "subject": "Ask [erased]"}]
