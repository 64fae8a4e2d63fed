"""What the writer of a letter wrote: heads and structures of quotations in the languages of Europe, by the programs that make them.

Our own words, quoted below an answer, never count as a wish of whoever answers.
"""

import re

import pytest

from tracker.inbound.parse.description import describe
from tracker.inbound.parse.phrases import phrases
from tracker.inbound.parse.quotations import own_text

STOP = "please do not track me"
ANN = "Ann <ann@acme.example>"
HEADS = [
    f"On Sun, 29 Nov 2026 18:00:15 +0000 {ANN} wrote",
    "\u202bבתאריך יום א׳, 29 בנוב׳ 2026 ב-18:00 מאת \u202aAnn\u202c\u200f <\u202aann@acme.example\u202c\u200f>:\u202c",
    f"On Sun, Nov 29, 2026 at 6:00 PM {ANN} wrote:",
    f"niedz., 29 lis 2026 o 18:00 {ANN} napisał(a):",
    f"{ANN} escreveu (domingo, 29/11/2026 à(s) 18:00):",
    f"{ANN}, 29 Kas 2026 Paz, 18:00 tarihinde şunu yazdı:",
    f"{ANN} ezt írta (időpont: 2026. nov. 29., V, 18:00):",
    "su 29. marrask. 2026 klo 18.00 Ann (ann@acme.example) kirjoitti:",
    f"Στις Κυρ 29 Νοε 2026 στις 6:00 μ.μ., ο χρήστης {ANN} έγραψε:",
    f"нд, 29 лист. 2026 р. о 18:00 {ANN} пише:",
    "Svētd., 2026. g. 29. nov., plkst. 18:00 — lietotājs Ann (<ann@acme.example>) rakstīja:",
    f"sekm., 2026-11-29, 18:00, {ANN} rašė:",
    "Ann (<ann@acme.example>) kirjutas kuupäeval P, 29. november 2026 kell 18:00:",
    f"ned, 29. stu 2026. u 18:00 {ANN} napisao je:",
    f"V V ned., 29. nov. 2026 ob 18:00 je oseba {ANN} napisala:",
    f"Den søn. 29. nov. 2026 kl. 18.00 skrev {ANN}:",
    f"Op zo 29 nov 2026 om 18:00 schreef {ANN}:",
    f"Le dim. 29 nov. 2026 à 18:00, {ANN} a écrit :",
    f"Am So., 29. Nov. 2026 um 18:00 Uhr schrieb {ANN}:",
    "El dom, 29 nov 2026 a las 18:00, Ann (<ann@acme.example>) escribió:",
    f"Il giorno dom 29 nov 2026 alle ore 18:00 {ANN} ha scritto:",
    f"ne 29. 11. 2026 v 18:00 odesílatel {ANN} napsal:",
    f"În dum., 29 nov. 2026 la 18:00, {ANN} a scris:",
    f"{ANN} 于2026年11月29日周日 18:00写道：",
    f"Воскресенье, 29 ноября 2026, 18:00 +03:00 от {ANN}:",
    '29.11.2026, 18:00, "Ann" <ann@acme.example>:',
    f"вс, 29 нояб. 2026 г. в 18:00, {ANN}:",
    "29. Nov. 2026, 18:00 von ann@acme.example:",
    "On Sun, Nov 29, 2026 at 6:00 PM Ann Longname of the Company\n<ann@acme.example> wrote:",
]
OLDER = [
    "-----Original Message-----",
    "-----Oorspronkelijk bericht-----",
    "-----Wiadomość oryginalna-----",
    "-----Ursprüngliche Nachricht-----",
    "-----Oprindelig meddelelse-----",
    "-----Původní zpráva-----",
    "---------- Forwarded message ---------",
    "-------- Пересылаемое сообщение --------",
    "Anfang der weitergeleiteten Nachricht:",
    "Begin forwarded message:",
    f"---- On Sun, 29 Nov 2026 18:00:00 +0300 {ANN} wrote ----",
    "Von: Ann [mailto:ann@acme.example]\nGesendet: Sonntag\nAn: Ivan\nBetreff: x",
    f"De : {ANN}\nEnvoyé : dimanche\nÀ : Ivan\nObjet : x",
    f"De: {ANN}\nEnviado el: domingo\nPara: Ivan\nAsunto: x",
    f"Da: {ANN}\nInviato: domenica\nA: Ivan\nOggetto: x",
    f"Van: {ANN}\nVerzonden: zondag\nAan: Ivan\nOnderwerp: x",
    f"Fra: {ANN}\nSendt: søndag\nTil: Ivan\nEmne: x",
    f"Från: {ANN}\nSkickat: den 29\nTill: Ivan\nÄmne: x",
    f"Lähettäjä: {ANN}\nLähetetty: sunnuntai\nVastaanottaja: Ivan\nAihe: x",
    f"Od: {ANN}\nWysłano: niedziela\nDo: Ivan\nTemat: x",
    "Od: Ann\nOdesláno: neděle 29. listopadu 2026\nKomu: Ivan\nPředmět: x",
    "Feladó: Ann\nElküldve: vasárnap\nCímzett: Ivan\nTárgy: x",
    "De la: Ann\nTrimis: duminică\nCătre: Ivan\nSubiect: x",
    "Kimden: Ann\nGönderildi: Pazar\nKime: Ivan\nKonu: x",
    "Από: Ann\nΣτάλθηκε: Κυριακή\nΠρος: Ivan\nΘέμα: x",
    "Від: Ann\nНадіслано: неділя\nКому: Ivan\nТема: x",
    "От: Ann\nИзпратено: неделя\nДо: Ivan\nОтносно: x",
    f"*From:* {ANN}\n*Sent:* Sunday\n*To:* Ivan",
    f"________________________________\nFrom: {ANN}\nSent: Sunday\nTo: Ivan",
]


