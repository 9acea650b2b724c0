"""Run the named benchmarks, or all, on a new replica set."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable
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


def main(names: list[str]) -> None:
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"Unknown benchmark: {', '.join(sorted(unknown))}. Available: {', '.join(BENCHMARKS)}.")
    report = Report(f"{os.cpu_count()} cores, CPython {platform.python_version()}, MongoDB on loopback, 3 members")
    with (
        tempfile.TemporaryDirectory(prefix="pricebook-bench-") as folder,
        EmbeddedReplicaSet(Path(folder) / "mongodb", report=report.say, cache_mb=1024) as replica_set,
    ):
        environment = Environment(replica_set.uri, Path(folder))
        for name in names or BENCHMARKS:
            report.say(f"Running {name} ...")
            BENCHMARKS[name](environment, report)
            environment.clear()
    report.print()


if __name__ == "__main__":
    main(sys.argv[1:])
