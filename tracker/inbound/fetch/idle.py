"""The talk of IDLE (RFC 2177) without its line: what the server said goes in, what is to be said comes out. Pure.

IMAPClient has IDLE too, but only for a server that answers at once and in whole lines: it takes an untagged answer before the
server's ``+`` for a refusal, and half a line for the end of the session.
"""

import re

MOST_HEARD = 4 * 1024 * 1024
"""Bytes a server may say within one IDLE; a line of it may have a sixteenth of that."""
_LITERAL = re.compile(rb"\{(\d{1,9})\+?\}\Z")
_COUNT = re.compile(rb"\* (\d{1,10}) (EXISTS|RECENT|EXPUNGE)\b", re.IGNORECASE)
GOODBYE = b"Z1 LOGOUT\r\n"


class Idle:
    """One folder that was opened with ``letters`` in it.

    ``news``: a letter came; whoever reads this sets it back. ``hears``: the server is telling us. ``over``: why there is nothing
    more to hope for, empty while there is: ``refused`` (it does no IDLE), ``bye``, ``ended``, ``nonsense``; ``said`` has its words.
    """

    def __init__(self, letters: int) -> None:
        self.letters = letters
        self.recent = 0
        self.news = False
        self.is_subscribed = False
        self.over = ""
        self.said = ""
        self._number = 0
        self._renewing = False
        self._heard = self._skip = 0
        self._rest = b""

    @property
    def waits(self) -> bool:
        """Whether the server owes us an answer."""
        return self._renewing or not self.is_subscribed

    def begin(self) -> bytes:
        """The first word."""
        self._number += 1
        self._heard = 0
        self._renewing = self.is_subscribed = False
        return b"%s IDLE\r\n" % self._tag

    def renew(self) -> bytes:
        """Ends this IDLE, so that another one begins once the server has said that it ended."""
        self._renewing = True
        return b"DONE\r\n"

    def leave(self) -> bytes:
        """The last word, whatever the server still owes us."""
        return (b"DONE\r\n" if self.is_subscribed and not self._renewing else b"") + GOODBYE

    def hear(self, octets: bytes) -> bytes:
        """Takes what the server said, and gives the answer to it."""
        self._heard += len(octets)
        rest, answer = self._rest + octets[self._skip :], b""
        self._skip = max(0, self._skip - len(octets))
        while b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            line = line.rstrip(b"\r")
            if literal := _LITERAL.search(line):
                rest = self._without(int(literal[1]), line[: literal.start()], rest)
            else:
                answer += self._line(line)
        self._rest = rest
        if self._heard > MOST_HEARD or len(rest) > MOST_HEARD // 16:
            self.over = self.over or "nonsense"
        return answer

    def _without(self, size: int, line: bytes, rest: bytes) -> bytes:
        """The line goes on after its literal, none of which is for us: a server may quote letters in what it tells."""
        self._skip = max(0, size - len(rest))
        return line + rest[size:]

    @property
    def _tag(self) -> bytes:
        return b"I%d" % self._number

    def _line(self, line: bytes) -> bytes:
        if line.startswith(b"+"):
            self.is_subscribed = True
        elif count := _COUNT.match(line):
            self._counted(int(count[1]), count[2].upper())
        elif line[:6].upper() == b"* BYE ":
            self.over, self.said = "bye", line[6:].decode("utf-8", "replace")[:300]
        elif line.startswith(self._tag + b" "):
            return self._answered(line[len(self._tag) + 1 :])
        return b""

    def _answered(self, words: bytes) -> bytes:
        done = words[:2].upper() == b"OK"
        if done and self._renewing:
            return self.begin()
        self.over = "ended" if done or self.is_subscribed else "refused"
        self.said = words.decode("utf-8", "replace")[:300]
        return b""

    def _counted(self, number: int, what: bytes) -> None:
        """A letter that went lowers the count without a word about the others; the same count again is no news."""
        if what == b"EXPUNGE":
            self.letters = max(0, self.letters - 1)
        elif what == b"EXISTS":
            self.news = self.news or number > self.letters
            self.letters = number
        else:
            self.news = self.news or number > self.recent
            self.recent = number
