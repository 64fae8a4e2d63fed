"""What letters are: siblings of each kind of tests/data/letters, in the languages of Europe and by the programs that write them."""

import base64

import pytest

from tracker.inbound.parse.description import describe

OURS = "m-PInCMALgGuk-50a622e339dd59da@acme.example"
REPLY = f"In-Reply-To: <{OURS}>"
IVAN, DAEMON = "Ivan <ivan@klient.example>", "Mail Delivery Subsystem <mailer-daemon@mx.example>"


def letter(*fields: str, body: str = "I am away.", sender: str = IVAN, path: str = "<ivan@klient.example>") -> bytes:
    head = [f"Return-Path: {path}"] if path else []
    head += [f"From: {sender}", "To: Ann <ann@acme.example>", "Date: Sun, 29 Nov 2026 19:00:15 +0000", *fields]
    return "\r\n".join([*head, "", body]).encode()


def report(kind: str, *parts: str) -> tuple[str, str]:
    """A Content-Type and the body of a multipart/report."""
    divided = "\r\n".join(["--b", "", "See below.", *(f"--b\r\n{part}" for part in parts), "--b--"])
    return f"Content-Type: multipart/report; report-type={kind}; boundary=b", divided


def category(raw: bytes) -> str:
    return str(describe(raw)["category"])


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Automatisch antwoord: Offer",
            "Resposta automática: Offer",
            "Автоматична відповідь: Offer",
            "Автоответ: Offer",
        ),
        *("Отсутствие на рабочем месте: Offer", "Re\u0301ponse automatique : Offer", "Risposta automatica: Offer"),
        *(
            "Odpowiedź automatyczna: Offer",
            "Automatická odpověď: Offer",
            "Automatická odpoveď: Offer",
            "Răspuns automat: Offer",
        ),
        *(
            "Automatikus válasz: Offer",
            "Automaattinen vastaus: Offer",
            "Automatisk svar: Offer",
            "Automatiskt svar: Offer",
        ),
        *(
            "Automatski odgovor: Offer",
            "Samodejni odgovor: Offer",
            "Автоматичен отговор: Offer",
            "Automaatvastus: Offer",
        ),
        *(
            "Automātiskā atbilde: Offer",
            "Automatinis atsakymas: Offer",
            "Αυτόματη απάντηση: Offer",
            "Otomatik Yanıt: Offer",
        ),
        *("Respuesta automática: Offer", "Abwesenheitsnotiz: Offer", "Abwesend: Offer", "Absence du bureau : Offer"),
        *(
            "Fuera de la oficina Re: Offer",
            "Frånvaro: Offer",
            "Poissa: Offer",
            "Poza biurem: Offer",
            "Házon kívül: Offer",
        ),
        *("Out of Office Re: Offer", "OUT OF OFFICE", "Out of office until Monday", "Out of the office 24.12-2.1"),
        *("В отпуске до 5 декабря",),
        *(
            "[EXTERNAL] Automatic reply: Offer",
            "Re: Out of office",
            "RE: Automatic reply: Offer",
            "[EXT] Re: Autosvar: Offer",
        ),
        *("Ivan is out of the office until Monday", "AUTO: Ivan is out of the office (returning 12/10/2026)"),
        *("Offer - Automatic reply",),
    ],
)
def test_an_absence_is_told_by_its_subject_in_any_language(subject: str) -> None:
    assert category(letter(f"Subject: {subject}", REPLY)) == "auto_reply"


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Vacation", "I will be out of the office until 5 December with no access to email."),
        ("Отпуск", "Добрый день! С 20 ноября я нахожусь в отпуске."),
        ("На больничном", "Буду отсутствовать до 10 декабря."),
        ("Urlaub", "Sehr geehrte Damen und Herren, ich bin bis zum 5. Dezember nicht im Büro."),
        ("Re: Urlaub", "Ich bin ab dem 6. Dezember wieder erreichbar."),
        ("Vacances", "Bonjour, je suis actuellement en congés jusqu'au 5 décembre."),
        ("Vacaciones", "Hola, estaré fuera de la oficina hasta el 5 de diciembre."),
        ("Férias", "Olá, encontro-me ausente até dia 5 de dezembro."),
        ("Ferie", "Buongiorno, sarò assente fino al 5 dicembre."),
        ("Vakantie", "Beste, ik ben momenteel met vakantie."),
        ("Urlop", "Dzień dobry, przebywam na urlopie do 5 grudnia."),
        ("Na dovolené", "Dobrý den, do 5. prosince čerpám dovolenou."),
        ("Szabadság", "December 5-ig szabadságon vagyok."),
        ("Ledig", "Hej! Jag har semester till den 5 december."),
        ("Loma", "Hei, olen lomalla 5.12. asti."),
        ("Odsutnost", "Poštovani, na godišnjem sam odmoru."),
        ("Άδεια", "Βρίσκομαι σε άδεια έως 5 Δεκεμβρίου."),
        ("İzin", "Merhaba, 5 Aralık'a kadar izindeyim."),
        ("Je suis absent", "I am away."),
    ],
)
def test_a_word_of_absence_is_believed_beside_a_text_that_says_so(subject: str, body: str) -> None:
    assert category(letter(f"Subject: {subject}", body=body)) == "auto_reply"
    assert category(letter(f"Subject: {subject}", body="What does it cost?")) == "human"


