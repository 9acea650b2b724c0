"""Request statistics in plain numbers, to be cheap: a cached response takes some 15 us of Python in total."""

from bisect import bisect_left
from collections import Counter, defaultdict
from contextvars import ContextVar
from time import perf_counter

from starlette.types import Scope

from graph.documents.operation_name import NO_OPERATION
from storage import Histogram

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of request durations, in seconds."""

OK = "OK"
"""The code of a request without errors."""


class Outcome:
    """The outcome of a request, as far as it is known: its operation, its HTTP status and the code of its first error.

    The status is 500 until the request sets one.
    """

    __slots__ = ("code", "operation", "status")

    def __init__(self) -> None:
        self.operation = NO_OPERATION
        self.status = 500
        self.code: str | None = None

    @property
    def final_code(self) -> str:
        """The code under which the request is counted, also if it was refused without a code."""
        if self.code is not None:
            return self.code
        if self.status < 400:
            return OK
        return "BAD_REQUEST" if self.status < 500 else "INTERNAL"


_STATUS = "pricebook.status"
_outcome: ContextVar[Outcome | None] = ContextVar("outcome", default=None)


def note_operation(operation: str) -> None:
    """Set the operation of the current request."""
    outcome = _outcome.get()
    if outcome is not None:
        outcome.operation = operation


def noted_operation() -> str:
    """Return the operation of the current request; `NONE` if it is not known."""
    outcome = _outcome.get()
    return NO_OPERATION if outcome is None else outcome.operation


def note_code(code: str) -> None:
    """Set the error code of the current request. Only the first code counts."""
    outcome = _outcome.get()
    if outcome is not None and outcome.code is None:
        outcome.code = code


def note_status(scope: Scope, status: int) -> None:
    """Set the HTTP status of the request of a scope."""
    scope[_STATUS] = status


def noted_status(scope: Scope) -> int:
    """Return the HTTP status of the request of a scope; 500 if none was set."""
    status: int = scope.get(_STATUS, 500)
    return status


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
        """Count a request answered from the response cache, with 200 or 304. Inlined, since most requests are."""
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
        self.in_flight: set[Outcome] = set()

    def track(self) -> "RequestTracker":
        """Return a context manager that counts the request handled in its body."""
        return RequestTracker(self)


class RequestTracker:
    """The context manager of `Requests.track`. A generator would take twice the time."""

    __slots__ = ("_outcome", "_requests", "_started", "_token")

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def __enter__(self) -> Outcome:
        """Start tracking."""
        outcome = self._outcome = Outcome()
        self._token = _outcome.set(outcome)
        self._requests.in_flight.add(outcome)
        self._started = perf_counter()
        return outcome

    def __exit__(self, *_: object) -> None:
        """Count the request."""
        outcome, requests = self._outcome, self._requests
        seconds = perf_counter() - self._started
        requests.in_flight.discard(outcome)
        _outcome.reset(self._token)
        requests.by_operation[outcome.operation].record(outcome.final_code, outcome.status, seconds)
