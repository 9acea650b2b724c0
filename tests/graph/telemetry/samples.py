"""Reading of the statistics of this process and of its Prometheus samples."""

from prometheus_client import REGISTRY

from graph.telemetry.requests import Requests


def sample(name: str, **labels: str) -> float:
    """Return the value of a sample that must exist."""
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, f"{name}{labels}"
    return found


def sample_or_zero(name: str, **labels: str) -> float:
    """Return the value of a sample; 0 if it does not exist yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def request_counts(requests: Requests) -> dict[tuple[str, str, int], int]:
    """Return the number of requests by operation, code and status."""
    return {
        (operation, code, status): count
        for operation, stats in requests.by_operation.items()
        for (code, status), count in stats.counts_by_result().items()
    }
