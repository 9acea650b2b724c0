"""Where a request comes from: whoever is connected, or whom a balancer names that is believed."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from graph.asgi.headers import header

Network = IPv4Network | IPv6Network


class TrustedProxies:
    """The balancers whose `X-Forwarded-For` is believed, by their addresses or networks.

    Each balancer adds whom it was called by to the end of that header. So it is read from the end, up to the first
    address that is no balancer's: what stands before, anybody may have written.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(map(ip_network, networks))
        self._is_one = lru_cache(maxsize=1024)(self._is_within)

    def client(self, scope: Scope) -> str:
        """Return the address that a request comes from; empty where it is not known."""
        connected = scope.get("client")
        address: str = connected[0] if connected else ""
        if not self._is_one(address):
            return address
        for told in reversed(header(scope, b"x-forwarded-for").split(",")):
            if not told.strip():
                break
            address = told.strip()[:64]
            if not self._is_one(address):
                break
        return address

    def _is_within(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)
