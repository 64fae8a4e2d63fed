"""A process of its own that takes all mail and keeps none of it. It prints its port."""

import asyncio

_REPLIES = {
    b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-SIZE 99999999\r\n250 SMTPUTF8\r\n",
    b"DATA": b"354 Go on\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
TAKEN = b"250 2.0.0 Taken\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 sink\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        writer.write(_REPLIES.get(verb, TAKEN))
        if verb == b"DATA":
            await _content(reader)
            writer.write(TAKEN)
    writer.close()


async def _content(reader: asyncio.StreamReader) -> None:
    while True:
        try:
            await reader.readuntil(b"\r\n.\r\n")
            return
        except asyncio.LimitOverrunError as overrun:
            await reader.read(overrun.consumed)


async def main() -> None:
    server = await asyncio.start_server(serve, "0.0.0.0", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
