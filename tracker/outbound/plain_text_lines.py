"""Offsets in a document from the lines and columns that the tokenizer gives."""

import re

from turbohtml import TokenType, tokenize

_LINE_END = re.compile(r"\r\n?|\n")


class Lines:
    """Offsets from lines and columns, asked for in the order of the document. Lines end as the HTML standard says."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._line = 1
        self._start = 0
        returns = html.count("\r")
        self._pairs = html.count("\r\n") if returns else 0
        self._bare_returns = returns != self._pairs

    def offset(self, line: int, col: int) -> int:
        while self._line < line:
            self._start = self._next_line()
            self._line += 1
        return self._start + col

    def end(self, start: int, source: str) -> int:
        """Where a tag ends that begins at `start`; the tokenizer gives its source with every line end as one character."""
        end = start + len(source)
        if self._pairs and "\n" in source:
            while (wanted := start + len(source) + self._html.count("\r\n", start, end)) > end:
                end = wanted
        return end

    def _next_line(self) -> int:
        if not self._bare_returns:
            return self._html.find("\n", self._start) + 1
        end = _LINE_END.search(self._html, self._start)
        return end.end() if end else len(self._html)


def ends_in_text(probe: str) -> bool:
    """True when markup appended to the text is read as markup: no open comment, tag or raw text element."""
    found = [one for one in tokenize(probe + "<br>", capture_attributes=False) if one.type is TokenType.START_TAG]
    return bool(found) and Lines(probe).offset(found[-1].line, found[-1].col) == len(probe)
