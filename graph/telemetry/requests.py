"""Requests, counted as they are answered, in plain numbers: a cached answer costs some 15 us of Python in all."""

from bisect import bisect_left
from collections import Counter, defaultdict
from contextvars import ContextVar
from time import perf_counter

from starlette.types import Scope

from graph.documents.operation_name import NO_OPERATION
from storage import Histogram

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

OK = "OK"
"""The code of a request that was answered without errors."""


class Outcome:
    """One request under way: its operation, its HTTP status, and the code of the first error, as far as they are known.

    A request that ends without any status has failed.
    """

    __slots__ = ("code", "operation", "status")

    def __init__(self) -> None:
        self.operation = NO_OPERATION
        self.status = 500
        self.code: str | None = None

    @property
    def final_code(self) -> str:
        """The code that the request is counted by. Not everything that refuses a request has codes."""
        if self.code is not None:
            return self.code
        if self.status < 400:
            return OK
        return "BAD_REQUEST" if self.status < 500 else "INTERNAL"


_STATUS = "pricebook.status"
_outcome: ContextVar[Outcome | None] = ContextVar("outcome", default=None)


def note_operation(operation: str) -> None:
    """Note what the request under way asks for."""
    outcome = _outcome.get()
    if outcome is not None:
        outcome.operation = operation


def noted_operation() -> str:
    """Return what the request under way asks for, as far as it is known."""
    outcome = _outcome.get()
    return NO_OPERATION if outcome is None else outcome.operation


def note_code(code: str) -> None:
    """Note an error of the request under way; the first one counts."""
    outcome = _outcome.get()
    if outcome is not None and outcome.code is None:
        outcome.code = code


def note_status(scope: Scope, status: int) -> None:
    """Note the HTTP status that the request of a scope is answered with."""
    scope[_STATUS] = status


def noted_status(scope: Scope) -> int:
    """Return the HTTP status of an answer; one that there is none of has failed."""
    status: int = scope.get(_STATUS, 500)
    return status


class Answers(Histogram):
    """The answers to the requests for one operation: how long they took, and their codes and HTTP statuses."""

    __slots__ = ("_ends", "_not_modified", "_repeated")

    def __init__(self) -> None:
        super().__init__(BOUNDS)
        self._ends: dict[tuple[str, int], int] = {}
        self._repeated = 0
        self._not_modified = 0

    def add_end(self, code: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._ends[code, status] = self._ends.get((code, status), 0) + 1
        self.add(seconds)

    def repeat(self, status: int, seconds: float) -> None:
        """Count an answer from memory, 200 or 304. As `add_end`, written out: nearly all answers are of this kind."""
        if status == 304:
            self._not_modified += 1
        else:
            self._repeated += 1
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def ends(self) -> Counter[tuple[str, int]]:
        """Return how many answers there were by code and status."""
        repeated = {(OK, 200): self._repeated, (OK, 304): self._not_modified}
        return Counter(self._ends) + Counter(repeated)


class Requests:
    """The requests of a process: the answers by operation, and what is under way."""

    def __init__(self) -> None:
        self.answers: defaultdict[str, Answers] = defaultdict(Answers)
        self.in_flight: set[Outcome] = set()

    def metered(self) -> "Metering":
        """Count the request that the body answers, with what is noted of it meanwhile."""
        return Metering(self)


class Metering:
    """The context of `Requests.metered`; as a generator it would cost twice as much."""

    __slots__ = ("_began", "_outcome", "_requests", "_token")

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def __enter__(self) -> Outcome:
        """Begin."""
        outcome = self._outcome = Outcome()
        self._token = _outcome.set(outcome)
        self._requests.in_flight.add(outcome)
        self._began = perf_counter()
        return outcome

    def __exit__(self, *_: object) -> None:
        """Count it."""
        outcome, requests = self._outcome, self._requests
        seconds = perf_counter() - self._began
        requests.in_flight.discard(outcome)
        _outcome.reset(self._token)
        requests.answers[outcome.operation].add_end(outcome.final_code, outcome.status, seconds)
