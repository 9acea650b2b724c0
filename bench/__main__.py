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
    diffs,
    merges,
    publish_under_load,
    reads,
    reads_while_loading,
    rollbacks,
)
from bench.environment import Environment
from bench.report import Report
from bench.revisions import RevisionError, export
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet

BENCHMARKS: dict[str, Callable[[Environment, Report], None]] = {
    "batches": batches.run,
    "diffs": diffs.run,
    "edge": caching_proxy.run,
    "guards": auth_overhead.run,
    "merges": merges.run,
    "reads": reads.run,
    "reads-while-loading": reads_while_loading.run,
    "rollbacks": rollbacks.run,
    "switch": publish_under_load.run,
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="benchmark", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--against", metavar="REVISION", help="a git revision that guards compares this code with")
    options = parser.parse_args(arguments)
    names: list[str] = options.names or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}; available: {', '.join(BENCHMARKS)}")
    if options.against and "guards" not in names:
        parser.error("only guards compares with another revision")
    report = Report(f"{os.cpu_count()} cores, CPython {platform.python_version()}, MongoDB on loopback, 3 members")
    with tempfile.TemporaryDirectory(prefix="pricebook-bench-") as name:
        folder = Path(name)
        try:
            baseline = export(options.against, folder / "baseline") if options.against else None
        except RevisionError as error:
            parser.error(str(error))
        with EmbeddedReplicaSet(folder / "mongodb", report=report.say, cache_mb=1024) as replica_set:
            environment = Environment(replica_set.uri, folder, baseline)
            for each in names:
                report.say(f"Running {each} ...")
                BENCHMARKS[each](environment, report)
                environment.clear()
    report.print()


if __name__ == "__main__":
    main(sys.argv[1:])
