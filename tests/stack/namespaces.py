"""Network namespaces that a bridge connects to a private network on this machine. All are deleted at the end.

Requires root and iproute2.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PORT = 27017
"""The port of each member: the same, since each has its own namespace."""


def are_supported() -> bool:
    """Return whether tests can create namespaces on this machine."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"pb{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        return False
    ip("netns", "del", name)
    return True


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Namespace:
    """A host in the private network, which can be isolated."""

    def __init__(self, bridge: str, network: str, number: int) -> None:
        self._name = f"{bridge}m{number}"
        self.host = f"{network}.{number + 2}"
        self.command = ["ip", "netns", "exec", self._name]
        ip("netns", "add", self._name)
        ip("link", "add", self._name, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        ip("link", "set", self._name, "master", bridge, "up")
        for arguments in (["addr", "add", f"{self.host}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            ip("-n", self._name, *arguments)
        ip("-n", self._name, "link", "set", "lo", "up")

    def isolate(self) -> None:
        """Block all traffic to and from the host."""
        ip("link", "set", self._name, "down")

    def reconnect(self) -> None:
        ip("link", "set", self._name, "up")

    def delete(self) -> None:
        ip("netns", "del", self._name)
        with suppress(subprocess.CalledProcessError):  # may already be deleted with its namespace
            ip("link", "del", self._name)


@contextmanager
def connected(count: int) -> Iterator[list[Namespace]]:
    """Create `count` namespaces that can reach each other and this machine."""
    token = secrets.token_hex(2)
    bridge, network = f"pb{token}", f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
    created: list[Namespace] = []
    ip("link", "add", bridge, "type", "bridge")
    try:
        ip("addr", "add", f"{network}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        created.extend(Namespace(bridge, network, each) for each in range(count))
        yield created
    finally:
        for each in created:
            each.delete()
        ip("link", "del", bridge)
