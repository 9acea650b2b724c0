"""Metrics of the driver: the use of its connection pools and the duration of commands."""

import math
from collections import defaultdict

from pymongo.common import MAX_POOL_SIZE
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

from storage.mongodb.histogram import Histogram

DRIVER_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram buckets, in seconds."""


class Pool:
    """The connection pool of one server: its limit, open and used connections, checkout times and failed checkouts."""

    def __init__(self) -> None:
        self.limit: float = MAX_POOL_SIZE
        self.open = 0
        self.in_use = 0
        self.checkouts = Histogram(DRIVER_BOUNDS)
        self.failures = 0


class DriverMetrics(ConnectionPoolListener, CommandListener):
    """Pools by server (`host:port`), and durations and failures by command name."""

    def __init__(self) -> None:
        self.pools: defaultdict[str, Pool] = defaultdict(Pool)
        self.commands: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(DRIVER_BOUNDS))
        self.command_failures: defaultdict[str, int] = defaultdict(int)

    def started(self, event: CommandStartedEvent) -> None:
        """Do nothing: the event of the reply carries the duration."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Record the duration of a command."""
        self.commands[event.command_name].add(event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        """Record a command that the server rejected or did not answer."""
        self.commands[event.command_name].add(event.duration_micros / 1e6)
        self.command_failures[event.command_name] += 1

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """Record the limit of a pool. The event contains only options that differ from the driver's defaults."""
        self._pool(event.address).limit = event.options.get("maxPoolSize", MAX_POOL_SIZE) or math.inf

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """Do nothing: each connection has events of its own."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """Do nothing: each connection has events of its own."""

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """Do nothing: each connection has events of its own."""

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        """Count an open connection."""
        self._pool(event.address).open += 1

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """Do nothing: the connection was counted when it was created."""

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """Count a connection as closed."""
        self._pool(event.address).open -= 1

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """Do nothing: a checkout that is cancelled while it waits has no further event."""

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """Count a failed checkout."""
        self._pool(event.address).failures += 1

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """Count a connection as used and record the checkout time."""
        pool = self._pool(event.address)
        pool.in_use += 1
        pool.checkouts.add(event.duration or 0.0)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """Count a connection as returned."""
        self._pool(event.address).in_use -= 1

    def _pool(self, address: tuple[str, int | None]) -> Pool:
        host, port = address
        return self.pools[f"{host}:{port}"]
