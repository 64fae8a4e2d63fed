"""Stories of what is in a message: old tokens, several parts of HTML, signatures, hidden recipients, pictures."""

import base64
import html as entities
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import quote

import pytest
from sqlmodel import col, select

from tests.fixtures.contexts import People, opened_context
from tests.outbound.submitted_mail import enqueue_submitted
from tests.outbound.test_queue import send_all
from tests.servers import SmtpSink, smtp_sink
from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_url
from tracker.consent.preferences import set_preference
from tracker.mail.addresses import Address
from tracker.models import Delivery, Message, MessageBody, TrackedLink, User
from tracker.outbound.draft import Draft, OutgoingFile
from tracker.outbound.message_links import strip_own_tracking, text_without_ours
from tracker.outbound.send import enqueue_composed
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ALICE, CLEO, DAN = "alice@seller.example", "cleo@client.example", "dan@client.example"
SHOP = "https://shop.example/offer?a=1&b=2"
OLD = "A" * 11
HEAD = (
    "From: alice@seller.example\r\nTo: dan@client.example\r\nSubject: s\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"
)


def v2(url: str) -> str:
    letters = (c if c.isalnum() or c == "." else "_" if c == "/" else f"-{ord(c):02X}" for c in url)
    return f"https://urldefense.proofpoint.com/v2/url?u={''.join(letters)}&d=DwMFaQ&c=x&r=y&m=z&s=w&e="


def code(url: str) -> str:
    return base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


WRAPPERS = {
    "none": lambda url: url,
    "safe links": lambda url: f"https://eur01.safelinks.protection.outlook.com/?url={quote(url, safe='')}&data=05%7C02&reserved=0",
    "safe links of safe links": lambda url: "https://nam02.safelinks.protection.outlook.com/?url="
    + quote(f"https://eur01.safelinks.protection.outlook.com/?url={quote(url, safe='')}&data=1", safe=""),
    "urldefense v3": lambda url: f"https://urldefense.com/v3/__{url}__;!!AbC!xyz$",
    "barracuda": lambda url: f"https://linkprotect.cudasvc.com/url?a={quote(url, safe='')}&c=E,1,abc&typo=1",
    "google": lambda url: f"https://www.google.com/url?q={quote(url, safe='')}&source=gmail&ust=1&usg=x",
    "yahoo pictures": lambda url: f"https://ecp.yusercontent.com/mail?url={quote(url, safe='')}&t=1&ymreqid=x&sig=y",
    "gmail pictures": lambda url: f"https://ci3.googleusercontent.com/meips/AbC_d=s0-d-e1-ft#{url}",
    "sophos": lambda url: f"https://eu-central-1.protection.sophos.com/?d=t.example&u={base64.b64encode(url.encode()).decode()}&p=m",
    "trend micro": lambda url: f"https://us1.ctp.trendmicro.com/wis/clicktime/v1/query?url={quote(url, safe='')}&umid=1",
    "cisco": lambda url: f"https://secure-web.cisco.com/1AbC/{quote(url, safe='')}",
    "fireeye": lambda url: f"https://protect2.fireeye.com/v1/url?k=1&q=1&e=1&u={quote(url, safe='')}",
    "symantec": lambda url: f"https://clicktime.symantec.com/3abc?u={quote(url, safe='')}",
    "yandex pictures": lambda url: f"https://resize.yandex.net/mailservice?url={quote(url, safe='')}&proxy=yes&key=1",
    "mail.ru": lambda url: f"https://proxy.imgsmail.ru?e=1&url171={code(url.partition('://')[2])}",
    "gmx": lambda url: f"https://deref-gmx.net/mail/client/x/dereferrer/?redirectUrl={quote(url, safe='')}",
    "slack": lambda url: f"https://slack-redir.net/link?url={quote(url, safe='')}",
    "github pictures": lambda url: f"https://camo.githubusercontent.com/abc/{url.encode().hex()}",
    "lower-case escapes": lambda url: f"https://x.example/r?u={quote(url, safe='').replace('%2F', '%2f').replace('%3A', '%3a')}",
    "urldefense v2": v2,
}  # fmt: skip
KINDS = ("click", "pixel", "trap", "page")


def own(context: AppContext, kind: str) -> str:
    if kind == "page":
        return preference_url(context, PreferenceLink(LinkKind.COPY, OLD, OLD, now().date()))
    urls = {"click": context.click_url(OLD, 0, SHOP), "pixel": context.pixel_url(OLD), "trap": context.trap_url(OLD)}
    return urls[kind]


def token(url: str) -> str:
    return re.sub(r"\.gif$", "", url.rpartition("/")[2])


