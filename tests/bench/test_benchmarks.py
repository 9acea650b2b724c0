"""Every benchmark runs to its end on real servers, at the smallest scale; the long ones in `make soak`."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from bench import __main__ as bench
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
    "timelines": 2,
    "edge": 0,
    "guards": 2,
    "rollbacks": 2,
    "releases": 1,
    "switch": 2,
    "startup": 1,
    "console": 3,
    "scale-idle": 2,
    "scale-merges": 12,
    "scale-replace": 2,
    "scale-senders": 4,
    "scale-streams": 1,
    "scale-held": 3,
    "scale-growth": 3,
    "scale-layers": 0,
}
"""Number of figures with a target, by benchmark."""


LONG = {
    "console",
    "edge",
    "guards",
    "merges",
    "reads",
    "scale-growth",
    "scale-idle",
    "scale-merges",
    "scale-replace",
    "scale-senders",
    "scale-streams",
}
"""Benchmarks that take half a minute and more at any scale: they run in `make soak`."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.soak) if name in LONG else name for name in BENCHMARKS]
)
def test_a_benchmark_reports_its_figures_with_targets(name: str, environment: Environment) -> None:
    report = Report("a machine", environment.scale)
    BENCHMARKS[name](environment, report)
    assert all(math.isfinite(each.value) for each in report.figures)
    assert len([each for each in report.figures if each.target]) == TARGETS[name]


def test_a_group_is_the_name_of_all_its_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    for name in BENCHMARKS:
        monkeypatch.setitem(BENCHMARKS, name, lambda *_, name=name: started.append(name))
    monkeypatch.setattr(bench, "EmbeddedReplicaSet", lambda *_, **__: nullcontext(SimpleNamespace(uri="mongodb://-")))
    monkeypatch.setattr(Environment, "clear", lambda *_: None)
    monkeypatch.setattr(Report, "print", lambda _: None)
    bench.main(["scale", "diffs", "--layers", "30000"])
    assert started == ["diffs", *(name for name in BENCHMARKS if name.startswith("scale-"))]
