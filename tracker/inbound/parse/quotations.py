"""What the writer of a letter wrote, without what is quoted: by the structure of HTML first, by the heads that mail programs write
above quotations second, in any language. The phrases are in ``quotation_phrases.toml``. Pure; never raises."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

from turbohtml import Element, parse

from tracker.inbound.parse.letter_text import MOST_HTML, text_from_html, text_of
from tracker.inbound.parse.phrases import phrases

_QUOTED = ", ".join(
    [
        *(
            "blockquote",
            ".gmail_quote",
            ".gmail_quote_container",
            ".gmail_attr",
            ".yahoo_quoted",
            '[id^="yahoo_quoted"]',
            ".moz-cite-prefix",
        ),
        *(
            ".moz-forward-container",
            "#mail-editor-reference-message-container",
            "#OLK_SRC_BODY_SECTION",
            ".protonmail_quote",
        ),
        *(".tutanota_quote", ".zmail_extra", ".freshdesk_quote", ".missive_quote", ".mb_quote", "#reply-intro", "#qt"),
        *('[name="quote"]', '[name="messageReplySection"]', ".OutlookMessageHeader", ".mail-quote-collapse"),
    ]
)
"""What is quoted, whole. A name that ends in these is one that a program has put its own letters before (``x_…``)."""
_ANSWERED_INSIDE = "div.gmail_quote:has(> blockquote)"
"""In which answers may stand between the quotations."""
_OLDER_FROM = ", ".join(
    [
        *(
            '[id$="divRplyFwdMsg"]',
            '[id$="appendonsend"]',
            '[id$="stopSpelling"]',
            '[id$="ms-outlook-mobile-body-separator-line"]',
        ),
        *('[id$="replySplit"]', '[id$="divtagdefaultwrapper"] hr[tabindex="-1"]'),
    ]
)
"""Where an older message begins that goes on to the end."""
_RULED = '[style*="border-top"]'
_SIGNATURES = ", ".join(
    [
        *(
            ".gmail_signature",
            ".gmail_signature_prefix",
            ".moz-signature",
            ".protonmail_signature_block",
            "#AppleMailSignature",
        ),
        *("#Signature", "#ymail_android_signature", '[id$="ms-outlook-mobile-signature"]', "#composer_signature"),
        *('[data-smartmail="gmail_signature"]', '[name="messageSignatureSection"]', "[data-signature-widget]"),
        *(
            '[id^="mail-app-auto-default-signature"]',
            ".front-signature",
            ".sh-signature",
            "#psignature",
            ".k9mail-signature",
        ),
        *('[id^="sig"] > .signature', '[id^="sig"].signature', ".hs-signature", ".edo-signature"),
    ]
)
_SNIPPET = 300
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_QUOTE_MARK = "\n>\n"
_MOST_RULED = 50
_LOOK_AHEAD = 6
_LONGEST_LINE = 400
_LONGEST_HEAD = 300
_ADDRESS = re.compile(r"[^\s<>@\[(]{1,64}@[^\s<>@\])]{1,255}")
_TIME = re.compile(r"\d{1,2}[:.h]\d{2}|\d{1,2}\s?(?:am|pm|uhr)\b", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_MARK = re.compile(r"[-–—_=:：@\d]")
"""One of these is in every line that ends what the writer wrote, unless it begins with a phrase."""
_MAY_MARK = bytes.maketrans(
    b">_=:@0123456789\xd9\xdb\xdf\xe0\xe1\xea\xef\xf0", b"-" * 23
)  # and octets of UTF-8 with which digits of other scripts begin
_COLON = re.compile("[:：][\\s\u200b-\u200f\u202a-\u202e\u2066-\u2069]*$")
_SIGNATURE_LINE = re.compile(r"\s*(?:--|—|–)\s*$")
_RULE = re.compile(r"\s*[_]{10,}\s*$")
_REPLY_ABOVE = re.compile(
    r"\W*(?:please )?(?:type|write|enter) your (?:reply|answer) above this line|\W*reply above this line", re.IGNORECASE
)
_BARE_AUTHOR = re.compile(
    r"[^:]{0,80}<?[^\s<>@]{1,64}@[^\s<>]{1,255}>?\s+\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\s+\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]m)?\s+",
    re.IGNORECASE,
)
_AUTHOR = re.compile(r"[^:：]{1,40}[:：][^<>]{0,120}<[^\s<>@]{1,64}@[^\s<>]{1,255}>\s*$")
_LABEL = re.compile(r"[\s>*|_]*([^\s:：*][^:：*\n]{0,30}?)[\s*]*[:：]")


def own_text(text: str, html: str | None = None) -> str:
    """What the writer wrote: without quotations, the older message below, and the signature. ``html`` tells more where there is
    some."""
    if html and (outside := _outside_quotations(html)) is not None:
        text = outside
    return "\n".join(own_lines(text)).strip()


def own_lines(text: str) -> Iterator[str]:
    """The lines that are the writer's own. A head such as "Anna wrote:" goes with the lines it is written above."""
    lines, plain = lines_of(text)
    waiting: list[str] = []
    for number, line in enumerate(lines):
        if plain[number]:
            waiting.append(line)
        elif line.lstrip().startswith(">"):
            yield from _without_head(waiting)
            waiting = []
        elif not line.strip():
            if waiting and _next_filled(lines, number + 1).lstrip().startswith(">") and _ends_head(waiting[-1]):
                continue  # an empty line between head and quotation
            yield from [*waiting, line]
            waiting = []
        elif _ends_own(lines, number):
            break
        elif not _is_device_line(line) and not _REPLY_ABOVE.match(line):
            waiting.append(line)
    yield from waiting


