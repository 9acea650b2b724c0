"""What a benchmark measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """What one way of answering a workload cost: CPU in microseconds a request."""

    workload: str
    way: str
    cpu: float
    rate: float
    p50: float
    p99: float
