"""Metrics of the MongoDB driver: connections by server, commands by name."""

from prometheus_client import Counter, Gauge

from graph.telemetry.updaters import CounterUpdater, HistogramCollector, HistogramUpdater
from storage import DRIVER_BOUNDS, StorageMetrics

_limit = Gauge(
    "pricebook_mongodb_connections_limit",
    "Maximum number of connections of the pools.",
    ["server"],
    multiprocess_mode="livesum",
)
_open = Gauge("pricebook_mongodb_connections_open", "Open connections.", ["server"], multiprocess_mode="livesum")
_in_use = Gauge("pricebook_mongodb_connections_in_use", "Connections in use.", ["server"], multiprocess_mode="livesum")
_checkout = HistogramCollector(
    "pricebook_mongodb_checkout_duration_seconds",
    "Time spent waiting for a connection.",
    ["server"],
    buckets=DRIVER_BOUNDS,
)
_checkout_failures = Counter(
    "pricebook_mongodb_checkout_failures", "Attempts to get a connection that failed.", ["server"]
)
_command = HistogramCollector(
    "pricebook_mongodb_command_duration_seconds",
    "Duration of commands; getMore includes the wait for pointer updates.",
    ["command"],
    buckets=DRIVER_BOUNDS,
)
_command_failures = Counter(
    "pricebook_mongodb_command_failures", "Commands that failed or received no response.", ["command"]
)


class MongoDBMetrics:
    """Exports the metrics of the store about the driver."""

    def __init__(self, metrics: StorageMetrics) -> None:
        self._driver = metrics.driver
        self._checkouts, self._checkout_failures = HistogramUpdater(_checkout), CounterUpdater(_checkout_failures)
        self._commands, self._command_failures = HistogramUpdater(_command), CounterUpdater(_command_failures)

    def update(self) -> None:
        """Export what has been counted since the last update, and the current state of the pools."""
        for server, pool in self._driver.pools.items():
            _limit.labels(server).set(pool.limit)
            _open.labels(server).set(pool.open)
            _in_use.labels(server).set(pool.in_use)
        self._checkouts.update({(server,): pool.checkouts for server, pool in self._driver.pools.items()})
        self._checkout_failures.update({(server,): pool.failures for server, pool in self._driver.pools.items()})
        self._commands.update({(name,): durations for name, durations in self._driver.commands.items()})
        failures = self._driver.command_failures
        self._command_failures.update({(name,): failures.get(name, 0) for name in self._driver.commands})