@pytest.mark.parametrize("mark", ["> ", ""], ids=["marked", "bare"])
@pytest.mark.parametrize("head", HEADS)
def test_what_stands_under_a_head_is_quoted(head: str, mark: str) -> None:
    assert own_text(f"Yes, 15.\n\n{head}\n\n{mark}{STOP}") == "Yes, 15."


@pytest.mark.parametrize("head", OLDER)
def test_what_stands_under_an_older_message_is_quoted(head: str) -> None:
    assert own_text(f"Yes, 15.\n\n{head}\n\n{STOP}") == "Yes, 15."


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (f"On Sun, Nov 29, 2026 at 6:00 PM {ANN} wrote:\n> {STOP}\n\nYes, we take 15.", "Yes, we take 15."),
        ("> How many?\n15\n> When?\nMonday", "15\nMonday"),
        (
            "Добрый день.\nНаш директор вчера написал:\nнужно 15 штук.",
            "Добрый день.\nНаш директор вчера написал:\nнужно 15 штук.",
        ),
        ("From: Nina <nina@x.example>\nPhone: 15\nHow much?", "From: Nina <nina@x.example>\nPhone: 15\nHow much?"),
        ("От: Иван\nТема: Стулья\nДата: 01.12.2026\nСколько?", "От: Иван\nТема: Стулья\nДата: 01.12.2026\nСколько?"),
        (f"From: Ivan Petrov\nSent: Sunday\nTo: Ann\nSubject: x\n\n{STOP}", ""),
        ("We need:\n- 15 chairs\n- 2 tables", "We need:\n- 15 chairs\n- 2 tables"),
        ("Write to ivan@x.example:\n1) price", "Write to ivan@x.example:\n1) price"),
        ("Let us meet on 29.11.2026 at 18:00:\n1) price", "Let us meet on 29.11.2026 at 18:00:\n1) price"),
        (f"Ok, 15.\n\n-- \nIvan\n{STOP}", "Ok, 15."),
        (f"Ok\n\nSent from my iPhone\n\nOn 29 Nov 2026, at 18:00, {ANN} wrote:\n\n{STOP}", "Ok"),
        ("Отправлено из мобильной Почты Mail.ru\nДа, 15", "Да, 15"),
        ("##- Please type your reply above this line -##\n\nYes, we take 15.", "Yes, we take 15."),
        (f"Ok\n\n{ANN}\n29.11.2026 18:00\n\nAn: Ivan\nKopie:\nThema: x\n\n{STOP}", f"Ok\n\n{ANN}\n29.11.2026 18:00"),
    ],
)
def test_own_words_are_kept(text: str, own: str) -> None:
    assert own_text(text) == own


