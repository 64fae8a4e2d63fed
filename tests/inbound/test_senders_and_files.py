"""Who wrote, which files there are, and what makes two letters two: as senders really write it."""

import base64

import pytest

from tracker.inbound.parse.description import describe
from tracker.inbound.parse.identity import content_hash
from tracker.inbound.parse.letter import parse
from tracker.mail.addresses import answerable, normalise

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgAAACAAABAAUY2E4AAAAASUVORK5CYII=")


def letter(*fields: str, body: str = "x") -> bytes:
    return ("\r\n".join((*fields, "To: info@site.example", "Subject: Vopros", "", body)) + "\r\n").encode()


@pytest.mark.parametrize(
    ("fields", "name", "address"),
    [
        (["From: Ivan <ivan.@docomo.example>"], "Ivan", "ivan.@docomo.example"),
        (["From: .ivan..p@docomo.example"], "", ".ivan..p@docomo.example"),
        (["From: Cron Daemon <root@localhost>"], "Cron Daemon", "root@localhost"),
        (["From: scanner@mfp_2.office.example"], "", "scanner@mfp_2.office.example"),
        (["From: =?windows-1251?B?yOLg7SDP5fLw7uIgPGl2YW5Aa2xpZW50LmV4YW1wbGU+?="], "Иван Петров", "ivan@klient.example"),
        (["From: =?utf-8?Q?Anna_=3Canna=40client=2Eexample=3E?="], "Anna", "anna@client.example"),
        (["Sender: ivan@klient.example"], "", "ivan@klient.example"),
        (["Reply-To: Ivan <ivan@klient.example>"], "Ivan", "ivan@klient.example"),
        (["Return-Path: <ivan@klient.example>"], "", "ivan@klient.example"),
        (["From: ", "Sender: Ann <ann@klient.example>"], "Ann", "ann@klient.example"),
        (["From: Undisclosed", "Reply-To: ivan@klient.example"], "", "ivan@klient.example"),
        (["From: <>", "Sender: <>", "Reply-To: ", "Return-Path: <a@klient.example>"], "", "a@klient.example"),
        (["From: anna@client.example boris@client.example"], "", "anna@client.example"),
        (["From: anna@client.example; boris@client.example"], "", "anna@client.example"),
        (["From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"], "Pete(A nice \\) chap)", "pete@silly.test"),
        (['From: "ivan@klient.example" <ivan@klient.example>'], "ivan@klient.example", "ivan@klient.example"),
        (["From: Ivan [mailto:ivan@klient.example]"], "", "ivan@klient.example"),
        (["From: Ivan <mailto:ivan@klient.example>"], "Ivan", "ivan@klient.example"),
        (["From: <<ivan@klient.example>>"], "", "ivan@klient.example"),
        (["From: Ivan ivan@klient.example"], "Ivan", "ivan@klient.example"),
    ],
)  # fmt: skip
def test_a_sender_is_whoever_can_be_answered(fields: list[str], name: str, address: str) -> None:
    sender = describe(letter(*fields))["from"]
    assert sender["address"] == address
    assert name.split("(")[0] in sender["name"]


@pytest.mark.parametrize(
    "fields", [["From: "], ["From: Undisclosed"], ["From: <>"], [], ["From: a@b@c d"], ["From: @"]]
)
def test_nobody_is_made_up(fields: list[str]) -> None:
    sender = describe(letter(*fields))["from"]
    assert sender is None or sender["address"] in ("b@c",)


