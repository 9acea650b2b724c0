"""Every benchmark runs to its end on real servers, at the smallest scale; the long ones in `make soak`."""

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


LONG = {"edge", "guards", "merges", "reads"}
"""Benchmarks that take half a minute and more at any scale: they run in `make soak`."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.soak) if name in LONG else name for name in BENCHMARKS]
)
def test_a_benchmark_reports_its_figures_with_targets(name: str, environment: Environment) -> None:
    report = Report("a machine", environment.scale)
    BENCHMARKS[name](environment, report)
    assert all(math.isfinite(each.value) for each in report.figures)
    assert len([each for each in report.figures if each.target]) == TARGETS[name]
