"""The plot of a run of `reads`: throughput, latencies and CPU of each workload, way by way."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from bench.report import RESULTS, stamp

if TYPE_CHECKING:
    from bench.measurement import Run

PANELS = (("rate", "answers a second"), ("cpu", "server CPU, us a request"), ("p50", "p50, ms"), ("p99", "p99, ms"))


def plot(runs: "Sequence[Run]") -> Path:
    """Draw the runs and return where the PNG is."""
    workloads, ways = (list(dict.fromkeys(getattr(run, name) for run in runs)) for name in ("workload", "way"))
    figure = Figure(figsize=(12, 16), layout="constrained")
    axes = figure.subplots(len(PANELS), 1)
    for axis, (value, title) in zip(axes, PANELS, strict=True):
        for place, way in enumerate(ways):
            of = {run.workload: getattr(run, value) for run in runs if run.way == way}
            places = [number + (place - len(ways) / 2) * 0.1 for number in range(len(workloads))]
            axis.bar(places, [of.get(workload, 0) for workload in workloads], 0.1, label=way)
        axis.set(title=title, yscale="log", xticks=range(len(workloads)), xticklabels=workloads)
    axes[0].legend(ncols=2)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{stamp()}.png"
    figure.savefig(path)
    return path