@pytest.mark.parametrize(
    ("written", "sent_to"),
    [
        ("ivan.@docomo.example", '"ivan."@docomo.example'),
        ("a@b.example", "a@b.example"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_who_writes_with_dots_anywhere_can_be_answered(written: str, sent_to: str) -> None:
    assert answerable(written) == sent_to
    if "." in sent_to.rpartition("@")[2]:
        assert normalise(sent_to)


@pytest.mark.parametrize(
    ("own", "robots", "writer"),
    [
        ((), ("noreply@tilda.example",), "oleg@klient.example"),
        (("noreply@tilda.example",), (), "oleg@klient.example"),
        ((), (), "noreply@tilda.example"),
        (("oleg@klient.example",), ("noreply@tilda.example",), "noreply@tilda.example"),
    ],
)
def test_a_form_writes_for_its_visitor(own: tuple[str, ...], robots: tuple[str, ...], writer: str) -> None:
    raw = letter("From: Tilda <noreply@tilda.example>", "Reply-To: oleg@klient.example")
    assert describe(raw, own, robots)["writer"] == writer


GROUP = ["List-Id: <sales.acme.example>", "Precedence: list"]
NOTED = "X-Original-From: Ivan <ivan@klient.example>"


@pytest.mark.parametrize(
    "fields",
    [
        ["From: \"'Ivan' via Sales\" <sales@acme.example>", "Reply-To: Ivan <ivan@klient.example>", NOTED, *GROUP],
        ["From: \"'Ivan' via Sales\" <sales@acme.example>", "Reply-To: sales@acme.example", NOTED, *GROUP],
        ["From: 'Ivan' via Sales <sales@acme.example>", "X-Original-Sender: ivan@klient.example", *GROUP],
        ["From: Ivan via Sales <sales@acme.example>", "Cc: b@x.example, Ivan <ivan@klient.example>", *GROUP],
        ["From: Ivan über Vertrieb <sales@acme.example>", "Cc: Ivan <ivan@klient.example>"],
        ["From: Ivan через Продажи <sales@acme.example>", "Cc: Ivan <ivan@klient.example>"],
        ["From: Website <sales@acme.example>", "Reply-To: ivan@klient.example"],
        ["From: Ivan <ivan@klient.example>", "Sender: sales@acme.example", *GROUP],
        ["From: Ivan <ivan@klient.example>", "X-BeenThere: sales@acme.example", "List-Id: <x.y>", "Precedence: list"],
        ["From: ivan at klient.example <fwd@forward.example>", NOTED],
        ["From: Ivan via Market <member@market.example>", "Reply-To: Ivan <ivan@klient.example>"],
        ["From: Ivan via DocuSign <dse@docusign.example>", "Reply-To: ivan@klient.example"],
    ],
)
def test_an_address_that_writes_for_a_person_hides_nobody(fields: list[str]) -> None:
    letter_of_a_person = describe(letter(*fields), own={"sales@acme.example"})
    assert (letter_of_a_person["writer"], letter_of_a_person["category"]) == ("ivan@klient.example", "human")


@pytest.mark.parametrize(
    ("fields", "writer", "category"),
    [
        (["From: Ann <sales@acme.example>", "Cc: Ivan <ivan@klient.example>"], "sales@acme.example", "own_outgoing"),
        (["From: Ann <sales@acme.example>", "Reply-To: sales@acme.example"], "sales@acme.example", "own_outgoing"),
        (["From: Ivan <ivan@k.example>", "Reply-To: office@k.example"], "ivan@k.example", "human"),
        (["From: Ivan via LinkedIn <news@l.example>"], "news@l.example", "human"),
        (["From: Via Roma 5 <hotel@k.example>", "Reply-To: desk@k.example"], "hotel@k.example", "human"),
        (["From: Users <users@list.example>", "List-Id: <users.list.example>"], "users@list.example", "bulk"),
        (
            ["From: Ivan <ivan@k.example>", "List-Id: <sales.other.example>", "Precedence: list"],
            "ivan@k.example",
            "bulk",
        ),
    ],
)
def test_nobody_is_read_into_a_letter(fields: list[str], writer: str, category: str) -> None:
    letter_of_nobody_else = describe(letter(*fields), own={"sales@acme.example"})
    assert (letter_of_nobody_else["writer"], letter_of_nobody_else["category"]) == (writer, category)


def with_file(*fields: str, octets: bytes = b"%PDF-", html: str = "") -> bytes:
    text = f"Content-Type: text/html; charset=utf-8\r\n\r\n{html}" if html else "Content-Type: text/plain\r\n\r\nsee"
    head = "From: a@b.example\r\nTo: info@site.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n"
    file = "\r\n".join((*fields, "Content-Transfer-Encoding: base64", "", base64.b64encode(octets).decode()))
    return f"{head}--b1\r\n{text}\r\n--b1\r\n{file}\r\n--b1--\r\n".encode("utf-8", "surrogateescape")


PDF = "Content-Type: application/pdf"
SCHET = "%D0%A1%D1%87%D1%91%D1%82"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (
            [PDF, f"Content-Disposition: attachment; filename=\"____ 15.pdf\"; filename*=UTF-8''{SCHET}%2015.pdf"],
            "Счёт 15.pdf",
        ),
        (
            [PDF, f"Content-Disposition: attachment; filename*=UTF-8''{SCHET}%2015.pdf; filename=\"15.pdf\""],
            "Счёт 15.pdf",
        ),
        (
            [PDF, f"Content-Disposition: attachment;\r\n filename*0*=UTF-8''{SCHET[:-1]};\r\n filename*1*=2%2015.pdf"],
            "Счёт 15.pdf",
        ),
        (
            [
                PDF,
                f"Content-Disposition: attachment;\r\n filename*1*=%82%2015.pdf;\r\n filename*0*=UTF-8''{SCHET[:-3]}",
            ],
            "Счёт 15.pdf",
        ),
        (
            [PDF, f"Content-Disposition: attachment;\r\n filename*0*=UTF-8''{SCHET};\r\n filename*1=\" 15.pdf\""],
            "Счёт 15.pdf",
        ),
        (
            [PDF, 'Content-Disposition: attachment;\r\n filename*0="Price ";\r\n filename*1="list.pdf"'],
            "Price list.pdf",
        ),
        ([PDF, "Content-Disposition: attachment;\r\n filename*1*=UTF-8''Price;\r\n filename*2*=.pdf"], "Price.pdf"),
        ([PDF, "Content-Disposition: attachment; filename*=windows-1251''%D1%F7%B8%F2.pdf"], "Счёт.pdf"),
        ([PDF, "Content-Disposition: attachment; filename*=UTF-8''%D1%F7%B8%F2.pdf"], "Счёт.pdf"),
        ([PDF, f"Content-Disposition: attachment; filename*=x-none''{SCHET}.pdf"], "Счёт.pdf"),
        ([PDF, "Content-Disposition: attachment; filename*=Счёт.pdf"], "Счёт.pdf"),
        ([PDF, "Content-Disposition: attachment; filename=Счёт за ноябрь.pdf"], "Счёт за ноябрь.pdf"),
        ([PDF, "Content-Disposition: attachment; filename=Price list 2026.pdf; size=5"], "Price list 2026.pdf"),
        ([f"{PDF}; name=Price list 2026.pdf"], "Price list 2026.pdf"),
        ([PDF, 'Content-Disposition: attachment; filename="=?UTF-8?B?0KHRh9GR0YIucGRm?="'], "Счёт.pdf"),
        (
            [PDF, "Content-Disposition: attachment; filename==?UTF-8?B?0KHRh9GR0YI=?= =?UTF-8?Q?_15.pdf?="],
            "Счёт 15.pdf",
        ),
        ([PDF, f'Content-Disposition: attachment; filename="{SCHET}%2015.pdf"'], "Счёт 15.pdf"),
        ([PDF, 'Content-Disposition: attachment; filename="100%25 off.pdf"'], "100%25 off.pdf"),
        (
            [f'{PDF}; name="=?utf-8?B?0KHRh9GR0YIucGRm?="', 'Content-Disposition: attachment; filename="????.pdf"'],
            "Счёт.pdf",
        ),
        ([f'{PDF}; name="Счёт.pdf"', 'Content-Disposition: attachment; filename="____.pdf"'], "Счёт.pdf"),
        ([PDF, r'Content-Disposition: attachment; filename="C:\Documents\report.pdf"'], "report.pdf"),
        ([PDF, r'Content-Disposition: attachment; filename="\\server\share\report.pdf"'], "report.pdf"),
        ([PDF, r'Content-Disposition: attachment; filename="a \"b\" c.pdf"'], "a _b_ c.pdf"),
        (
            [PDF, "Content-Disposition: attachment; filename*0*=UTF-8''a;\r\n filename*0*=UTF-8''b; filename*1=c.pdf"],
            "ac.pdf",
        ),
        ([PDF, "Content-Disposition: attachment; filename*=''"], "file-1.pdf"),
        ([PDF, "Content-Disposition: attachment; filename*99999=a.pdf"], "a.pdf"),
    ],
)
def test_names_of_files_are_whole_and_in_their_script(fields: list[str], name: str) -> None:
    assert [file["name"] for file in describe(with_file(*fields))["files"]] == [name]


@pytest.mark.parametrize(
    ("html", "fields", "octets", "shown"),
    [
        ('<img src="cid:a1@x">', ["Content-Type: image/jpg", "Content-ID: <a1@x>"], PNG, True),
        ('<img src="CID:a1@x">', ["Content-Type: image/pjpeg", "Content-ID: <a1@x>"], b"\xff\xd8\xff\xe0 more", True),
        ("<img src=cid:a1@x>", ["Content-Type: image/png", "Content-ID: <a1@x>"], PNG, True),
        ('<img src="cid:a1%40x">', ["Content-Type: image/png", "Content-ID: <a1@x>"], PNG, True),
        ('<img src="cid:a1&#64;x">', ["Content-Type: image/png", "Content-ID: a1@x"], PNG, True),
        (
            "<p style=\"background:url('cid:a1@x')\">x</p>",
            ["Content-Type: image/gif", "Content-ID: <a1@x>"],
            b"GIF89a",
            True,
        ),
        (
            '<img src="cid:a1@x">',
            ["Content-Type: application/octet-stream; name=a.png", "Content-ID: <a1@x>"],
            PNG,
            True,
        ),
        ('<img src="cid:a1@x">', ["Content-Type: image/heic", "Content-ID: <a1@x>"], b"\0\0\0\x18ftypheic", False),
        ('<img src="cid:a1@x">', ["Content-Type: image/tiff", "Content-ID: <a1@x>"], b"II*\0", False),
        ('<img src="cid:a1@x">', ["Content-Type: image/svg+xml", "Content-ID: <a1@x>"], b"<svg/>", False),
        ('<img src="cid:a1@x">', ["Content-Type: image/png", "Content-ID: <a1@x>"], b"no picture", False),
        ('<img src="cid:other">', ["Content-Type: image/png", "Content-ID: <a1@x>"], PNG, False),
        ('<img src="cid:a1@xy">', ["Content-Type: image/png", "Content-ID: <a1@x>"], PNG, False),
        ("<p>a1@x</p>", ["Content-Type: image/png", "Content-ID: <a1@x>"], PNG, False),
        (
            '<!--[if vml]><v:i src="cid:a1@x"><![endif]-->',
            ["Content-Type: image/png", "Content-ID: <a1@x>"],
            PNG,
            False,
        ),
        ('<!-- x --><img src="cid:a1@x"><!-- ', ["Content-Type: image/png", "Content-ID: <a1@x>"], PNG, True),
    ],
)
def test_every_picture_is_shown_or_listed(html: str, fields: list[str], octets: bytes, shown: bool) -> None:
    files = describe(with_file(*fields, octets=octets, html=f"<p>photo</p>{html}"))["files"]
    assert [file["shown"] for file in files] == [shown]


def photos(*ids: str, octets: bytes) -> bytes:
    """As a telephone sends them: one document, and each photo beside it."""
    page = "<p>Photos " + "".join(f'<img src="cid:{id_}">' for id_ in ids) + "</p>"
    head = "From: Ivan <ivan@klient.example>\r\nContent-Type: multipart/related; boundary=b1\r\n\r\n--b1\r\n"
    pieces = [f"{head}Content-Type: text/html; charset=utf-8\r\n\r\n{page}\r\n".encode()]
    for number, id_ in enumerate(ids, 1):
        name = f"IMG_{number}.jpeg"
        fields = f"Content-Type: image/jpeg; name={name}\r\nContent-Disposition: inline; filename={name}\r\nContent-ID: <{id_}>"
        pieces += [f"--b1\r\n{fields}\r\n\r\n".encode(), octets, b"\r\n"]
    return b"".join([*pieces, b"--b1--\r\n"])


@pytest.mark.parametrize(
    ("ids", "size", "shown"),
    [
        (("p1", "p2"), 6_400_000, [False, False]),
        (("p1", "p2"), 6_000_000, [True, True]),
        (("p1",), 13_000_000, [False]),
        (("p1", "p1", "p2"), 100, [True, False, True]),
    ],
)
def test_photos_are_shown_as_far_as_they_are_not_too_much(ids: tuple[str, ...], size: int, shown: list[bool]) -> None:
    octets = b"\xff\xd8\xff\xe0" + bytes(size - 4)
    files = describe(photos(*ids, octets=octets))["files"]
    assert [(file["name"], file["size"], file["shown"]) for file in files] == [
        (f"IMG_{number}.jpeg", size, is_shown) for number, is_shown in enumerate(shown, 1)
    ]


BROKEN = "To: info@site.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=aaa\r\n\r\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BROKEN + "--wrong\r\n\r\nFirst\r\n", BROKEN + "--wrong\r\n\r\nSecond\r\n"),
        (BROKEN + "--aaa\r\n\r\n--aaa--\r\nFirst", BROKEN + "--aaa\r\n\r\n--aaa--\r\nSecond"),
        ("Content-Type: multipart/mixed\r\n\r\nFirst", "Content-Type: multipart/mixed\r\n\r\nSecond"),
        ("From: f@x.example\r\nReply-To: a@x.example\r\n\r\nOrder", "From: f@x.example\r\nReply-To: b@x.example\r\n\r\nOrder"),
        ("Message-ID: <same@x>\r\n\r\n\0\0", "Message-ID: <same@x>\r\n\r\n\0\0\0"),
        ("Content-Transfer-Encoding: base64\r\n\r\n====", "Content-Transfer-Encoding: base64\r\n\r\n=== ="),
        ("Content-Type: text/html\r\n\r\n<!-- First -->", "Content-Type: text/html\r\n\r\n<!-- Second -->"),
    ],
)  # fmt: skip
def test_letters_that_cannot_be_read_are_two_letters(one: str, other: str) -> None:
    assert content_hash(parse(one.encode())) != content_hash(parse(other.encode()))
    assert content_hash(parse(one.encode())) == content_hash(parse(b"Received: by b\r\n" + one.encode()))


def test_files_that_differ_in_their_names_make_two_letters() -> None:
    first, second = (parse(with_file(PDF, f"Content-Disposition: attachment; filename={name}.pdf")) for name in "ab")
    assert content_hash(first) != content_hash(second)
