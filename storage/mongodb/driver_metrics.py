"""What the driver does, counted: how its pools of connections are used, and how long commands take."""

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


class Pool:
    """The connections to one server: how many there may be, are, and are in use, and how long they were waited for."""

    def __init__(self) -> None:
        self.limit: float = MAX_POOL_SIZE
        self.open = 0
        self.in_use = 0
        self.checkouts = Histogram(DRIVER_BOUNDS)
        self.failures = 0


class DriverMetrics(ConnectionPoolListener, CommandListener):
    """Counts by server, as `host:port`, and by the command's name. A command takes as long as its answer does."""

    def __init__(self) -> None:
        self.pools: defaultdict[str, Pool] = defaultdict(Pool)
        self.commands: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(DRIVER_BOUNDS))
        self.command_failures: defaultdict[str, int] = defaultdict(int)

    def started(self, event: CommandStartedEvent) -> None:
        """Do nothing: the driver tells with the answer how long it took."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Count a command."""
        self.commands[event.command_name].add(event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        """Count a command that the server refused, or did not answer."""
        self.commands[event.command_name].add(event.duration_micros / 1e6)
        self.command_failures[event.command_name] += 1

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """Take note of a server. The event names only options that differ from the driver's defaults."""
        self._pool(event.address).limit = event.options.get("maxPoolSize", MAX_POOL_SIZE) or math.inf

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """Do nothing: the connections tell of themselves."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """Do nothing: the connections tell of themselves."""

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """Do nothing: the connections tell of themselves."""

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        """Count a connection."""
        self._pool(event.address).open += 1

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """Do nothing: it was counted when it was created."""

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """Count one less."""
        self._pool(event.address).open -= 1

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """Do nothing: one that is cancelled while it waits is never told of again."""

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """Count who waited in vain."""
        self._pool(event.address).failures += 1

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """Count a connection in use."""
        pool = self._pool(event.address)
        pool.in_use += 1
        pool.checkouts.add(event.duration or 0.0)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """Count one less."""
        self._pool(event.address).in_use -= 1

    def _pool(self, address: tuple[str, int | None]) -> Pool:
        host, port = address
        return self.pools[f"{host}:{port}"]
