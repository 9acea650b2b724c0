"""Metrics of requests: how many there were, by operation and by how they ended, and how long they took."""

from collections import Counter as Counts

from prometheus_client import Counter, Gauge

from graph.telemetry.increases import Durations, HistogramCollector, Increases
from graph.telemetry.requests import BOUNDS, Requests

_requests = Counter(
    "pricebook_requests", "Requests that were answered, from memory or not.", ["operation", "code", "status"]
)
_duration = HistogramCollector(
    "pricebook_request_duration_seconds",
    "From the first byte of a request that is read to the last of its answer.",
    ["operation"],
    buckets=BOUNDS,
)
_in_flight = Gauge(
    "pricebook_requests_in_flight", "Requests being executed, and followed.", ["operation"], multiprocess_mode="livesum"
)


class RequestMetrics:
    """Tells what was counted of requests."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._counts, self._durations = Increases(_requests), Durations(_duration)
        self._shown: set[str] = set()

    def tell(self) -> None:
        """Tell what is new, and what is under way."""
        totals: Counts[tuple[str, ...]] = Counts()
        for operation, answers in self._requests.answers.items():
            for (code, status), count in answers.ends().items():
                totals[operation, code, f"{status // 100}xx"] += count
        self._counts.tell(totals)
        self._durations.tell({(operation,): answers for operation, answers in self._requests.answers.items()})
        in_flight = Counts(state.operation_name for state in self._requests.in_flight)
        self._shown |= set(in_flight) | set(self._requests.answers)
        for operation in self._shown:
            _in_flight.labels(operation).set(in_flight[operation])
