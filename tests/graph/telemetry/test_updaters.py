"""Updaters of counters and histograms, and the labels of lists."""

import pytest
from prometheus_client import CollectorRegistry, Counter

from graph.telemetry.list_labels import MAX_LABELS, OTHER, ListLabels
from graph.telemetry.updaters import CounterUpdater, HistogramCollector, HistogramUpdater
from storage import Histogram, InvalidArgument
from storage.catalog.price_lists import check_name


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_a_total_is_added_once_and_a_zero_is_exported(registry: CollectorRegistry) -> None:
    updater = CounterUpdater(Counter("things", "Things.", ["kind"], registry=registry))
    updater.update({("a",): 3, ("b",): 0})
    updater.update({("a",): 3, ("b",): 0})
    updater.update({("a",): 5, ("b",): 0})
    assert registry.get_sample_value("things_total", {"kind": "a"}) == 5
    assert registry.get_sample_value("things_total", {"kind": "b"}) == 0


def test_two_updaters_of_one_counter_add_up(registry: CollectorRegistry) -> None:
    counter = Counter("things", "Things.", registry=registry)
    for _ in range(2):
        CounterUpdater(counter).update({(): 4})
    assert registry.get_sample_value("things_total") == 8


def test_a_duration_is_counted_in_every_bucket_that_includes_it(registry: CollectorRegistry) -> None:
    histogram = Histogram((0.1, 1.0))
    updater = HistogramUpdater(
        HistogramCollector("took_seconds", "Took.", ["what"], buckets=(0.1, 1.0), registry=registry)
    )
    for seconds in (0.05, 0.1, 0.5):
        histogram.add(seconds)
    updater.update({("x",): histogram})
    updater.update({("x",): histogram})
    histogram.add(2.0)
    updater.update({("x",): histogram})

    def bucket(le: str) -> float | None:
        return registry.get_sample_value("took_seconds_bucket", {"what": "x", "le": le})

    assert [bucket("0.1"), bucket("1.0"), bucket("+Inf")] == [2, 3, 4]
    assert registry.get_sample_value("took_seconds_count", {"what": "x"}) == 4
    assert registry.get_sample_value("took_seconds_sum", {"what": "x"}) == pytest.approx(2.65)


def test_lists_beyond_the_limit_share_a_label_that_no_list_can_have() -> None:
    labels = ListLabels()
    assert [labels.label(f"list-{number}") for number in range(MAX_LABELS)] == [
        f"list-{number}" for number in range(MAX_LABELS)
    ]
    assert labels.label("one-more") == OTHER
    assert labels.label("list-0") == "list-0"
    assert not labels.has_own("one-more")
    with pytest.raises(InvalidArgument):
        check_name(OTHER)
