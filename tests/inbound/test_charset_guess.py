"""The charset of words that nothing usable is said about: letters in full, subjects of a word or two, UTF-16 and what is called so.

Which tables were measured, and how many are right, is in docs/letters.md.
"""

import pytest

from tracker.mail.mime.text import readable

CENTRAL = [
    "Dzień dobry, proszę o przesłanie oferty na czterdzieści krzeseł biurowych. Z poważaniem, Łukasz Żółty",
    "Dobrý den, prosím o zaslání nabídky na čtyřicet kancelářských židlí. Děkuji, Jiří Dvořák",
    "Dobrý deň, prosím o zaslanie ponuky na štyridsať kancelárskych stoličiek. Ďakujem, Ľuboš",
    "Jó napot, kérem küldjenek árajánlatot negyven irodai székre. Üdvözlettel, Győző Tóth",
    "Bună ziua, vă rog să ne trimiteţi o ofertă pentru patruzeci de scaune. Mulţumesc, Ştefan",
    "Dobar dan, molim pošaljite ponudu za četrdeset uredskih stolica. Srdačan pozdrav, Željko Đurić",
    "Dober dan, prosim pošljite ponudbo za štirideset pisarniških stolov. Lep pozdrav, Žiga",
    *("Oferta na krzesła biurowe", "Zapytanie o cenę", "Prośba o wycenę", "Łukasz Żółty", "Paweł Wiśniewski"),
    *("Dzień dobry", "Objednávka židlí", "Jiří Dvořák", "Žádost o nabídku", "Dopyt na stoličky", "Příloha.pdf"),
    *("Árajánlat kérése", "Győző Tóth", "Köszönöm szépen", "Narudžba stolica", "Željko Đurić", "Číslo účtu"),
    *("Účet", "Těším se", "Prosim črne stole", "Črna barva"),
]
WESTERN = [
    "Schöne Grüße aus München, wir möchten vierzig Stühle bestellen.",
    "Bonjour, pourriez-vous nous envoyer un devis pour quarante chaises ? Très cordialement, Hélène",
    "Buenos días, ¿podrían enviarnos un presupuesto de cuarenta sillas? Muchas gracias, Íñigo Muñoz",
    "Bom dia, gostaríamos de receber uma cotação de quarenta cadeiras de escritório. Atenção, João",
    "Hej, vi skulle vilja ha en offert på fyrtio kontorsstolar. Hälsningar, Åsa Öberg",
    *("Müller", "Größe", "Anfrage für Bürostühle", "Hélène Lefèvre", "Société Générale", "Commande n° 15"),
    *("Año nuevo", "Cotação de cadeiras", "Offert på kontorsstolar", "Tilbud på stole", "Forespørgsel", "Società"),
    *("Määrä", "Première commande", "Être rappelé", "Être là", "Tøj"),
]
CYRILLIC = [
    "Добрый день! Пришлите, пожалуйста, счёт на сорок офисных кресел. С уважением, Пётр",
    *("Счёт", "Заказ", "ЗАКАЗ", "СЧЁТ НА ОПЛАТУ ОТ ООО РОМАШКА", "Цена?", "Да", "Иван Петров", "Договор.pdf"),
]
TABLES = {
    **dict.fromkeys(("cp1250", "iso8859-2"), CENTRAL),
    **dict.fromkeys(("cp1252", "iso8859-15"), WESTERN),
    **dict.fromkeys(("cp1251", "koi8-r"), CYRILLIC),
    "cp1254": ["Kırk ofis koltuğu için fiyat teklifi rica ederiz", "Teşekkürler", "Gülşen Çağlı", "Ofis koltuğu"],
    "iso8859-9": ["Kırk ofis koltuğu için fiyat teklifi rica ederiz", "Teşekkürler", "Sipariş"],
    "cp1257": ["Laba diena, prašome atsiųsti pasiūlymą dėl kėdžių. Ačiū, Žydrūnas", "Kėdžių užsakymas", "Pasūtījums"],
    "koi8-u": ["Добрий день! Надішліть, будь ласка, рахунок на сорок крісел", "Рахунок", "Запит ціни"],
    **dict.fromkeys(("cp866", "iso8859-5", "mac-cyrillic"), CYRILLIC[:1]),
    **{key: ["Καλημέρα σας, παρακαλώ στείλτε μας προσφορά", "Προσφορά", "Ερώτηση"] for key in ("cp1253", "iso8859-7")},
    "cp1255": ["שלום רב, אנא שלחו לנו הצעת מחיר", "הצעת מחיר"],
    "cp1256": ["مرحبا، يرجى إرسال عرض سعر لأربعين كرسي", "عرض سعر"],
    "gb18030": ["您好，请给我们发送四十把办公椅的报价单。谢谢，张伟", "报价单", "询价", "您好", "张伟", "合同.pdf"],
    "big5": ["您好，請給我們發送四十把辦公椅的報價單。謝謝，張偉", "您好", "張偉", "辦公椅訂單"],
    "cp932": ["椅子四十脚の見積もりをお送りください。", "見積もりのお願い", "カタログ請求", "ありがとうございます"],
    "euc-jp": ["椅子四十脚の見積もりをお送りください。", "見積もりのお願い", "お問い合わせ", "ありがとうございます"],
    "cp949": [
        "안녕하세요. 사무용 의자 사십 개의 견적서를 보내 주시기 바랍니다.",
        "견적 요청",
        "문의드립니다",
        "김철수",
    ],
}
READINGS = [(codec, words) for codec, table in TABLES.items() for words in table]
RU, EN, DE = "Добрый день, пришлите счёт.\r\n", "Hello, please send a price.\r\n", "Schöne Grüße\r\n"


@pytest.mark.parametrize(("codec", "words"), READINGS)
def test_words_without_a_label_are_read(codec: str, words: str) -> None:
    assert readable(words.encode(codec)) == words


@pytest.mark.parametrize("words", [RU, EN, DE])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("label", ["", "utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "windows-1251", "unicode"])
def test_every_form_of_unicode_is_told_from_the_others_whatever_its_label(words: str, codec: str, label: str) -> None:
    assert readable(words.encode(codec), label) == words


@pytest.mark.parametrize(
    ("octets", "label", "words"),
    [
        (RU.encode("cp1251"), "utf-16", RU),
        (DE.encode("latin-1"), "utf-16le", DE),
        ("Да".encode("utf-16-le"), "utf-16", "Да"),
        ("Hi".encode("utf-16-be"), "utf-16", "Hi"),
        (b"Hi there", "utf-16", "Hi there"),
        ("您好".encode("utf-16-be"), "utf-16be", "您好"),
        (b"here\0 there, and on", "utf-8", "here there, and on"),
        (b"\0here there", "", "here there"),
    ],
)
def test_what_is_called_utf_16_and_what_is_it(octets: bytes, label: str, words: str) -> None:
    assert readable(octets, label) == words
