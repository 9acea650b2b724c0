"""Where a request comes from, behind balancers and without."""

import pytest

from graph.middleware.trusted_proxies import TrustedProxies

BALANCERS = TrustedProxies(["10.0.0.0/8", "::1"])


def client(connected: str | None, *told: str) -> str:
    headers = [(b"x-forwarded-for", each.encode()) for each in told]
    return BALANCERS.client({"client": connected and (connected, 1), "headers": headers})


def test_whoever_is_connected_is_the_client() -> None:
    assert client("192.0.2.7") == "192.0.2.7"
    assert client(None) == ""


def test_only_a_balancer_is_believed() -> None:
    assert client("192.0.2.7", "198.51.100.1") == "192.0.2.7"
    assert client("10.1.2.3", "198.51.100.1") == "198.51.100.1"
    assert client("::1", "2001:db8::1") == "2001:db8::1"


@pytest.mark.parametrize("told", [("192.0.2.9, 198.51.100.1, 10.9.9.9",), ("192.0.2.9", "198.51.100.1", "10.9.9.9")])
def test_what_a_client_wrote_itself_is_passed_over(told: tuple[str, ...]) -> None:
    assert client("10.1.2.3", *told) == "198.51.100.1"


@pytest.mark.parametrize("told", ["", " ", ","])
def test_a_balancer_that_tells_nothing_is_the_client(told: str) -> None:
    assert client("10.1.2.3", told) == "10.1.2.3"


def test_a_request_of_a_balancer_itself_is_its_own() -> None:
    assert client("10.1.2.3", "10.4.5.6") == "10.4.5.6"


def test_without_balancers_nobody_is_believed() -> None:
    assert (
        TrustedProxies().client({"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", b"192.0.2.7")]})
        == "127.0.0.1"
    )
