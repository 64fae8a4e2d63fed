"""Real mail programs submit through the gateway; what arrives is compared byte by byte."""

import smtplib
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from tests.fixtures.contexts import opened_context
from tests.outbound.gateway_world import ALICE, ANNA, BOSS, LUC, GatewayWorld, gateway_world, opened_world  # noqa: F401
from tests.outbound.mail_programs import content_for, hand_on
from tests.outbound.submitted_mail import HTML, MIXED, PDF, TO, WITH_CONTROL
from tests.servers import Authority, SmtpSink


def client(world: GatewayWorld) -> smtplib.SMTP:
    line = smtplib.SMTP("127.0.0.1", world.gateway.port, timeout=30)
    line.login(ALICE, world.token)
    return line


def check_arrived(world: GatewayWorld, clean: bytes = MIXED) -> None:
    """Anna's copy is tracked and nothing else in it is changed; the others have the message as it is."""
    hand_on(world.context)
    assert content_for(world.sink, LUC) == content_for(world.sink, BOSS) == clean
    tracked = content_for(world.sink, ANNA)
    start, end = clean.index(HTML), clean.index(HTML) + len(HTML)
    assert tracked[:start] == clean[:start]
    assert tracked.endswith(clean[end:])
    ours = world.context.settings.tracking_url.encode()
    assert (tracked.count(ours + b"/c/"), tracked.count(ours + b"/o/")) == (1, 1)


def test_smtplib_with_bytes(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    with client(world) as line:
        assert line.sendmail(ALICE, TO, WITH_CONTROL) == {}
    check_arrived(world)


def test_smtplib_with_bytes_and_bare_lf(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    with client(world) as line:
        line.sendmail(ALICE, TO, WITH_CONTROL.replace(b"\r\n", b"\n"), mail_options=["BODY=8BITMIME"])
    check_arrived(world, MIXED + b"\r\n")  # the library puts a CRLF behind the last LF


def test_smtplib_send_message(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "Älice <alice@seller.example>", ANNA, BOSS
    message["Subject"], message["X-Inkling-Track"] = "Größe 😀", "links"
    message.set_content("Hello")
    message.add_alternative(HTML.decode(), subtype="html")
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="offer ä.pdf")
    with client(world) as line:
        line.send_message(message)
    hand_on(world.context)
    ours = world.context.settings.tracking_url.encode()
    arrived = {to: content_for(world.sink, to) for to in (ANNA, BOSS)}
    assert (arrived[ANNA].count(ours + b"/c/"), arrived[ANNA].count(ours + b"/o/")) == (1, 0)
    assert ours not in arrived[BOSS]
    for raw in arrived.values():
        assert BOSS.encode() not in raw
        assert b"X-Inkling" not in raw
        parsed = message_from_bytes(raw, policy=default)
        assert parsed["Subject"] == "Größe 😀"
        (attached,) = parsed.iter_attachments()
        assert (attached.get_filename(), attached.get_content()) == ("offer ä.pdf", PDF)
    assert len({message_from_bytes(raw)["Message-ID"] for raw in arrived.values()}) == 1


def test_curl(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    said = world.programs.curl(ALICE, TO, WITH_CONTROL)
    assert "250 2.0.0 Queued as" in said
    check_arrived(world)


def test_curl_with_bare_lf(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    world.programs.curl(ALICE, TO, WITH_CONTROL.replace(b"\r\n", b"\n"))
    check_arrived(world, MIXED + b"\r\n")


def test_msmtp_leaves_the_bcc_header_to_us(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    world.programs.msmtp(ALICE, TO, WITH_CONTROL.replace(b"\r\n", b"\n"), "--remove-bcc-headers=off")
    check_arrived(world)


def test_swaks(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    said = world.programs.swaks(ALICE, TO, WITH_CONTROL)
    assert "235 2.7.0" in said
    check_arrived(world, MIXED + b"\r\n")  # the program puts an empty line behind every message


def test_swaks_in_a_pipeline(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    world.programs.swaks(ALICE, TO, WITH_CONTROL, "--pipeline")
    check_arrived(world, MIXED + b"\r\n")


def test_mutt(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    (world.programs.folder / "offer.pdf").write_bytes(PDF)
    world.programs.mutt(
        ANNA, "Größe", HTML, "-b", BOSS, "-e", "set content_type=text/html", "-e", "my_hdr X-Inkling-Track: links",
        "-a", "offer.pdf",
    )  # fmt: skip
    hand_on(world.context)
    ours = world.context.settings.tracking_url.encode()
    anna, boss = content_for(world.sink, ANNA), content_for(world.sink, BOSS)
    assert (anna.count(ours + b"/c/"), anna.count(ours + b"/o/"), ours in boss) == (1, 0, False)
    assert BOSS.encode() not in anna + boss
    assert b"X-Inkling" not in anna + boss
    parsed = message_from_bytes(boss, policy=default)
    assert (parsed["Subject"], parsed["From"]) == ("Größe", "Älice Seller <alice@seller.example>")
    assert parsed["Message-ID"] == message_from_bytes(anna, policy=default)["Message-ID"]
    attached = [part.get_payload(decode=True) for part in parsed.walk() if part.get_filename() == "offer.pdf"]
    assert attached == [PDF]
    assert anna.endswith(boss[boss.index(b"offer.pdf") :])


def test_s_nail(world: GatewayWorld) -> None:
    world.people.grant(ANNA)
    world.programs.snail(
        ANNA, "Größe", "Liebe Anna, schöne Grüße\n.\n..\n".encode(), "-b", BOSS, "-S", "sendcharsets=utf-8"
    )
    hand_on(world.context)
    anna, boss = content_for(world.sink, ANNA), content_for(world.sink, BOSS)
    assert anna == boss
    assert BOSS.encode() not in anna
    parsed = message_from_bytes(anna, policy=default)
    assert (parsed["Subject"], parsed["To"]) == ("Größe", ANNA)


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_tls_either_way_on_the_one_port(tmp_path: Path, ca: Authority, smtp_sink: SmtpSink, how: str) -> None:
    settings = {"SMTP_TLS_CERT": str(ca.cert_file), "SMTP_TLS_KEY": str(ca.key_file)}
    with opened_context(tmp_path, **settings) as context, opened_world(context, smtp_sink, tmp_path) as world:
        world.people.grant(ANNA)
        with tls_line(world.gateway.port, ca, how) as line:
            line.ehlo()
            assert not line.has_extn("starttls")
            line.login(ALICE, world.token)
            line.sendmail(ALICE, [ANNA, BOSS], WITH_CONTROL)
        scheme, more = ("smtps", ()) if how == "tls" else ("smtp", ("--ssl-reqd",))
        world.programs.curl(ALICE, [LUC], WITH_CONTROL, "--cacert", str(ca.file), *more, scheme=scheme)
        world.programs.swaks(ALICE, ["eve@client.example"], WITH_CONTROL, "-tlsc" if how == "tls" else "-tls")
        check_arrived(world)
        assert len(smtp_sink.accepted) == 4


def tls_line(port: int, ca: Authority, how: str) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=str(ca.file))
    if how == "tls":
        return smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=30)
    line = smtplib.SMTP("127.0.0.1", port, timeout=30)
    line.starttls(context=context)
    return line
