"""The forwarding chain: believed from the right, through proxies we named, and no further. Traps E13 and E14."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel.proxies import Proxies, plain_address

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("2001:db8:1::/48")])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", ["8.8.8.8"], "192.0.2.1"),  # a stranger's header
        ("10.0.0.1", ["8.8.8.8"], "8.8.8.8"),
        ("10.0.0.1", ["1.1.1.1, 8.8.8.8"], "8.8.8.8"),  # the left part is the client's own invention
        ("10.0.0.1", ["1.1.1.1, 8.8.8.8, 10.0.0.2"], "8.8.8.8"),  # our own second hop is not the client
        ("10.0.0.1", ["1.1.1.1", "8.8.8.8", "10.0.0.2"], "8.8.8.8"),  # the same as three header lines
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # only our own people on the way
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["8.8.8.8, unknown"], "10.0.0.1"),  # nothing left of nonsense is believed
        ("10.0.0.1", ["8.8.8.8, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["8.8.8.8:51234"], "8.8.8.8"),
        ("10.0.0.1", ['"[2001:db8::7]:443"'], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:8.8.8.8"], "8.8.8.8"),
        ("2001:db8:1::9", ["fe80::1%eth0"], "fe80::1"),
        ("::1", ["8.8.8.8"], "::1"),
        ("", ["8.8.8.8"], ""),
    ],
)
def test_who_the_client_is(peer: str, forwarded_for: list[str], client: str) -> None:
    assert PROXIES.client(peer, [value.encode() for value in forwarded_for]) == client


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_header_gives_an_address(forwarded_for: list[bytes]) -> None:
    client = PROXIES.client("10.0.0.1", forwarded_for)
    assert plain_address(client) == client


def test_without_named_proxies_nothing_is_believed() -> None:
    assert Proxies([]).client("127.0.0.1", [b"8.8.8.8"]) == "127.0.0.1"
    assert not Proxies([]).trusts("127.0.0.1")