@lru_cache(2)  # one letter's text is looked at for several reasons
def lines_of(text: str) -> tuple[Sequence[str], Sequence[bool]]:
    """The lines of a text, and of each whether it is plain: not blank, without quotation mark, and no closer look would find
    more in it than words. Nearly all are; octets tell it far faster than characters."""
    lines = text.splitlines()
    octets = "\n".join(lines).replace("–", "-").replace("—", "-").replace("：", "-").encode("utf-8", "surrogatepass")
    marks = octets.translate(_MAY_MARK).decode("latin-1").split("\n")
    openings = map(_openings().match, [line.lower() for line in lines])
    plain = [
        opening is None
        and not ("-" in mark and (">" in line or _MARK.search(line)))
        and not (line.isspace() or not line)
        for line, mark, opening in zip(lines, marks, openings, strict=False)
    ]
    return lines, plain


def begins_older(lines: Sequence[str], number: int) -> bool:
    """A title or a head above an older message stands on this line."""
    line = lines[number]
    if len(line) > _LONGEST_LINE or not line.strip():
        return False
    return is_title(line) or _is_unquoted_head(lines, number) or _is_block(lines, number)


def is_title(line: str) -> bool:
    """ "-----Original Message-----", "Begin forwarded message:"."""
    return len(line) <= _LONGEST_LINE and bool(_title().match(line))


def names_author(line: str) -> bool:
    """ "From: Anna <anna@…>" in any language."""
    label = _label(line)
    return label is not None and bool(_froms().fullmatch(label))


def snippet(text: str) -> str:
    """The beginning of what was written, on one line."""
    text = text[:20_000]
    return _beginning(own_lines(text)) or _beginning(text.splitlines())


def beginning(own: str) -> str:
    """The same of what :func:`own_text` gave."""
    return _beginning(own[:20_000].splitlines())


def _beginning(lines: Iterable[str]) -> str:
    words: list[str] = []
    length = 0
    for line in lines:
        further = _INVISIBLE.sub("", line).split()
        words += further
        length += sum(map(len, further)) + len(further)
        if length > _SNIPPET:
            break
    return " ".join(words)[:_SNIPPET]


