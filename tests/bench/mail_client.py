"""A process of its own that submits mail as fast as it is answered: port, token, clients, ``kept`` or ``each``, seconds.

It prints how many messages were accepted, and the median and the 99th percentile of their times in seconds; with ``each`` a time
covers connecting and signing in, too.
"""

import asyncio
import sys
import time
from base64 import b64encode, encodebytes

SENDER, RECIPIENT = b"alice@seller.example", b"anna@client.example"
HTML = b"<p>Dear client, here is <a href='https://shop.example/offer'>the offer</a>.</p>"


def content(kilobytes: float) -> bytes:
    """Everything behind the Message-ID, with HTML and a file of about this size before its encoding, and the final dot."""
    file = encodebytes(b"%PDF-1.7 offer " * max(1, int(kilobytes * 1024 / 15))).replace(b"\n", b"\r\n")
    return (
        b"From: alice@seller.example\r\nTo: anna@client.example\r\nSubject: Offer\r\nMIME-Version: 1.0\r\n"
        b"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        + HTML
        + b"\r\n--x\r\nContent-Type: application/pdf\r\n"
        b"Content-Disposition: attachment; filename=offer.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + file
        + b"--x--\r\n.\r\n"
    )


class Line:
    """A connection that is signed in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def opened(cls, port: int, token: str) -> "Line":
        line = cls(*await asyncio.open_connection("127.0.0.1", port))
        await line.says(b"")
        await line.says(b"EHLO laptop.example\r\n")
        await line.says(b"AUTH PLAIN " + b64encode(b"\0" + SENDER + b"\0" + token.encode()) + b"\r\n")
        return line

    async def says(self, text: bytes) -> None:
        self._writer.write(text)
        while (reply := await self._reader.readline())[3:4] == b"-":
            pass
        if reply[:1] not in b"23" or not reply:
            raise RuntimeError(reply.decode())

    async def submit(self, message_id: str, rest: bytes) -> None:
        await self.says(b"MAIL FROM:<" + SENDER + b">\r\n")
        await self.says(b"RCPT TO:<" + RECIPIENT + b">\r\n")
        await self.says(b"DATA\r\n")
        await self.says(f"Message-ID: <{message_id}@laptop.example>\r\n".encode() + rest)

    async def close(self) -> None:
        await self.says(b"QUIT\r\n")
        self._writer.close()


async def client(name: int, port: int, token: str, is_kept: bool, until: float, times: list[float]) -> None:
    rest, line = content(5), None
    while (began := time.monotonic()) < until:
        line = line or await Line.opened(port, token)
        await line.submit(f"{name}.{time.monotonic_ns()}", rest)
        times.append(time.monotonic() - began)
        if not is_kept:
            await line.close()
            line = None


async def main(port: str, token: str, clients: str, how: str, seconds: str) -> None:
    times: list[float] = []
    until = time.monotonic() + float(seconds)
    await asyncio.gather(*(client(n, int(port), token, how == "kept", until, times) for n in range(int(clients))))
    times.sort()
    print(len(times), times[len(times) // 2], times[len(times) * 99 // 100])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
