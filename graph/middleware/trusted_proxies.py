"""The client's address: that of the connection, or the one that a trusted proxy reports."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from graph.request_state import RequestState

MAX_ADDRESS_LENGTH = 64
"""Number of characters of a reported address that are used."""

Network = IPv4Network | IPv6Network


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` is trusted, by address or network.

    A proxy appends the address of its client to that header. So it is read from the end, up to the first address that
    is not a trusted proxy: everything before it can be forged.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(map(ip_network, networks))
        self._is_trusted = lru_cache(maxsize=1024)(self._is_in_networks)

    def client_address(self, peer: tuple[str, int] | None, state: RequestState) -> str:
        """Return the address of the client; empty if it is unknown. `peer` is the other end of the connection."""
        address = peer[0] if peer else ""
        if not self._is_trusted(address):
            return address
        for forwarded_for in reversed(state.header(b"x-forwarded-for").split(",")):
            if not forwarded_for.strip():
                break
            address = forwarded_for.strip()[:MAX_ADDRESS_LENGTH]
            if not self._is_trusted(address):
                break
        return address

    def _is_in_networks(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)
