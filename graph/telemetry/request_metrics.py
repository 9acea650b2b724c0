"""Metrics of requests: counts by operation, code and status, durations, and requests in flight."""

from collections import Counter as Counts

from prometheus_client import Counter, Gauge

from graph.telemetry.requests import BOUNDS, Requests
from graph.telemetry.updaters import CounterUpdater, HistogramCollector, HistogramUpdater

_requests = Counter(
    "pricebook_requests",
    "Completed requests, including those served from the response cache.",
    ["operation", "code", "status"],
)
_duration = HistogramCollector(
    "pricebook_request_duration_seconds",
    "Time from the first byte of a request until the last byte of its response.",
    ["operation"],
    buckets=BOUNDS,
)
_in_flight = Gauge(
    "pricebook_requests_in_flight",
    "Requests and subscriptions in progress.",
    ["operation"],
    multiprocess_mode="livesum",
)


class RequestMetrics:
    """Exports the metrics of requests."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._counts, self._durations = CounterUpdater(_requests), HistogramUpdater(_duration)
        self._exported_operations: set[str] = set()

    def update(self) -> None:
        """Export what has been counted since the last update, and the requests in flight."""
        totals: Counts[tuple[str, ...]] = Counts()
        for operation, stats in self._requests.by_operation.items():
            for (code, status), count in stats.counts_by_result().items():
                totals[operation, code, f"{status // 100}xx"] += count
        self._counts.update(totals)
        self._durations.update({(operation,): stats for operation, stats in self._requests.by_operation.items()})
        in_flight = Counts(state.operation_name for state in self._requests.in_flight)
        self._exported_operations |= set(in_flight) | set(self._requests.by_operation)
        for operation in self._exported_operations:
            _in_flight.labels(operation).set(in_flight[operation])
