"""The client's address: that of the connection, or the one that a trusted proxy reports."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from graph.request_state import RequestState

MAX_ADDRESS_LENGTH = 64
"""Number of characters of a reported address that are used."""

IPV6_PREFIX_LENGTH = 64
"""Length of the network prefix of a client's IPv6 addresses (RFC 6177)."""

Network = IPv4Network | IPv6Network


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` is trusted, by address or network.

    A proxy appends the address of its client to that header. So it is read from the end, up to the first address that
    is not a trusted proxy: everything before it can be forged.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(map(ip_network, networks))
        self._is_trusted = lru_cache(maxsize=1024)(self._is_in_networks)
        self._counted = lru_cache(maxsize=1024)(_counted)

    def client_address(self, peer: tuple[str, int] | None, state: RequestState) -> str:
        """Return the address by which limits count a client. For IPv6 it is the /64 network, which one client has.

        Empty if it is unknown. `peer` is the other end of the connection.
        """
        return self._counted(self._address(peer[0] if peer else "", state))

    def _address(self, address: str, state: RequestState) -> str:
        if not self._is_trusted(address):
            return address
        for forwarded_for in reversed(state.header(b"x-forwarded-for").split(",")):
            if not forwarded_for.strip():
                break
            address = _without_port(forwarded_for.strip()[:MAX_ADDRESS_LENGTH])
            if not self._is_trusted(address):
                break
        return address

    def _is_in_networks(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def _without_port(address: str) -> str:
    """Return an address without the port that some proxies append: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _counted(address: str) -> str:
    if ":" not in address:
        return address
    try:
        ip = IPv6Address(address)
    except ValueError:
        return address
    return str(ip.ipv4_mapped or IPv6Network((ip, IPV6_PREFIX_LENGTH), strict=False))
