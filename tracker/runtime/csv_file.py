"""CSV files however spreadsheets write them: with Excel's ``sep=`` line or without, divided by commas, semicolons, tabs or bars, in
UTF-8, UTF-16 or an older encoding, with empty lines before the heading. Decoded as read: a file is held once, as it came."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.runtime.localized_text import ActionError, LocalizedText

if TYPE_CHECKING:
    from _csv import Reader

_PIECE = 64 * 1024
_HINT = re.compile(r"""\s*"?sep=([,;\t|:])"?[,;\t]*[ ]*(?:\r\n|\r|\n)""", re.IGNORECASE)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class UnreadableFile(ActionError):
    """The file as a whole cannot be read; nothing of it was taken in."""

    def __init__(self, sentence: str) -> None:
        super().__init__("invalid", sentence, "file")


@dataclass(frozen=True)
class CsvRow:
    """``line`` is its first line in the file; ``problem`` says what is wrong with it as a row, which then has no cells."""

    line: int
    cells: list[str]
    problem: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of its bytes could be read: one that fits nothing is U+FFFD."""
        return "\ufffd" not in "".join(self.cells)


def read_csv(raw: bytes, guess: Callable[[bytes], str], *, strict: bool) -> tuple[list[str], Iterator[CsvRow]]:
    """The names of the first line in lower case, and the rows below that hold anything. ``guess`` names the encoding of what is no
    UTF; ``strict`` takes no quote within a cell. Raises :class:`UnreadableFile` before the first row."""
    if raw.startswith(_WORKBOOKS):
        raise UnreadableFile(
            LocalizedText("This is a workbook of a spreadsheet program. Save it as “CSV UTF-8” and try again.")
        )
    encoding = _encoding_of(raw, guess)
    file = io.TextIOWrapper(io.BytesIO(raw), encoding, "replace", newline="")
    head = file.read(_PIECE)
    hint = _HINT.match(head.lstrip("\ufeff"))
    start = len(head) - len(head.lstrip("\ufeff")) + (hint.end() if hint else 0)
    start += len(head[start:]) - len(head[start:].lstrip("\r\n"))
    file.seek(0)
    skipped = len(file.read(start).splitlines())
    reader = csv.reader(file, delimiter=hint[1] if hint else _delimiter(head[start:]), strict=strict)
    try:
        heading = [" ".join(name.split()).lower() for name in next(reader, [])]
    except csv.Error as error:
        raise UnreadableFile(LocalizedText("The heading cannot be read: %(problem)s.", problem=str(error))) from None
    return heading, _rows(reader, skipped)


def _encoding_of(raw: bytes, guess: Callable[[bytes], str]) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if raw[:200].count(b"\0") * 3 > len(raw[:200]):
        return "utf-16-le" if raw[1:2] == b"\0" else "utf-16-be"
    if raw.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return "utf-8" if _mostly_utf8(raw) else guess(raw)


def _mostly_utf8(raw: bytes) -> bool:
    """Most of what is not ASCII is UTF-8: then single wrong bytes are damage."""
    good = bad = 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for start in range(0, len(raw), _PIECE):
        piece = raw[start : start + _PIECE]
        if piece.isascii():
            continue
        text = decoder.decode(piece)
        wrong = text.count("\ufffd")
        good, bad = good + sum(letter > "\x7f" for letter in text) - wrong, bad + wrong
    return not bad or good > bad


def _delimiter(text: str) -> str:
    """What divides the names that we know best; a quoted name may hold any character."""
    heading = re.sub(r'"[^"]*"', "", text.partition("\n")[0].partition("\r")[0])
    return max(",;\t|", key=heading.count)


def _rows(reader: "Reader", skipped: int) -> Iterator[CsvRow]:
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield CsvRow(line, [], LocalizedText("Line %(line)s cannot be read: %(why)s", line=line, why=str(error)))
            continue
        if any(cell.strip() for cell in cells):
            yield CsvRow(line, cells)
