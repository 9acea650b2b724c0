"""The plot of a run of `reads`: throughput, latencies and CPU of each workload in each mode."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from bench.report import RESULTS, stamp

if TYPE_CHECKING:
    from bench.measurement import Run

PANELS = (
    ("rate", "responses per second"),
    ("cpu", "server CPU, us per request"),
    ("p50", "p50, ms"),
    ("p99", "p99, ms"),
)


def plot(runs: "Sequence[Run]") -> Path:
    """Draw the runs, and return the path of the PNG."""
    workloads, modes = (list(dict.fromkeys(getattr(run, name) for run in runs)) for name in ("workload", "mode"))
    figure = Figure(figsize=(12, 16), layout="constrained")
    axes = figure.subplots(len(PANELS), 1)
    for axis, (value, title) in zip(axes, PANELS, strict=True):
        for index, mode in enumerate(modes):
            values = {run.workload: getattr(run, value) for run in runs if run.mode == mode}
            positions = [number + (index - len(modes) / 2) * 0.1 for number in range(len(workloads))]
            axis.bar(positions, [values.get(workload, 0) for workload in workloads], 0.1, label=mode)
        axis.set(title=title, yscale="log", xticks=range(len(workloads)), xticklabels=workloads)
    axes[0].legend(ncols=2)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{stamp()}.png"
    figure.savefig(path)
    return path
