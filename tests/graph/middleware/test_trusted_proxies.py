"""The address of the client, with and without trusted proxies."""

import pytest

from graph.asgi.headers import headers_by_name
from graph.middleware.trusted_proxies import TrustedProxies
from graph.request_state import RequestState

PROXIES = TrustedProxies(["10.0.0.0/8", "::1"])


def client_address(peer: str | None, *forwarded_for: str) -> str:
    headers = headers_by_name([(b"x-forwarded-for", value.encode()) for value in forwarded_for])
    return PROXIES.client_address((peer, 1) if peer else None, RequestState(headers))


def test_the_peer_is_the_client() -> None:
    assert client_address("192.0.2.7") == "192.0.2.7"
    assert client_address(None) == ""


def test_only_a_trusted_proxy_is_believed() -> None:
    assert client_address("192.0.2.7", "198.51.100.1") == "192.0.2.7"
    assert client_address("10.1.2.3", "198.51.100.1") == "198.51.100.1"
    assert client_address("::1", "198.51.100.2") == "198.51.100.2"


@pytest.mark.parametrize("reported", ["198.51.100.1:4711", "198.51.100.1"])
def test_a_port_is_no_part_of_an_address(reported: str) -> None:
    assert client_address("10.1.2.3", reported) == "198.51.100.1"
    assert client_address("10.1.2.3", "[2001:db8::1]:4711") == "2001:db8::/64"


def test_an_ipv6_client_is_counted_by_its_network() -> None:
    for address in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:0DB8:0:1::"):
        assert client_address(address) == client_address("::1", address) == "2001:db8:0:1::/64"
    assert client_address("2001:db8:0:2::1") == "2001:db8:0:2::/64"
    assert client_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert client_address("fe80::1%eth0") == "fe80::/64"


@pytest.mark.parametrize(
    "forwarded_for", [("192.0.2.9, 198.51.100.1, 10.9.9.9",), ("192.0.2.9", "198.51.100.1", "10.9.9.9")]
)
def test_addresses_that_a_client_forged_are_ignored(forwarded_for: tuple[str, ...]) -> None:
    assert client_address("10.1.2.3", *forwarded_for) == "198.51.100.1"


@pytest.mark.parametrize("forwarded_for", ["", " ", ","])
def test_a_proxy_that_reports_no_address_is_the_client(forwarded_for: str) -> None:
    assert client_address("10.1.2.3", forwarded_for) == "10.1.2.3"


def test_the_first_address_is_the_client_if_all_are_trusted() -> None:
    assert client_address("10.1.2.3", "10.4.5.6") == "10.4.5.6"


def test_without_trusted_proxies_no_header_is_believed() -> None:
    state = RequestState({b"x-forwarded-for": b"192.0.2.7"})
    assert TrustedProxies().client_address(("127.0.0.1", 1), state) == "127.0.0.1"