STRUCTURES = {
    "gmail": '<div class="gmail_quote"><div class="gmail_attr">On Sun Ann wrote:<br></div><blockquote>{}</blockquote></div>',
    "outlook web": '<hr tabindex="-1"><div id="divRplyFwdMsg"><b>From:</b> Ann<br></div><div>{}</div>',
    "outlook web, prefixed": '<div id="x_divRplyFwdMsg"><b>From:</b> Ann<br></div><div>{}</div>',
    "outlook, appended": '<div id="appendonsend"></div><hr><div>Fra: x</div><div>{}</div>',
    "outlook desktop": '<div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p><b>Od:</b> Ann &lt;a@b.example&gt;<br>'
    "<b>Wysłano:</b> niedziela<br><b>Do:</b> Ivan<br><b>Temat:</b> x</p></div></div><p>{}</p>",
    "outlook mobile": '<div id="mail-editor-reference-message-container"><div>From: x</div>{}</div>',
    "apple": '<div><blockquote type="cite"><div>On 29 Nov 2026, at 18:00, Ann wrote:</div><div>{}</div></blockquote></div>',
    "thunderbird": '<div class="moz-cite-prefix">Am 29.11.26 um 18:00 schrieb Ann:</div><blockquote type="cite">{}</blockquote>',
    "yahoo": '<div id="yahoo_quoted_1" class="yahoo_quoted"><div>On Sunday, Ann wrote:</div><div>{}</div></div>',
    "proton": '<div class="protonmail_quote">On Sunday<blockquote class="protonmail_quote">{}</blockquote></div>',
    "gmx": '<div name="quote"><div>Gesendet: x</div><div name="quoted-content">{}</div></div>',
    "zoho": '<div class="zmail_extra"><div>---- On Sun Ann wrote ---</div><blockquote>{}</blockquote></div>',
    "yandex": '<div>29.11.2026, 18:00, "Ann" &lt;a@b.example&gt;:</div><blockquote><div>{}</div></blockquote>',
    "mail.ru": "<blockquote><div>Воскресенье, 29 ноября 2026, 18:00 от Ann &lt;a@b.example&gt;:</div>{}</blockquote>",
    "samsung": "<div>-------- Original message --------</div><div>From: Ann</div><div>{}</div>",
    "spark": '<div name="messageReplySection">On 29 <blockquote>{}</blockquote></div>',
    "notes": "<table><tr><td><b>Ann &lt;a@b.example&gt;</b><p>29.11.2026 18:00</td><td><table><tr><td>To</td><td>Ivan</td></tr>"
    "<tr><td>cc</td><td></td></tr><tr><td>Subject</td><td>x</td></tr></table></td></tr></table><br>{}",
    "outlook mobile, as text": "<div>Get Outlook for iOS&lt;https://aka.ms/o0ukef&gt;<br>________________________________<br>"
    "From: Ann &lt;a@b.example&gt;<br>Sent: Sunday<br>To: Ivan<br>Subject: x<br><br>{}</div>",
    "reply message": "<div>----- Reply message -----</div><div>{}</div>",
    "signature of spark": '<div name="messageSignatureSection"><br>Ivan {}</div>',
    "signature of front": '<div class="front-signature">Ivan {}</div>',
    "signature of fastmail": '<div id="sig1"><div class="signature">Ivan {}</div></div>',
    "signature of mail.ru": '<div data-signature-widget="container"><div>--<br>Иван {}</div></div>',
    "telephone": '<div>Get <a href="https://x.example">BlueMail for Android</a></div><blockquote>{}</blockquote>',
    "no end": "<blockquote type=cite>{}",
    "heads alone": "<p>Fra: Ann &lt;a@b.example&gt;<br>Sendt: 29<br>Til: Ivan<br>Emne: x</p><p>{}</p>",
    "signature": '<div class="gmail_signature">Ivan, manager. {}</div>',
}


@pytest.mark.parametrize("program", STRUCTURES)
def test_what_a_program_puts_into_a_quotation_is_not_the_writers(program: str) -> None:
    page = f"<div>Yes, 15.</div>{STRUCTURES[program].format(STOP)}"
    assert own_text("", page) == "Yes, 15."
    raw = f"From: a@b.example\r\nSubject: Re: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}"
    said = describe(raw.encode())
    assert (said["own_words"], said["opt_out"]) == ("Yes, 15.", None)


def test_an_answer_between_quotations_is_the_writers() -> None:
    between = '<div class="gmail_quote"><blockquote>How many?</blockquote></div><div>15</div><blockquote>x</blockquote>'
    assert own_text("", between) == "15"
    inside = '<div class="gmail_quote"><blockquote>How many?</blockquote><div>15</div><blockquote>x</blockquote></div>'
    assert own_text("", inside) == "15"
    ruled = '<p>Yes please</p><p style="border-top:1px solid #ccc">Ivan Petrov</p><p>Call me</p>'
    assert own_text("", ruled) == "Yes please\n\nIvan Petrov\n\nCall me"


@pytest.mark.parametrize("table", ["begins", "days", "device"])
def test_phrases_that_are_first_sought_in_lower_case_are_written_so(table: str) -> None:
    written = re.sub(r"\\.", "", phrases("quotation_phrases", table))
    assert written == written.lower()