@pytest.mark.parametrize(
    "field",
    [
        *(
            "Delivered-To: Autoresponder",
            "X-POST-MessageClass: 9; Autoresponder",
            "Preference: auto_reply",
            "X-Auto-Reply: 1",
        ),
        *(
            "X-AutoReply-From: ivan@klient.example",
            "X-Autorespond: yes",
            "X-Mail-Autoreply: autoreply",
            "Precedence: junk",
        ),
        *(
            "X-Precedence: auto-reply",
            "X-Autogenerated: Reply",
            "X-Vacation: yes",
            "X-Mailer: vacation 1.2.7",
            "X-Autoresponder: x",
        ),
        *(
            "X-Zimbra-Autoreply: yes",
            "X-Automatic-Reply: true",
            "X-Sent-By-Autoresponder: yes",
            "X-Autorespond-To: a@b.example",
        ),
        *("X-Ooo: yes", "X-Mailer: KMail Vacation"),
        *("Auto-Submitted: auto-replied (vacation)", "X-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent"),
    ],
)
def test_an_auto_responder_is_told_by_what_it_sets(field: str) -> None:
    assert category(letter("Subject: Re: Offer", REPLY, field, body="Yes?")) == "auto_reply"


def test_what_must_not_be_answered_is_an_automatic_answer_unless_a_form_speaks_for_somebody() -> None:
    assert category(letter("Subject: Re: Offer", REPLY, path="<>")) == "auto_reply"
    assert category(letter("Subject: Form", "Reply-To: vera@k.example", body="Price?", path="<>")) == "human"


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Automatic response system offer",
            "Out of office desks",
            "Auto reply feature request?",
            "Absence of invoices",
        ),
        *("Vacation house for sale", "Undeliverable chairs?", "Read: our new offer", "FW: Automatic reply: Offer"),
        *("Semester plan",),
        *("Re: Automatic reply: Offer", "OOO Romashka asks for a price", "Delivery problem", "Reaction of the board"),
        *(
            "Report on chairs",
            "Отпуск: можно ли перенести поставку",
            "Urlaub in Italien",
            "Holiday season discounts: our order",
        ),
        *("Автоответчик Panasonic, цена?", "Отсутствие товара на складе", "Dovolenkové domy", "Absent friends, a book"),
    ],
)
def test_a_person_whose_subject_begins_so_is_a_person(subject: str) -> None:
    assert category(letter(f"Subject: {subject}", body="What does it cost?")) == "human"


@pytest.mark.parametrize(
    ("subject", "body", "path"),
    [
        ("Read: Offer", "Your message was read on Sunday", "<>"),
        ("Gelesen: Offer", "Ihre Nachricht wurde am 29.11. gelesen.", ""),
        ("Lu : Offer", "x", "<>"),
        ("Not read: Offer", "Your message was deleted without being read on Sunday", ""),
        ("Przeczytano: Offer", "Wiadomość została odczytana", "<>"),
        ("Läst: Offer", "x", "<>"),
        ("Leído: Offer", "Su mensaje fue leído el domingo", ""),
        ("Прочитано: Offer", "Сообщение\r\n\r\nКому: Иван\r\n\r\nпрочитано 29.11.2026 22:00.", ""),
        ("Не прочитано: Offer", "Ваше сообщение было удалено без прочтения", ""),
        ("Отчет о прочтении: Offer", "Ваше сообщение прочитано", ""),
        ("Läst: Offer", "Ditt meddelande till Ivan lästes söndag", ""),
        ("Okundu: Offer", "İletiniz okundu", ""),
        ("Přečteno: Offer", "Vaše zpráva byla přečtena", ""),
    ],
)
def test_a_read_receipt_in_plain_words(subject: str, body: str, path: str) -> None:
    assert category(letter(f"Subject: {subject}", REPLY, body=body, path=path)) == "mdn"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "👍 Ivan reacted to your message:\r\n\r\nOn Sun, 29 Nov 2026 at 18:00, Ann <a@b.example> wrote:\r\n> hi",
            "reaction",
        ),
        ("Ivan Petrov reacted via Gmail\r\n", "reaction"),
        ("Иван отреагировал(а) на ваше сообщение", "reaction"),
        ("Иван поставил(а) отметку «Нравится» вашему сообщению", "reaction"),
        ("My boss reacted to your message with joy, we take 15", "human"),
    ],
)
def test_a_reaction_says_that_and_nothing_more(body: str, expected: str) -> None:
    assert category(letter("Subject: Re: Offer", REPLY, body=body)) == expected


