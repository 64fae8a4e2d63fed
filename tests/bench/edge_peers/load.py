"""Load for the edge and its peers: 64 kept connections that ask for one address as fast as they are answered."""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
READER = {
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Accept": "image/avif,image/webp,image/apng,image/*,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-US,en;q=0.9",
    "Sec-Fetch-Dest": "image",
    "Sec-Fetch-Mode": "no-cors",
    "Sec-Fetch-Site": "cross-site",
    "Referer": "https://mail.example.org/",
}
"""A browser with web mail, as most people who open a pixel have."""

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Load:
    """What the clients saw: answers per second, and the time (ms) that half and 99 of 100 answers stayed under."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int


RESOLVE = Path(__file__).with_name("resolve.lua")


def load(
    port: int,
    target: str,
    seconds: int,
    on_core: int | None,
    headers: Mapping[str, str] = READER,
    script: Path | None = None,
) -> Load:
    """Loads by wrk where it is installed, by Python otherwise (which is slower than most servers it measures). With a ``script``
    wrk is needed: it makes the requests."""
    if shutil.which("wrk") is None:
        return asyncio.run(_load_by_python(port, target, seconds, headers))
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--duration",
        f"{seconds}s",
        "--latency",
        "--timeout",
        "30s",
    ]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    command += [] if script is None else ["--script", str(script)]
    pin = [] if on_core is None else ["taskset", "-c", str(on_core)]
    said = subprocess.run(
        [*pin, *command, f"http://127.0.0.1:{port}{target}"], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"the server failed under load: {said}")
    return Load(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", said)[0]),
        p50_ms=_milliseconds(_found(r"50%\s+([\d.]+)(us|ms|s|m)", said)),
        p99_ms=_milliseconds(_found(r"99%\s+([\d.]+)(us|ms|s|m)", said)),
        answers=int(_found(r"(\d+) requests in", said)[0]),
    )


def _found(pattern: str, said: str) -> tuple[str, ...]:
    match = re.search(pattern, said)
    if match is None:
        raise RuntimeError(f"wrk said nothing about {pattern}: {said}")
    return match.groups()


def _milliseconds(figure: tuple[str, ...]) -> float:
    return float(figure[0]) * _UNITS[figure[1]]


async def _load_by_python(port: int, target: str, seconds: int, headers: Mapping[str, str]) -> Load:
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    question = "\r\n".join([*lines, "", ""]).encode()
    ends, times = time.perf_counter() + seconds, list[float]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked := time.perf_counter()) < ends:
            writer.write(question)
            top = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", top)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(time.perf_counter() - asked)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    times.sort()
    middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
    return Load(len(times) / seconds, middle * 1000, late * 1000, len(times))