PLACES = {
    "link": '<p>x <a href="{}">offer</a></p>',
    "image": '<p>x<img src="{}"></p>',
    "originalsrc": '<p>x <a href="https://a.example/" originalsrc="{}">offer</a></p>',
    "saferedirecturl": '<p>x <a href="https://a.example/" data-saferedirecturl="{}">offer</a></p>',
    "title": '<p>x <a href="https://a.example/" title="Original URL: {}">offer</a></p>',
    "background": '<table background="{}"><tr><td>x</td></tr></table>',
    "style": '<div style="background-image:url({})">x</div>',
    "quoted style": "<div style=\"background-image:url('{}')\">x</div>",
    "srcset": '<img srcset="{} 2x" src="https://a.example/a.png">',
    "words": "<p>see {}.</p>",
    "words in brackets": "<p>the offer &lt;{}&gt; and more</p>",
    "mso": '<!--[if mso]><v:rect href="{}"><v:textbox>x</v:textbox></v:rect><![endif]--><p>x</p>',
    "quoted": '<p>x</p><blockquote type="cite"><a href="{}">offer</a></blockquote>',
}


@pytest.fixture(scope="module", name="clean")
def clean_context(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with opened_context(tmp_path_factory.mktemp("clean"), TRACKING_URL="https://t.example") as context:
        yield context


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("kind", KINDS)
def test_nobodys_token_stays_in_any_wrapper_at_any_place(clean: AppContext, kind: str, wrapper: str) -> None:
    url = own(clean, kind)
    for place in PLACES.values():
        html = place.format(entities.escape(WRAPPERS[wrapper](url)))
        cleaned = strip_own_tracking(clean, html) or ""
        assert token(url) not in cleaned, html
        assert strip_own_tracking(clean, cleaned) == cleaned
        if kind == "click":
            assert entities.escape(SHOP) in cleaned, html


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_nor_in_plain_text(clean: AppContext, wrapper: str) -> None:
    text = f"see <{WRAPPERS[wrapper](own(clean, 'click'))}>, or ({WRAPPERS[wrapper](own(clean, 'page'))}).\n"
    assert text_without_ours(clean, text) == f"see <{SHOP}>, or ().\n"


STRANGERS = [
    "https://other.example/c/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fshop.example%2Fc%2FAAAAAAAAAAAAAAAAAAAA&data=05",
    f"https://www.google.com/url?q={quote(SHOP, safe='')}",
    "https://x.example/?blob=" + "QUJD" * 400,
    "data:image/png;base64," + "iVBO" * 100_000,
]


@pytest.mark.parametrize("url", STRANGERS, ids=range(len(STRANGERS)))
def test_what_is_not_ours_stays_to_the_letter(clean: AppContext, url: str) -> None:
    for place in PLACES.values():
        html = place.format(entities.escape(url))
        assert strip_own_tracking(clean, html) == html


def submitted(context: AppContext, user: User, raw: bytes, to: str = DAN) -> Message:
    with context.database.session_scope() as session:
        message = enqueue_submitted(session, context, session.get_one(User, user.id), ALICE, (to,), raw)
    send_all(context)
    return message


def arrived(sink: SmtpSink) -> EmailMessage:
    message = message_from_bytes(sink.accepted[-1].content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


BODIES = {
    "html": "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Größe</p><blockquote><a href='{0}'>x</a></blockquote>\r\n",
    "text": "Content-Type: text/plain; charset=utf-8\r\n\r\nGröße\r\n> see {0}\r\n",
    "both": "Content-Type: multipart/alternative; boundary=A\r\n\r\n--A\r\nContent-Type: text/plain\r\n\r\nsee {0}\r\n--A\r\n"
    'Content-Type: text/html\r\n\r\n<p>x</p><img src="{0}">\r\n--A--\r\n',
    "second html": "Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--A\r\n"
    "Content-Type: text/html\r\n\r\n<p>y <a href='{0}'>z</a></p>\r\n--A--\r\n",
}


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("agreed", [True, False])
def test_a_mail_program_that_quotes_old_mail_hands_no_token_on(
    context: AppContext, people: People, body: str, encoding: str, agreed: bool
) -> None:
    if encoding != "8bit" and body.startswith("Content-Type: multipart"):
        pytest.skip("encoded as a whole is for single parts")
    alice = people.user()
    url = WRAPPERS["safe links"](context.click_url(OLD, 0, SHOP))
    if agreed:
        people.grant(DAN)
    raw = encoded(HEAD + body.format(url), encoding)
    with smtp_sink() as sink:
        people.account(alice, sink)
        submitted(context, alice, raw)
        decoded = b"".join(bytes(p.get_payload(decode=True) or b"") for p in arrived(sink).walk())
    assert token(context.click_url(OLD, 0, SHOP)).encode() not in decoded
    assert b"safelinks" not in decoded
    assert b"shop.example/offer" in decoded or (agreed and b"/c/" in decoded)


def encoded(raw: str, encoding: str) -> bytes:
    head, _, body = raw.encode().partition(b"\r\n\r\n")
    if encoding == "base64":
        return (
            head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(body).replace(b"\n", b"\r\n")
        )
    if encoding == "quoted-printable":
        import quopri

        coded = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        return head + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + coded
    return raw.encode()


# --- all inline HTML parts are one letter


PDF = "Content-Type: application/pdf; name=o.pdf\r\nContent-Disposition: inline; filename=o.pdf\r\n\r\n%PDF\r\n"


def html_part(text: str, more: str = "") -> str:
    return f"Content-Type: text/html; charset=us-ascii{more}\r\n\r\n<html><body>{text}</body></html>\r\n"


def mixed(*parts: str, kind: str = "mixed", mark: str = "B") -> str:
    body = "".join(f"--{mark}\r\n{part}" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={mark}\r\n\r\n{body}--{mark}--\r\n"


ONE, TWO = '<a href="https://shop.example/1">one</a>', '<a href="https://shop.example/2">two</a>'
PICTURE = "Content-Type: image/png\r\nContent-ID: <a>\r\n\r\nx\r\n"
PLAIN = "Content-Type: text/plain\r\n\r\nhello\r\n"
LETTERS = {
    "apple mail": mixed(PLAIN, mixed(html_part(f"Read {ONE}"), PDF, html_part(TWO)), kind="alternative", mark="A"),
    "mixed": mixed(html_part(ONE), PDF, html_part(TWO)),
    "first has no words": mixed(html_part(""), PDF, html_part(f"{ONE} {TWO}")),
    "in related": mixed(mixed(html_part(ONE), PICTURE, kind="related", mark="C"), PDF, html_part(TWO)),
    "three": mixed(html_part(ONE), html_part("<p>and</p>"), html_part(TWO)),
    "quotation in the first": mixed(html_part(f"{ONE}<blockquote>old</blockquote>"), PDF, html_part(TWO)),
}  # fmt: skip


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_links_of_every_inline_part_are_listed_and_tracked(context: AppContext, people: People, letter: str) -> None:
    alice = people.user()
    people.grant(DAN)
    with smtp_sink() as sink:
        people.account(alice, sink)
        message = submitted(context, alice, (HEAD + "X-Inkling-Track: opens, links\r\n" + letter).encode())
        htmls = [part.get_content() for part in arrived(sink).walk() if part.get_content_type() == "text/html"]
    with context.database.reading() as session:
        links = list(session.exec(select(TrackedLink).order_by(col(TrackedLink.position))))
        delivery = session.exec(select(Delivery).where(Delivery.message_id == message.id)).one()
        html = session.get_one(MessageBody, message.id).html or ""
    assert [(link.position, link.url, link.tracked) for link in links] == [
        (0, "https://shop.example/1", True),
        (1, "https://shop.example/2", True),
    ]
    whole = "".join(htmls)
    claims = [context.tokens.read_click(item) for item in re.findall(r"/c/([\w-]+)", whole)]
    assert [(claim.link, claim.url) for claim in claims if claim] == [(0, links[0].url), (1, links[1].url)]
    assert whole.count(context.pixel_url(delivery.public_id)) == 1
    assert whole.count("/r/") == 1
    assert "/r/" in htmls[-1]
    assert "one" in html
    assert "two" in html


def test_html_that_is_a_file_or_another_form_is_not_the_letter(context: AppContext, people: People) -> None:
    alice = people.user()
    people.grant(DAN)
    attached = html_part(TWO).replace("\r\n\r\n", "\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n", 1)
    letter = mixed(html_part(ONE), attached, html_part(TWO, "; name=page.html"))
    with smtp_sink() as sink:
        people.account(alice, sink)
        submitted(context, alice, (HEAD + letter).encode())
        assert sink.accepted[0].content.count(b"/c/") == 1
    with context.database.reading() as session:
        assert [link.url for link in session.exec(select(TrackedLink))] == ["https://shop.example/1"]


# --- signed submissions


SIGNED = {
    "dkim": "DKIM-Signature: v=1; a=rsa-sha256; d=seller.example; s=s1; h=from:to:subject; bh=AAAA; b=BBBB\r\n",
    "lower case and folded": "dkim-signature: v=1; a=rsa-sha256;\r\n d=seller.example; s=s1; h=from; bh=A; b=B\r\n",
    "arc": "ARC-Seal: i=1; a=rsa-sha256; d=x; s=s; b=B\r\nARC-Message-Signature: i=1; a=rsa-sha256; d=x; s=s; b=B\r\n",
    "domainkeys": "DomainKey-Signature: a=rsa-sha1; q=dns; c=nofws; s=s; d=seller.example; b=B\r\n",
    "two": "DKIM-Signature: v=1; b=1\r\nDKIM-Signature: v=1; b=2\r\n",
}


@pytest.mark.parametrize("signature", SIGNED.values(), ids=SIGNED)
def test_a_signed_submission_is_left_untouched_and_it_is_said(
    context: AppContext, people: People, signature: str
) -> None:
    raw = (signature + HEAD + html_part(ONE)).encode()
    alice = people.user()
    people.grant(DAN)
    with smtp_sink() as sink:
        people.account(alice, sink)
        submitted(context, alice, raw)
        content = sink.accepted[0].content
    assert content.endswith(raw.partition(b"\r\n\r\n")[2])
    assert content.startswith(signature.encode())
    with context.database.reading() as session:
        copy = session.exec(select(Delivery)).one()
    assert (copy.opens_on, copy.opens_rule, copy.clicks_rule) == (False, "signed_already", "signed_already")


@pytest.mark.parametrize("signature", SIGNED.values(), ids=SIGNED)
def test_by_a_setting_the_signature_goes_and_the_copy_is_tracked(
    context: AppContext, people: People, signature: str
) -> None:
    alice = people.user()
    people.grant(DAN)
    with context.database.session_scope() as session:
        set_preference(session, "unsign_submissions", True)
    with smtp_sink() as sink:
        people.account(alice, sink)
        submitted(context, alice, (signature + HEAD + html_part(ONE)).encode())
        content = sink.accepted[0].content
    assert b"/c/" in content
    assert not [name for name in arrived(sink) if re.match("dkim|domainkey|arc", name, re.IGNORECASE)]


# --- hidden recipients, pictures


@pytest.mark.parametrize("by", ["form", "mail program"])
def test_mail_to_hidden_recipients_alone_says_so(context: AppContext, people: People, by: str) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        if by == "form":
            send(context, alice, Draft(bcc=(Address(DAN),), subject="s", text="t"))
        else:
            submitted(context, alice, HEAD.replace("To:", "Bcc:").encode() + b"\r\nt\r\n")
        assert arrived(sink)["To"] == "undisclosed-recipients:;"
        assert arrived(sink)["Bcc"] is None


@pytest.mark.parametrize("field", ["To", "Cc"])
def test_where_somebody_is_named_nothing_is_added(context: AppContext, people: People, field: str) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        submitted(context, alice, HEAD.replace("To:", f"{field}:").encode() + b"\r\nt\r\n")
        assert "undisclosed" not in sink.accepted[0].content.decode()


def send(context: AppContext, user: User, draft: Draft) -> None:
    with context.database.session_scope() as session:
        enqueue_composed(session, context, session.get_one(User, user.id), draft)
    send_all(context)


PICTURES = {
    '<p><img src="https://cdn.example/a/offer.png?x=1"></p>': "[offer.png]",
    '<p><img src="https://cdn.example/o%20ffer.png" alt=""></p>': "[o ffer.png]",
    '<a href="https://shop.example/"><img src="https://cdn.example/offer.png"></a>': None,
    '<p><img src="cid:logo@x"></p>': "[Unser Logo.png]",
    '<p><img src="data:image/png;base64,AAAA"></p>': "[picture]",
    '<p><img src="https://cdn.example/?id=1"></p>': "[picture]",
    '<p><img></p>&nbsp;<img src="a.png">': "[picture]\n[a.png]",
    '<p><img src="offer.png" alt="Our offer"></p>': "Our offer",
    '<p>Hello<img src="spacer.gif"></p>': "Hello",
}


@pytest.mark.parametrize("html", PICTURES)
def test_a_message_of_pictures_alone_has_words_for_them(context: AppContext, people: People, html: str) -> None:
    alice = people.user()
    logo = OutgoingFile("Unser Logo.png", "image/png", b"x", "logo@x")
    with smtp_sink() as sink:
        people.account(alice, sink)
        send(context, alice, Draft(to=(Address(DAN),), subject="s", html=html, attachments=(logo,)))
        body = arrived(sink).get_body(("plain",))
        assert body is not None
        text = body.get_content().strip()
    assert text
    assert PICTURES[html] is None or PICTURES[html] in text.replace("\r\n", "\n")
