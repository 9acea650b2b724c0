"""Requests, counted as they are answered, in plain numbers: a cached answer costs some 15 us of Python in all."""

from bisect import bisect_left
from collections import Counter, defaultdict
from time import perf_counter

from graph.request_state import RequestState
from storage import Histogram

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

OK = "OK"
"""The code of a request that was answered without errors."""


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
        self.in_flight: set[RequestState] = set()

    def metered(self, state: RequestState) -> "Metering":
        """Count the request that the body answers, with the operation, status and code in its state at the end."""
        return Metering(self, state)


class Metering:
    """The context of `Requests.metered`; as a generator it would cost twice as much."""

    __slots__ = ("_began", "_requests", "_state")

    def __init__(self, requests: Requests, state: RequestState) -> None:
        self._requests = requests
        self._state = state

    def __enter__(self) -> None:
        """Begin."""
        self._requests.in_flight.add(self._state)
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        """Count it."""
        state, requests = self._state, self._requests
        seconds = perf_counter() - self._began
        requests.in_flight.discard(state)
        requests.answers[state.operation_name].add_end(_code(state), state.status, seconds)


def _code(state: RequestState) -> str:
    """Return the code that a request is counted by. Responses of libraries have no code of their own."""
    if state.error_code is not None:
        return state.error_code
    if state.status < 400:
        return OK
    return "BAD_REQUEST" if state.status < 500 else "INTERNAL"
