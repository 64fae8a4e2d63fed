"""Where we connect to: names are resolved once, what they lead to is judged, and the address that was judged is connected to."""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpx

from tracker.runtime.settings import Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""Nothing else of IPv6 is given to hosts of the Internet (RFC 4291): not what embeds an IPv4 address (``::/96``, NAT64's
``64:ff9b::/96``), not site-local (``fec0::/10``), not multicast."""
_NOT_HOSTS = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Protocol assignments with Teredo, documentation, 6to4."""
_RELAYS = "192.88.99."
"""Of 6to4 (RFC 7526)."""
MOST_BYTES = 4 * 1024 * 1024
"""Of an answer of a web server that we ask."""


class AddressRefused(OSError):
    """A name leads only to addresses where we do not connect."""


def is_public(address: str) -> bool:
    """Whether a host at this IP address is on the Internet: globally routed, and in no range that leads back into a private one."""
    ip = plain_ip(address)
    if isinstance(ip, IPv6Address):
        return ip in _GLOBAL_UNICAST and ip.is_global and not any(ip in network for network in _NOT_HOSTS)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not str(ip).startswith(_RELAYS)


def is_allowed(address: str, networks: Iterable[Network]) -> bool:
    """The same, or in a network that the operator allows."""
    ip = plain_ip(address)
    return is_public(address) or any(ip in network for network in networks)


def plain_ip(address: str) -> IPv4Address | IPv6Address:
    """Without zone; IPv4 inside IPv6 as the IPv4 that the system connects to."""
    ip = ip_address(address.partition("%")[0])
    return ip.ipv4_mapped if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None else ip


def resolved(host: str, port: int, networks: Iterable[Network]) -> list[str]:
    """The IP addresses of a host where we may connect, the best first.

    Raises :class:`socket.gaierror` when there is none, :class:`AddressRefused` when we may connect to none.
    """
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    networks = tuple(networks)
    addresses = [address for address in (str(entry[4][0]) for entry in entries) if is_allowed(address, networks)]
    if not addresses:
        raise AddressRefused(f"{host} lies in a private network")
    return list(dict.fromkeys(addresses))


def web_request(
    method: str,
    url: str,
    *,
    tls: ssl.SSLContext,
    networks: Iterable[Network],
    seconds: float,
    headers: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
    content: bytes | None = None,
    most_bytes: int = MOST_BYTES,
    is_cut: bool = False,
) -> httpx.Response:
    """Asks a web server, at an address that was judged. Follows no redirect. ``seconds`` are for the whole answer, however slowly
    it drips, and of its content ``most_bytes`` at most are read: of more the rest is left unread, or else it is no answer.

    Raises :class:`httpx.HTTPError` for whatever keeps it from answering, :class:`httpx.TimeoutException` when it takes too long.
    """
    target = httpx.URL(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        addresses = resolved(target.host, port, networks)
    except (OSError, UnicodeError) as error:  # a label too long for IDNA
        raise httpx.ConnectError(str(error)) from error
    # The name still goes into the Host header and, for the certificate, into the handshake.
    named = {**(headers or {}), "Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
    words: dict[str, Any] = {
        "headers": named,
        "data": data,
        "content": content,
        "extensions": {"sni_hostname": target.host},
    }

    async def answer() -> httpx.Response:
        async with asyncio.timeout(seconds), httpx.AsyncClient(verify=tls, timeout=seconds, trust_env=False) as client:
            places = (target.copy_with(host=address) for address in addresses)
            requests = [client.build_request(method, place, **words) for place in places]
            return await _read(await _first_answer(client, requests), most_bytes, is_cut)

    try:
        return asyncio.run(answer())
    except TimeoutError:
        raise httpx.ReadTimeout("the answer takes too long") from None


async def _first_answer(client: httpx.AsyncClient, requests: Sequence[httpx.Request]) -> httpx.Response:
    """That of the first address to which there is a connection."""
    for request in requests[:-1]:
        with suppress(httpx.ConnectError, httpx.ConnectTimeout):
            return await client.send(request, stream=True)
    return await client.send(requests[-1], stream=True)


async def _read(answer: httpx.Response, most_bytes: int, is_cut: bool) -> httpx.Response:
    content = bytearray()
    try:
        async for piece in answer.aiter_raw():  # not unpacked: a megabyte may be packed into a thousand bytes
            content += piece
            if len(content) > most_bytes and is_cut:
                break
            if len(content) > most_bytes:
                raise httpx.ReadError("the answer is too long")
    finally:
        await answer.aclose()
    plain = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_WAY]
    return httpx.Response(answer.status_code, headers=plain, content=bytes(content), request=answer.request)


_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")