def _without_head(paragraph: list[str]) -> list[str]:
    """The paragraph above quoted lines, without "On Sunday, Anna wrote:", which may go over three lines."""
    if not paragraph or not _ends_head(paragraph[-1]) or len(paragraph[-1]) > _LONGEST_HEAD:
        return paragraph
    last = len(paragraph) - 1
    while (
        last > 0
        and len(paragraph) - last < 3
        and not _begins_head(paragraph[last])
        and _begins_head(paragraph[last - 1])
    ):
        last -= 1
    return paragraph[:last]


def _ends_head(line: str) -> bool:
    """A colon, or the verb behind an address."""
    return bool(_COLON.search(line)) or (len(line) < _LONGEST_HEAD and bool(_wrote_at_end().search(line)))


def _begins_head(line: str) -> bool:
    """A line on which the date of an older message stands."""
    return bool(_DATE.search(line) and (_TIME.search(line) or "," in line)) and len(line) < _LONGEST_HEAD


def _ends_own(lines: Sequence[str], number: int) -> bool:
    line = lines[number]
    if len(line) > _LONGEST_LINE:
        return False
    if _SIGNATURE_LINE.match(line):
        return True
    return bool(_RULE.match(line)) or begins_older(lines, number) or _is_bare_block(lines, number)


def _is_unquoted_head(lines: Sequence[str], number: int) -> bool:
    """ "On Sunday, Anna <anna@…> wrote:" above an older message without quotation marks; it may be wrapped."""
    line = lines[number]
    if not _may_be_head(line):
        return False
    for further in range(3):
        after = number + further
        if after >= len(lines) or (further and not lines[after].strip()):
            return False
        if _ends_head(lines[after]) or lines[after].rstrip().endswith("---"):
            head = " ".join(lines[number : after + 1])
            quoted = _next_filled(lines, after + 1).lstrip().startswith(">")
            return not quoted and len(head) < _LONGEST_HEAD and _is_head(head)
    return False


def _may_be_head(line: str) -> bool:
    return bool(_DATE.search(line) or _TIME.search(line) or "@" in line or _day().match(line))


def _is_head(head: str) -> bool:
    """An address with a date or the verb, or date, time and verb."""
    wrote, dated = bool(_wrote().search(head)), bool(_DATE.search(head))
    timed, on_a_day = bool(_TIME.search(head)), bool(_day().match(head))
    if _ADDRESS.search(head):
        alone = re.fullmatch(r".{0,120}<[^<>@\s]{1,64}@[^<>\s]{1,255}>\s*[:：]\s*", head)
        return wrote or (dated and timed) or bool(alone)
    return wrote and (on_a_day or (dated and (timed or "," in head)))


def _is_block(lines: Sequence[str], number: int) -> bool:
    """From, Sent, To, Subject below each other, whatever their order and language."""
    first = _label(lines[number])
    if first is None:
        return False
    if not _froms().fullmatch(first):
        return (
            bool(_labels().fullmatch(first)) and _follows_an_author(lines, number) and _labels_from(lines, number) >= 3
        )
    if number > 1 and not lines[number - 1].strip() and _AUTHOR.match(lines[number]):
        return True
    is_form = not any(line.strip() for line in lines[:number]) and not _ADDRESS.search(lines[number])
    return _labels_from(lines, number + 1) >= (3 if is_form else 2)


def _is_bare_block(lines: Sequence[str], number: int) -> bool:
    """Notes, once more: who and when, then To, cc and Subject without colons, below or beside each other."""
    if not _ADDRESS.search(lines[number]):
        return False
    window = " ".join(lines[number : number + 12])[:_LONGEST_HEAD]
    dated = _BARE_AUTHOR.match(window)
    words = re.split(r"\s+", window[dated.end() :]) if dated else []
    return bool(words) and bool(_labels().fullmatch(words[0])) and sum(map(bool, map(_labels().fullmatch, words))) >= 3


def _labels_from(lines: Sequence[str], number: int) -> int:
    """How many different fields stand in the next lines."""
    below = [line for line in lines[number : number + 1 + _LOOK_AHEAD] if line.strip()][:_LOOK_AHEAD]
    return len({label for label in map(_label, below) if label is not None and _labels().fullmatch(label)})


