"""What was counted in this process, and what Prometheus was told of it."""

from prometheus_client import REGISTRY

from graph.telemetry.requests import Requests


def sample(name: str, **labels: str) -> float:
    """The value of a sample that must be there."""
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, f"{name}{labels}"
    return found


def sample_or_none(name: str, **labels: str) -> float:
    """The value of a sample; 0 where it is not there yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def ends(requests: Requests) -> dict[tuple[str, str, int], int]:
    """How many requests there were, by operation, code and status."""
    return {
        (operation, code, status): count
        for operation, answers in requests.answers.items()
        for (code, status), count in answers.ends().items()
    }
