"""Metrics of MongoDB as the driver sees it: connections by server, commands by name."""

from prometheus_client import Counter, Gauge

from graph.telemetry.increases import Durations, HistogramCollector, Increases
from storage import DRIVER_BOUNDS, StorageMetrics

_limit = Gauge(
    "pricebook_mongodb_connections_limit",
    "Connections that the pools may open.",
    ["server"],
    multiprocess_mode="livesum",
)
_open = Gauge(
    "pricebook_mongodb_connections_open", "Connections that are open.", ["server"], multiprocess_mode="livesum"
)
_in_use = Gauge(
    "pricebook_mongodb_connections_in_use", "Connections that are in use.", ["server"], multiprocess_mode="livesum"
)
_checkout = HistogramCollector(
    "pricebook_mongodb_checkout_duration_seconds",
    "How long a connection was waited for.",
    ["server"],
    buckets=DRIVER_BOUNDS,
)
_checkout_failures = Counter("pricebook_mongodb_checkout_failures", "Connections that were not got.", ["server"])
_command = HistogramCollector(
    "pricebook_mongodb_command_duration_seconds",
    "How long a command took; getMore also waits for pointers to move.",
    ["command"],
    buckets=DRIVER_BOUNDS,
)
_command_failures = Counter(
    "pricebook_mongodb_command_failures", "Commands that were refused, or not answered.", ["command"]
)


class MongoDBMetrics:
    """Tells what the store's meter counted of the driver."""

    def __init__(self, metrics: StorageMetrics) -> None:
        self._driver = metrics.driver
        self._checkouts, self._checkout_failures = Durations(_checkout), Increases(_checkout_failures)
        self._commands, self._command_failures = Durations(_command), Increases(_command_failures)

    def tell(self) -> None:
        """Tell what is new, and the pools as they are."""
        for server, pool in self._driver.pools.items():
            _limit.labels(server).set(pool.limit)
            _open.labels(server).set(pool.open)
            _in_use.labels(server).set(pool.in_use)
        self._checkouts.tell({(server,): pool.checkouts for server, pool in self._driver.pools.items()})
        self._checkout_failures.tell({(server,): pool.failures for server, pool in self._driver.pools.items()})
        self._commands.tell({(name,): tally for name, tally in self._driver.commands.items()})
        failures = self._driver.command_failures
        self._command_failures.tell({(name,): failures.get(name, 0) for name in self._driver.commands})
