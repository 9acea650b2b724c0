"""What Prometheus would be told of this process now."""

from prometheus_client import REGISTRY


def sample(name: str, **labels: str) -> float:
    """The value of a sample that must be there."""
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, f"{name}{labels}"
    return found


def sample_or_none(name: str, **labels: str) -> float:
    """The value of a sample; 0 where it is not there yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
