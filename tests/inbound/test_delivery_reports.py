"""What mail systems write for people about a message, by the system that writes it: what became of it, for whom, and why."""

import pytest

from tracker.inbound.parse.description import describe

OURS = "m-PInCMALgGuk-50a622e339dd59da@acme.example"
R0 = "r0@klient.example"
COPY = f"From: Ann <ann@acme.example>\nTo: {R0}\nSubject: Offer\nMessage-ID: <{OURS}>\n\nHi there\n"
DAEMON, GOOGLE, OFFICE = "MAILER-DAEMON@mx.example", "mailer-daemon@googlemail.com", "postmaster@klient.example"
BY_ITSELF = "Auto-Submitted: auto-replied"
REPORTS = {
    "exim": (
        "Mail delivery failed: returning message to sender", f"Mail Delivery System <Mailer-{DAEMON[7:]}>", "failed",
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to\n"
        f"one or more recipients. The following address failed:\n\n  {R0}\n    550 5.1.1 User unknown\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{COPY}",
    ),
    "sendmail": (
        "Returned mail: see transcript for details", DAEMON, "failed",
        "The original message was received at Sun, 29 Nov 2026 22:00:15 +0300\nfrom localhost\n\n"
        f"   ----- The following addresses had permanent fatal errors -----\n<{R0}>\n    (reason: 550 5.1.1 User unknown)\n\n"
        f"   ----- Transcript of session follows -----\n550 5.1.1 <{R0}>... User unknown\n",
    ),
    "sendmail, a warning": (
        "Warning: could not send message for past 4 hours", DAEMON, "delayed",
        "    **      THIS IS A WARNING MESSAGE ONLY      **\n\nThe original message was received at Sun, 29 Nov 2026\n\n"
        f"451 {R0}: Name server timeout\nWarning: message still undelivered after 4 hours\n",
    ),
    "gmail": (
        "Delivery Status Notification (Failure)", GOOGLE, "failed",
        f"Address not found\n\nYour message wasn't delivered to {R0} because of a temporary problem that did not end.\n",
    ),
    "gmail, later": (
        "Delivery Status Notification (Delay)", GOOGLE, "delayed",
        f"Delivery incomplete\n\nThere was a problem delivering your message to {R0}. Gmail will retry for 46 more hours.\n",
    ),
    "gmail in russian": (
        "Delivery Status Notification (Failure)", GOOGLE, "failed",
        f"Адрес не найден\n\nСообщение не доставлено пользователю {R0}, так как его адрес не найден.\n",
    ),
    "yandex": (
        "Недоставленное сообщение", "mailer-daemon@yandex.ru", "failed",
        "Письмо почтового сервера yandex.ru.\n\nВаше письмо\nне может быть отправлено одному или нескольким адресатам.\n\n"
        f"<{R0}>: host mx.klient.example[192.0.2.1] said: 550 5.7.1\n    No such user!\n",
    ),
    "yandex, later": (
        "Отложенное сообщение (предупреждение)", "mailer-daemon@yandex.ru", "delayed",
        "# ЭТО ТОЛЬКО ПРЕДУПРЕЖДЕНИЕ. ПОВТОРЯТЬ ОТПРАВКУ ПИСЬМА НЕ НУЖНО. #\nПопытки доставки будут продолжаться.\n\n"
        f"<{R0}>: connect to mx.klient.example: Connection timed out\n",
    ),
    "mail.ru": (
        "Ваше сообщение не доставлено. Mail failure.", "mailer-daemon@corp.mail.ru", "failed",
        f"Ваше письмо не может быть доставлено получателям:\n\n**********************\n\n{R0}:\n550 user not found\n",
    ),
    "domino": (
        "DELIVERY FAILURE: User r0 not listed in Domino Directory", OFFICE, "failed",
        f"Your message\n\n  Subject: Offer\n\nwas not delivered to:\n\n  {R0}\n\nbecause:\n\n  User not listed\n",
    ),
    "exchange of old": (
        "Undeliverable: Delayed shipments", f"System Administrator <{OFFICE}>", "failed",
        "Your message did not reach some or all of the intended recipients.\n\n      Subject:\tOffer\n      Sent:\t29.11.2026\n\n"
        f"The following recipient(s) cannot be reached:\n\n      {R0} on 29.11.2026 19:00\n         <mx.klient.example #5.1.1>\n",
    ),
    "exchange in turkish": ("Teslim edilemedi: Offer", OFFICE, "failed", f"İletiniz şu alıcılara teslim edilemedi:\n{R0}\n"),
    "exchange in spanish": ("No se puede entregar: Offer", OFFICE, "failed", f"No se pudo entregar el mensaje:\n\n{R0} ({R0})\n"),
    "exchange, handed on": (
        "Relayed: Offer", OFFICE, "delivered",
        f"Delivery to these recipients or groups is complete, but no notification was sent:\n\n{R0} ({R0})\n\nSubject: Offer\n",
    ),
    "exchange, delivered": ("Доставлено: Offer", OFFICE, "delivered", f"Ваше сообщение доставлено получателям:\n\n{R0} ({R0})\n"),
    "exchange, later": (
        "Delivery delayed: Offer", OFFICE, "delayed",
        f"Delivery is delayed to these recipients or groups:\n\n{R0} ({R0})\n\nDelivery will continue to be attempted.\n",
    ),
    "exchange, later in german": ("Zustellung verzögert: Offer", OFFICE, "delayed", f"Die Zustellung verzögert sich:\n\n{R0}\n"),
    "mimecast": (
        "[Postmaster] Email Delivery Failure", f"Postmaster <{OFFICE}>", "failed",
        f"The message from <ann@acme.example> to <{R0}> was undeliverable.\n\n5.1.0 - Unknown address error\n",
    ),
    "barracuda": (
        "**Message you sent blocked by our bulk email filter**", DAEMON, "failed",
        f"Your message to: {R0}\nwas blocked by our Spam Firewall.\n\nSubject: Offer\n",
    ),
    "hmail": (
        "Message undeliverable: Offer", DAEMON, "failed",
        "Your message did not reach some or all of the intended recipients.\n\n   Sent: Sun, 29 Nov 2026\n   Subject: Offer\n\n"
        f"{R0}\n   Error Type: SMTP\n",
    ),
    "postfix, delivered": (
        "Successful Mail Delivery Report", DAEMON, "delivered",
        f"Your message was successfully delivered to the destination(s)\nlisted below.\n\n<{R0}>: delivery via mx: 250 2.0.0 Ok\n",
    ),
    "polish": ("Zwrot: wiadomość", DAEMON, "failed", f"Twoja wiadomość nie została dostarczona do:\n{R0}\n"),
    "czech": ("Nedoručitelná zpráva", DAEMON, "failed", f"Vaše zpráva nemohla být doručena na adresu:\n<{R0}>: 550 5.1.1\n"),
    "french": ("Non remis : Offer", OFFICE, "failed", f"Votre message n'a pas pu être remis au destinataire :\n\n{R0}\n"),
    "ukrainian": ("Не вдалося доставити повідомлення", DAEMON, "failed", f"Повідомлення не доставлено одержувачу {R0}.\n"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["Return-Path: <>\n", ""], ids=["from nobody", "as providers show it"])
@pytest.mark.parametrize("system", REPORTS)
def test_a_report_for_people_says_what_became_of_whom(system: str, path: str) -> None:
    subject, sender, kind, text = REPORTS[system]
    head = f"{path}From: {sender}\nTo: Ann <ann@acme.example>\nSubject: {subject}\n{BY_ITSELF}"
    said = describe(f"{head}\n\n{text}".replace("\n", "\r\n").encode())
    assert (said["category"], said["report"]["kind"]) == ("bounce", kind)
    assert [(each["address"], each["action"]) for each in said["report"]["recipients"]] == [(R0, kind)]
    assert said["report"]["about"] == (OURS if COPY in text else None)


HEAD = "Reporting-MTA: dns; mx.example\n\n"
WHO = f"Final-Recipient: rfc822; {R0}\n"


@pytest.mark.parametrize(
    ("fields", "outcomes"),
    [
        (f"{WHO}Action: failed\nStatus: 5.1.1\n", [(R0, "failed", "5.1.1")]),
        (f"Final-Recipient: RFC822;<{R0}>\nAction: Failed\nStatus: 5.1.1 (bad)\n", [(R0, "failed", "5.1.1")]),
        (f"Final-Recipient: {R0}\nAction: failed (undeliverable)\nStatus: 5.7.1\n", [(R0, "failed", "5.7.1")]),
        (f"Original-Recipient: \n{WHO}Action: failed\nStatus: 5.0.0\n", [(R0, "failed", "5.0.0")]),
        (
            f"Original-Recipient: rfc822;{R0}\nFinal-Recipient: rfc822;x@mx.example\nAction: failed\n",
            [(R0, "failed", "")],
        ),
        (f"{WHO}Action: failed\nDiagnostic-Code: smtp; 552-5.2.2 over quota\n", [(R0, "failed", "5.2.2")]),
        (f"{WHO}Status: 4.4.7\n", [(R0, "delayed", "4.4.7")]),
        (f"{WHO}Action: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp;400 delayed\n", [(R0, "failed", "4.4.7")]),
        (f"{WHO}Action: expanded\nStatus: 2.0.0\n", [(R0, "delivered", "2.0.0")]),
        (
            "Final-Recipient: utf-8; иван@почта.example\nAction: failed\nStatus: 5.1.1\n",
            [("иван@xn--80a1acny.example", "failed", "5.1.1")],
        ),
    ],
)
def test_the_fields_of_a_report_are_read_as_programs_write_them(
    fields: str, outcomes: list[tuple[str, str, str]]
) -> None:
    kind = "Content-Type: multipart/report; report-type=delivery-status; boundary=b"
    status, copy = "Content-Type: message/delivery-status", "Content-Type: message/rfc822"
    body = f"--b\n\nSee below.\n--b\n{status}\n\n{HEAD}{fields}\n--b\n{copy}\n\n{COPY}\n--b--\n"
    report = describe(f"From: {DAEMON}\nSubject: x\n{kind}\n\n{body}".encode())["report"]
    assert [(each["address"], each["action"], each["status"]) for each in report["recipients"]] == outcomes
    assert report["about"] == OURS