POSTFIX = (
    "This is the mail system at host mx.example.\r\n\r\nI'm sorry to have to inform you that your message could not\r\n"
    "be delivered to one or more recipients.\r\n\r\n<bob@x.example>: host mx.x.example[1.2.3.4] said: 550 5.1.1\r\n"
    "    <bob@x.example>: Recipient address rejected (in reply to RCPT TO)"
)
GMAIL = (
    "** Address not found **\r\n\r\nYour message wasn't delivered to bob@x.example because the address couldn't be found.\r\n\r\n"
    "The response was:\r\n550 5.1.1 The email account that you tried to reach does not exist."
)
MAIL_RU = (
    "Это письмо создано автоматически сервером Mail.Ru, отвечать на него не нужно.\r\n\r\nК сожалению, Ваше письмо не может быть"
    " доставлено одному или нескольким получателям:\r\n\r\n**********************\r\n\r\nbob@x.example\r\n550 5.1.1 user not found"
)
YANDEX = (
    "Это письмо отправлено почтовым сервером yandex.ru.\r\n\r\nК сожалению, мы вынуждены сообщить Вам о том, что Ваше письмо не"
    " может быть отправлено одному или нескольким адресатам.\r\n\r\n<bob@x.example>: host mx.x said: 550 5.1.1 No such user!"
)
EXCHANGE = (
    "Delivery has failed to these recipients or groups:\r\n\r\nbob@x.example\r\nThe address you entered couldn't be found.\r\n\r\n"
    "Diagnostic information for administrators:\r\n#550 5.1.1 RESOLVER.ADR.NotFound ##\r\n\r\nOriginal message headers:\r\n\r\n"
    f"Message-ID: <{OURS}>"
)
EXIM = (
    "This message was created automatically by mail delivery software.\r\n\r\nA message that you sent could not be delivered to one"
    " or more of its\r\nrecipients. This is a permanent error. The following address(es) failed:\r\n\r\n  bob@x.example\r\n"
    "    550 5.1.1 Unrouteable address\r\n\r\n------ This is a copy of the message, including all the headers. ------\r\n\r\n"
    f"Message-ID: <{OURS}>\r\nTo: bob@x.example\r\n\r\nhi"
)


@pytest.mark.parametrize(
    ("subject", "sender", "path", "body", "about"),
    [
        ("Undelivered Mail Returned to Sender", "MAILER-DAEMON@mx.example (Mail Delivery System)", "", POSTFIX, None),
        ("Delivery Status Notification (Failure)", DAEMON, "", GMAIL, None),
        ("Недоставленное сообщение", "mailer-daemon@corp.mail.ru", "", MAIL_RU, None),
        ("Недоставленное сообщение", "mailer-daemon@yandex.ru", "<>", YANDEX, None),
        ("Undeliverable: Offer", "Microsoft Outlook <postmaster@x.example>", "<>", EXCHANGE, OURS),
        ("Unzustellbar: Offer", "postmaster@x.example", "", EXCHANGE, OURS),
        ("Mail delivery failed: returning message to sender", DAEMON, "", EXIM, OURS),
        ("whatever", "<>", "<>", EXIM, OURS),
    ],
    ids=["postfix", "gmail", "mail.ru", "yandex", "exchange", "exchange in german", "exim", "from nobody"],
)
def test_a_bounce_for_people_says_who_and_why(
    subject: str, sender: str, path: str, body: str, about: str | None
) -> None:
    said = describe(letter(f"Subject: {subject}", sender=sender, path=path, body=body))
    assert said["category"] == "bounce"
    assert said["report"] == {
        "kind": "failed",
        "recipients": [{"address": "bob@x.example", "status": "5.1.1", "action": "failed"}],
        "about": about,
    }


