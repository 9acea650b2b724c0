"""Request statistics in plain numbers, to be cheap: a cached response takes some 15 us of Python in total."""

from bisect import bisect_left
from collections import Counter, defaultdict
from time import perf_counter

from graph.request_state import RequestState
from storage import Histogram

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of request durations, in seconds."""

OK = "OK"
"""The code of a request without errors."""


class OperationStats(Histogram):
    """The requests for one operation: their durations, error codes and HTTP statuses."""

    __slots__ = ("_cached", "_not_modified", "_results")

    def __init__(self) -> None:
        super().__init__(BOUNDS)
        self._results: dict[tuple[str, int], int] = {}
        self._cached = 0
        self._not_modified = 0

    def record(self, code: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._results[code, status] = self._results.get((code, status), 0) + 1
        self.add(seconds)

    def record_cached(self, status: int, seconds: float) -> None:
        """Count a request served from the response cache, with 200 or 304. Inlined, since most requests are."""
        if status == 304:
            self._not_modified += 1
        else:
            self._cached += 1
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def counts_by_result(self) -> Counter[tuple[str, int]]:
        """Return the number of requests by code and status."""
        cached = {(OK, 200): self._cached, (OK, 304): self._not_modified}
        return Counter(self._results) + Counter(cached)


class Requests:
    """The requests of a process: statistics by operation, and the requests in flight."""

    def __init__(self) -> None:
        self.by_operation: defaultdict[str, OperationStats] = defaultdict(OperationStats)
        self.in_flight: set[RequestState] = set()

    def track(self, state: RequestState) -> "RequestTracker":
        """Return a context manager that counts the request handled in its body, by its state at the end."""
        return RequestTracker(self, state)


class RequestTracker:
    """The context manager of `Requests.track`. A generator would take twice the time."""

    __slots__ = ("_requests", "_started", "_state")

    def __init__(self, requests: Requests, state: RequestState) -> None:
        self._requests = requests
        self._state = state

    def __enter__(self) -> None:
        """Start tracking."""
        self._requests.in_flight.add(self._state)
        self._started = perf_counter()

    def __exit__(self, *_: object) -> None:
        """Count the request."""
        state, requests = self._state, self._requests
        seconds = perf_counter() - self._started
        requests.in_flight.discard(state)
        requests.by_operation[state.operation_name].record(_code(state), state.status, seconds)


def _code(state: RequestState) -> str:
    """Return the code that a request is counted by. Responses of libraries have no code of their own."""
    if state.error_code is not None:
        return state.error_code
    if state.status < 400:
        return OK
    return "BAD_REQUEST" if state.status < 500 else "INTERNAL"
