"""Every benchmark runs to its end on real servers, at the smallest scale."""

import math

import pytest

from bench.__main__ import BENCHMARKS
from bench.environment import Environment
from bench.report import Report

TARGETS = {
    "batches": 22,
    "publish": 2,
    "reads": 10,
    "reads-while-loading": 1,
    "files": 3,
    "memory": 4,
    "scans": 4,
    "merges": 1,
    "diffs": 1,
    "edge": 0,
    "guards": 2,
    "rollbacks": 2,
    "switch": 2,
}
"""Number of figures with a target, by benchmark."""


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_reports_its_figures_with_targets(name: str, environment: Environment) -> None:
    report = Report("a machine", environment.scale)
    BENCHMARKS[name](environment, report)
    assert all(math.isfinite(each.value) for each in report.figures)
    assert len([each for each in report.figures if each.target]) == TARGETS[name]