def _follows_an_author(lines: Sequence[str], number: int) -> bool:
    """Notes writes who, and when, above To, Copy, Subject."""
    above = " ".join(lines[max(0, number - 4) : number])
    return bool(_ADDRESS.search(above) and _DATE.search(above))


def _label(line: str) -> str | None:
    label = _LABEL.match(line) if len(line) <= _LONGEST_LINE else None
    return label[1].strip().lower() if label else None


def _next_filled(lines: Sequence[str], number: int) -> str:
    return next((line for line in lines[number : number + 4] if line.strip()), "")


def _is_device_line(line: str) -> bool:
    return len(line) < 100 and bool(_device().match(line))


@cache
def _title() -> re.Pattern[str]:
    """Lines such as "-----Original Message-----", and those that end in a colon."""
    older, begins = phrases("quotation_phrases", "older"), phrases("quotation_phrases", "begins")
    wrote = phrases("quotation_phrases", "wrote")
    dashed = rf"[-_=]{{2,}}\s*(?:(?:{older})\b[^\n]{{0,60}}|[^\n]{{4,200}}(?:{wrote}))\s*[-_=]{{2,}}\s*$"
    return re.compile(rf"[\s>*]*(?:{dashed}|(?:{begins})\s*[:：]?\s*$)", re.IGNORECASE)


@cache
def _openings() -> re.Pattern[str]:
    """Beginnings, in lower case, of lines that may be more than the writer's words though no mark stands in them."""
    openings = "|".join(phrases("quotation_phrases", table) for table in ("begins", "days", "device"))
    return re.compile(rf"\W*(?:{openings}|(?:please )?(?:type|write|enter) your|reply above)")


@cache
def _wrote() -> re.Pattern[str]:
    return re.compile(rf"(?:{phrases('quotation_phrases', 'wrote')})(?!\w)", re.IGNORECASE)


@cache
def _wrote_at_end() -> re.Pattern[str]:
    return re.compile(rf"@[^\s@]{{1,255}}[>)]\s+(?:{phrases('quotation_phrases', 'wrote')})\s*$", re.IGNORECASE)


@cache
def _day() -> re.Pattern[str]:
    return re.compile(rf"\s*(?:{phrases('quotation_phrases', 'days')})(?!\w)", re.IGNORECASE)


@cache
def _froms() -> re.Pattern[str]:
    return re.compile(phrases("quotation_phrases", "from"), re.IGNORECASE)


@cache
def _labels() -> re.Pattern[str]:
    return re.compile(phrases("quotation_phrases", "labels"), re.IGNORECASE)


@cache
def _device() -> re.Pattern[str]:
    link = r"(?:\s*[<(]https?://[^\s<>()]{1,200}[>)])?"
    return re.compile(rf"\s*(?:{phrases('quotation_phrases', 'device')})\.?{link}\s*$", re.IGNORECASE)


def _outside_quotations(html: str) -> str | None:
    """The text of a document without what is quoted in it, a mark of quotation in its place; None where it cannot be had."""
    try:
        page = parse(html[:MOST_HTML])
        begins = page.select_one(_OLDER_FROM) or next(filter(_is_ruled_head, page.select(_RULED)[:_MOST_RULED]), None)
        if begins is not None:
            _cut(begins)
        for element in page.select(_SIGNATURES):
            element.decompose()
        answered = page.select(_ANSWERED_INSIDE)
        for element in page.select(_QUOTED):
            if not any(element is other for other in answered):
                element.clear()
                element.set_text(_QUOTE_MARK)
        return text_of(page)
    except Exception:  # a document that the parser refuses
        return None


def _is_ruled_head(element: Element) -> bool:
    """Outlook's line above From, Sent, To, Subject."""
    lines = [line for line in text_from_html(element.html[:4000]).splitlines() if line.strip()]
    return any(_is_block(lines, number) for number in range(min(2, len(lines))))


def _cut(begins: Element) -> None:
    """Takes an element out, and everything behind it."""
    for node in list(begins.following):
        node.extract()
    begins.decompose()