@pytest.mark.parametrize(
    ("subject", "body", "kind"),
    [
        (
            "Warning: could not send message for past 4 hours",
            "<bob@x.example>\r\n will keep trying for 5 days",
            "delayed",
        ),
        ("Delivery delayed: Offer", "bob@x.example", "delayed"),
        ("Successful Mail Delivery Report", "<bob@x.example>: your message was successfully delivered", "delivered"),
        ("Undeliverable: Offer", "It was not successfully delivered to bob@x.example", "failed"),
        ("Недоставленное сообщение", "bob@x.example\r\nПопытки доставки будут продолжены", "delayed"),
    ],
)
def test_a_delay_and_a_success_are_no_failure(subject: str, body: str, kind: str) -> None:
    said = describe(letter(f"Subject: {subject}", sender=DAEMON, path="<>", body=body))
    assert (said["category"], said["report"]["kind"]) == ("bounce", kind)
    assert said["report"]["recipients"] == [{"address": "bob@x.example", "status": "", "action": kind}]


TWO = "Final-Recipient: rfc822; a@x.example\r\nAction: delivered\r\nStatus: 2.0.0\r\n"
FAILED = "Final-Recipient: rfc822; b@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"


@pytest.mark.parametrize(
    "status",
    [
        f"Reporting-MTA: dns; x\r\n\r\n{TWO}\r\n{FAILED}",
        f"Reporting-MTA: dns; x\r\n\r\n{TWO}{FAILED}",
        f"Reporting-MTA: dns; x\r\n{TWO}\r\n\r\n{FAILED}",
        "Final-Recipient: rfc822; a@x.example\r\n\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\n" + FAILED,
        "Action: delivered\r\nStatus: 2.0.0\r\nFinal-Recipient: rfc822; a@x.example\r\n\r\n" + FAILED,
        TWO.replace("\r\n", "\n") + "\n" + FAILED.replace("\r\n", "\n"),
    ],
)
def test_each_recipient_keeps_his_own_result(status: str) -> None:
    kind, body = report("delivery-status", f"Content-Type: message/delivery-status\r\n\r\n{status}")
    said = describe(letter("Subject: x", kind, sender=DAEMON, path="<>", body=body))["report"]
    assert [(each["address"], each["action"]) for each in said["recipients"]] == [
        ("a@x.example", "delivered"),
        ("b@x.example", "failed"),
    ]


def feedback(*fields: str) -> str:
    return "\r\n".join(["Content-Type: message/feedback-report", "", "Feedback-Type: abuse", *fields, ""])


def test_complaints_and_reports_of_machines() -> None:
    headers = f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{OURS}>\r\nTo: bob@x.example\r\n"
    kind, body = report("feedback-report", feedback("Original-Rcpt-To: <carl@x.example>"), headers)
    said = describe(letter("Subject: x", kind, body=body))
    carl = {"address": "carl@x.example", "status": "", "action": "complaint"}
    assert (said["category"], said["report"]) == (
        "complaint",
        {"kind": "complaint", "recipients": [carl], "about": OURS},
    )
    kind, body = report("feedback-report", feedback().replace("abuse", "auth-failure"))
    assert category(letter("Subject: x", kind, body=body)) == "report"
    kind, body = report("tlsrpt")
    assert category(letter("Subject: x", kind, body=body)) == "report"
    assert category(letter("Subject: [Preview] Report Domain: acme.example Submitter: x", body="see")) == "report"
    kind, body = report("strange")
    assert category(letter("Subject: x", kind, body=body)) == "auto_generated"


@pytest.mark.parametrize(
    "part", ["message/delivery-status", "message/feedback-report", "message/disposition-notification"]
)
def test_who_hands_a_report_on_is_a_person(part: str) -> None:
    body = f"--b\r\n\r\nMy mail bounced, see\r\n--b\r\nContent-Type: {part}\r\n\r\nAction: failed\r\n--b--"
    assert (
        category(letter("Subject: FW: Undeliverable", "Content-Type: multipart/mixed; boundary=b", body=body))
        == "human"
    )


@pytest.mark.parametrize(
    "field",
    [
        f"References: &lt;{OURS}&gt;",
        f"In-Reply-To: %3C{OURS.replace('@', '%40')}%3E",
        "In-Reply-To: <m-PInCMALgGuk-\r\n 50a622e339dd59da@acme.example>",
        f"References: =?utf-8?B?{base64.b64encode(f'<{OURS}>'.encode()).decode()}?=",
        f"References: <a@b.example>\r\nReferences: <{OURS}>",
        f"In-Reply-To: Message of Sunday from Ann <{OURS}>",
        f"In-Reply-To: {OURS}",
        f"In-Reply-To: [{OURS}]",
        f"In-Reply-To: <mailto:{OURS}>",
    ],
)
def test_an_id_of_ours_is_found_however_it_is_written(field: str) -> None:
    said = describe(letter("Subject: Re: Offer", field, "List-Unsubscribe: <https://x.example>", body="Yes"))
    assert (said["in_reply_to"][0], said["category"]) == (OURS, "human")
