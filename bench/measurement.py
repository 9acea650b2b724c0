"""The measurements of one workload in one mode."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """CPU in microseconds per request, responses per second, and latencies in milliseconds."""

    workload: str
    mode: str
    cpu: float
    rate: float
    p50: float
    p99: float
