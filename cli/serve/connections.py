"""The state that the connections of a process share: their limit, and the sweep that closes those of slow clients.

Nothing is timed for each request. Once a second the sweep looks at every connection, which counts the seconds that it
has waited for its client.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from uvicorn.server import ServerState

from cli.serve.stall_detector import StallDetector

RESERVED_CONNECTIONS = 64
"""Connections over the limit that may send a health check. If all are taken, a new one displaces the oldest."""

SWEEP_INTERVAL_SECONDS = 1.0

MAX_SWEEP_SECONDS = 2 * SWEEP_INTERVAL_SECONDS
"""Most seconds that one sweep counts: clients are not charged for the time in which the process itself is held up."""

MAX_UNREAD_BYTES = 64 << 20
"""Bytes that all clients together may leave unread in the memory of the process."""

REPORT_INTERVAL_SECONDS = 60.0
"""Interval of the log line with the number of connections that were refused or closed, by reason."""

log = logging.getLogger("pricebook.cli")


class Connection(Protocol):
    """A connection as the sweep sees it."""

    stall: StallDetector

    def check(self, elapsed: float) -> None:
        """Count the seconds since the last sweep, and close the connection if its client is too slow."""

    def give_up(self) -> None:
        """Close the connection at once, because its client does not read."""


class ReserveConnection(Protocol):
    """A connection over the limit, which only health checks may use."""

    @property
    def is_waiting(self) -> bool:
        """Whether it has not sent its request yet."""

    def displace(self) -> None:
        """Refuse the connection, because a newer one needs its place."""


class ConnectionState(ServerState):
    """uvicorn's state of a server, with a limit of connections and a sweep over them."""

    def __init__(self, max_connections: int) -> None:
        super().__init__()
        self.max_connections = max_connections
        self.reserve: dict[ReserveConnection, None] = {}
        self._closed: Counter[str] = Counter()
        self._swept_at = self._reported_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Whether a further connection is over the limit."""
        return len(self.connections) - len(self.reserve) >= self.max_connections

    def enter_reserve(self, connection: ReserveConnection) -> bool:
        """Give a connection over the limit a place in the reserve; return False if it has none."""
        if len(self.reserve) >= RESERVED_CONNECTIONS:
            oldest = next((each for each in self.reserve if each.is_waiting), None)
            if oldest is None:
                return False
            oldest.displace()
        self.reserve[connection] = None
        return True

    def stays_in_reserve(self, connection: ReserveConnection) -> bool:
        """Return whether a connection is still in the reserve. Removes it if there is room now."""
        if connection in self.reserve and not self.is_full:
            del self.reserve[connection]
        return connection in self.reserve

    def count_closed(self, reason: str) -> None:
        """Count a connection that was refused or closed, for the report in the log."""
        self._closed[reason] += 1

    def sweep(self) -> None:
        """Check every connection, and all together."""
        now = time.monotonic()
        elapsed = min(now - self._swept_at, MAX_SWEEP_SECONDS)
        self._swept_at = now
        connections: list[Connection] = list(self.connections)  # type: ignore[arg-type]
        for connection in connections:
            try:
                connection.check(elapsed)
            except Exception:  # it must not end the server
                log.exception("A connection could not be checked.")
        _limit_unread(connections)
        if self._closed and now - self._reported_at >= REPORT_INTERVAL_SECONDS:
            self._reported_at = now
            reasons = ", ".join(f"{number} ({reason})" for reason, number in sorted(self._closed.items()))
            log.warning("Connections refused or closed since the last report: %s.", reasons)
            self._closed.clear()


def _limit_unread(connections: Sequence[Connection]) -> None:
    """Close those that have read nothing for longest, until the rest leave at most `MAX_UNREAD_BYTES` unread."""
    unread = sum(connection.stall.buffered for connection in connections)
    if unread <= MAX_UNREAD_BYTES:
        return
    for connection in sorted(connections, key=lambda each: (each.stall.seconds, each.stall.buffered), reverse=True):
        if unread <= MAX_UNREAD_BYTES:
            return
        unread -= connection.stall.buffered
        connection.give_up()
