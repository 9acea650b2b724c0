"""Plain numbers become Prometheus's: only what is new is added, by labels, to the right bucket."""

import pytest
from prometheus_client import CollectorRegistry, Counter

from graph.telemetry.increases import Durations, HistogramCollector, Increases
from graph.telemetry.list_labels import MAX_LABELS, OTHER, ListLabels
from storage import Histogram, InvalidArgument
from storage.catalog.price_lists import check_name


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_a_total_is_told_once_and_a_zero_is_shown(registry: CollectorRegistry) -> None:
    increases = Increases(Counter("things", "Things.", ["kind"], registry=registry))
    increases.tell({("a",): 3, ("b",): 0})
    increases.tell({("a",): 3, ("b",): 0})
    increases.tell({("a",): 5, ("b",): 0})
    assert registry.get_sample_value("things_total", {"kind": "a"}) == 5
    assert registry.get_sample_value("things_total", {"kind": "b"}) == 0


def test_two_who_count_the_same_are_added_up(registry: CollectorRegistry) -> None:
    counter = Counter("things", "Things.", registry=registry)
    for _ in range(2):
        Increases(counter).tell({(): 4})
    assert registry.get_sample_value("things_total") == 8


def test_a_duration_is_in_every_bucket_that_is_not_below_it(registry: CollectorRegistry) -> None:
    tally = Histogram((0.1, 1.0))
    durations = Durations(HistogramCollector("took_seconds", "Took.", ["what"], buckets=(0.1, 1.0), registry=registry))
    for seconds in (0.05, 0.1, 0.5):
        tally.add(seconds)
    durations.tell({("x",): tally})
    durations.tell({("x",): tally})
    tally.add(2.0)
    durations.tell({("x",): tally})

    def bucket(le: str) -> float | None:
        return registry.get_sample_value("took_seconds_bucket", {"what": "x", "le": le})

    assert [bucket("0.1"), bucket("1.0"), bucket("+Inf")] == [2, 3, 4]
    assert registry.get_sample_value("took_seconds_count", {"what": "x"}) == 4
    assert registry.get_sample_value("took_seconds_sum", {"what": "x"}) == pytest.approx(2.65)


def test_lists_beyond_the_most_share_a_label_that_no_list_can_have() -> None:
    labels = ListLabels()
    assert [labels.of(f"list-{number}") for number in range(MAX_LABELS)] == [
        f"list-{number}" for number in range(MAX_LABELS)
    ]
    assert labels.of("one-more") == OTHER
    assert labels.of("list-0") == "list-0"
    assert not labels.own("one-more")
    with pytest.raises(InvalidArgument):
        check_name(OTHER)
