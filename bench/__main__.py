"""Run the named benchmarks, or all, on a new replica set."""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import (
    auth_overhead,
    batches,
    caching_proxy,
    console,
    diffs,
    large_files,
    memory,
    merges,
    publish_to_warm,
    publish_under_load,
    reads,
    reads_while_loading,
    releases,
    rollbacks,
    scale,
    scans,
    startup,
    timelines,
)
from bench.environment import Environment
from bench.report import Report
from bench.revisions import RevisionError, export
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet

BENCHMARKS: dict[str, Callable[[Environment, Report], None]] = {
    "batches": batches.run,
    "publish": publish_to_warm.run,
    "reads": reads.run,
    "reads-while-loading": reads_while_loading.run,
    "files": large_files.run,
    "memory": memory.run,
    "scans": scans.run,
    "merges": merges.run,
    "diffs": diffs.run,
    "timelines": timelines.run,
    "edge": caching_proxy.run,
    "guards": auth_overhead.run,
    "rollbacks": rollbacks.run,
    "releases": releases.run,
    "switch": publish_under_load.run,
    "startup": startup.run,
    "console": console.run,
    **scale.PARTS,
}
"""All benchmarks, in the order of a run: `files`, `memory` and `scans` share large lists, to which `merges` adds."""

GROUPS = {scale.NAME: list(scale.PARTS)}
"""Names of several benchmarks together."""

AVAILABLE = [*BENCHMARKS, *GROUPS]

COMPARING = {"guards", "reads", "startup"}
"""Benchmarks that can compare this code with another revision."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="benchmark", help=f"one of {', '.join(AVAILABLE)}")
    parser.add_argument(
        "--against",
        metavar="REVISION",
        help=f"a git revision that {', '.join(sorted(COMPARING))} compare this code with",
    )
    parser.add_argument(
        "--scale",
        type=_scale,
        default=1.0,
        metavar="FACTOR",
        help="a factor below 1 for rows, rounds and seconds, for a trial run; targets are not judged then",
    )
    parser.add_argument(
        "--layers", type=int, metavar="NUMBER", help="the number of layers that scale-layers creates, if not 1,000"
    )
    options = parser.parse_args(arguments)
    names = [name for given in options.names or BENCHMARKS for name in GROUPS.get(given, [given])]
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}; available: {', '.join(AVAILABLE)}")
    if options.against and not COMPARING & set(names):
        parser.error(f"only {', '.join(sorted(COMPARING))} compare with another revision")
    machine = f"{os.cpu_count()} cores, CPython {platform.python_version()}, MongoDB on loopback, 3 members"
    report = Report(machine, options.scale)
    with tempfile.TemporaryDirectory(prefix="pricebook-bench-") as name:
        folder = Path(name)
        try:
            baseline = export(options.against, folder / "baseline") if options.against else None
        except RevisionError as error:
            parser.error(str(error))
        with EmbeddedReplicaSet(folder / "mongodb", report=report.say, cache_mb=1024) as replica_set:
            environment = Environment(replica_set.uri, folder, baseline, options.scale, options.layers)
            for each in (each for each in BENCHMARKS if each in names):
                report.say(f"Running {each} ...")
                BENCHMARKS[each](environment, report)
                environment.clear()
    report.print()


def _scale(text: str) -> float:
    factor = float(text)
    if not 0 < factor <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return factor


if __name__ == "__main__":
    main(sys.argv[1:])
