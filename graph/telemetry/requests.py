"""Requests, counted as they are answered, in plain numbers: a cached answer costs some 15 us of Python in all."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from graph.telemetry.operations import NONE
from storage import Tally

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

OK = "OK"
"""The code of a request that was answered without errors."""


class Outcome:
    """One request under way: its operation, its HTTP status, and the code of the first error, as far as they are known.

    A request that ends without any status has failed.
    """

    __slots__ = ("code", "operation", "status")

    def __init__(self) -> None:
        self.operation = NONE
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


_outcome: ContextVar[Outcome | None] = ContextVar("outcome", default=None)


def note_operation(operation: str) -> None:
    """Note what the request under way asks for."""
    outcome = _outcome.get()
    if outcome is not None:
        outcome.operation = operation


def noted_operation() -> str:
    """Return what the request under way asks for, as far as it is known."""
    outcome = _outcome.get()
    return NONE if outcome is None else outcome.operation


def note_code(code: str) -> None:
    """Note an error of the request under way; the first one counts."""
    outcome = _outcome.get()
    if outcome is not None and outcome.code is None:
        outcome.code = code


class Requests:
    """The requests of a process: by operation, code and HTTP status, with how long they took; and those under way."""

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.durations: defaultdict[str, Tally] = defaultdict(lambda: Tally(BOUNDS))
        self.in_flight: set[Outcome] = set()

    def add(self, operation: str, code: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.counts[operation, code, status] += 1
        self.durations[operation].add(seconds)

    @contextmanager
    def metered(self) -> Iterator[Outcome]:
        """Count the request that the body answers, with what is noted of it meanwhile."""
        outcome = Outcome()
        token = _outcome.set(outcome)
        self.in_flight.add(outcome)
        began = perf_counter()
        try:
            yield outcome
        finally:
            self.in_flight.discard(outcome)
            _outcome.reset(token)
            self.add(outcome.operation, outcome.final_code, outcome.status, perf_counter() - began)
