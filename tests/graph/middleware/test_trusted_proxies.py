"""Where a request comes from, behind balancers and without."""

import pytest

from graph.asgi.headers import headers_by_name
from graph.middleware.trusted_proxies import TrustedProxies
from graph.request_state import RequestState

BALANCERS = TrustedProxies(["10.0.0.0/8", "::1"])


def client(connected: str | None, *told: str) -> str:
    headers = headers_by_name([(b"x-forwarded-for", each.encode()) for each in told])
    return BALANCERS.client_address((connected, 1) if connected else None, RequestState(headers))


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
    state = RequestState({b"x-forwarded-for": b"192.0.2.7"})
    assert TrustedProxies().client_address(("127.0.0.1", 1), state) == "127.0.0.1"
