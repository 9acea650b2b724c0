"""Network namespaces, connected by a bridge on this machine, in a private network; all of it goes at the end.

Wants root and iproute2.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PORT = 27017
"""In a namespace of its own everybody has the same."""


def can_be_made() -> bool:
    """Whether this machine lets its tests make namespaces."""
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
    """A host of its own, which can be cut off."""

    def __init__(self, bridge: str, network: str, number: int) -> None:
        self._name = f"{bridge}m{number}"
        self.host = f"{network}.{number + 2}"
        self.command = ["ip", "netns", "exec", self._name]
        ip("netns", "add", self._name)
        ip("link", "add", self._name, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        ip("link", "set", self._name, "master", bridge, "up")
        for inside in (["addr", "add", f"{self.host}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            ip("-n", self._name, *inside)
        ip("-n", self._name, "link", "set", "lo", "up")

    def close(self) -> None:
        """Let nothing through to it, nor from it."""
        ip("link", "set", self._name, "down")

    def open(self) -> None:
        ip("link", "set", self._name, "up")

    def end(self) -> None:
        ip("netns", "del", self._name)
        with suppress(subprocess.CalledProcessError):  # it goes with its namespace, sooner or later
            ip("link", "del", self._name)


@contextmanager
def connected(number: int) -> Iterator[list[Namespace]]:
    """So many namespaces that reach each other, and are reached from this machine."""
    token = secrets.token_hex(2)
    bridge, network = f"pb{token}", f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
    made: list[Namespace] = []
    ip("link", "add", bridge, "type", "bridge")
    try:
        ip("addr", "add", f"{network}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        made.extend(Namespace(bridge, network, each) for each in range(number))
        yield made
    finally:
        for each in made:
            each.end()
        ip("link", "del", bridge)
