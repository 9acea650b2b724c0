"""The metrics of a server, for Prometheus: those of all its processes together, on a port of their own.

Every process keeps its numbers in files of one folder (prometheus_client's multi-process mode), which this process,
the parent of all, reads when it is asked.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.startup import BadSettings, say

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def metrics_server(host: str, port: int | None) -> Iterator[None]:
    """Serve /metrics while the body runs; nothing without a port. Raises `BadSettings` where the port is taken."""
    if port is None:
        yield
        return
    with TemporaryDirectory(prefix="pricebook-metrics-") as folder:
        os.environ[_FOLDER] = folder
        # The library looks for the folder when it is imported, here and in each process that is started from here.
        from prometheus_client import CollectorRegistry, Metric, start_http_server  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead  # noqa: PLC0415

        class Living(MultiProcessCollector):
            """Leaves out the gauges of processes that ended."""

            def collect(self) -> Iterable[Metric]:
                for pid in _ended(Path(folder)):
                    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
                return super().collect()  # type: ignore[no-any-return, no-untyped-call]

        registry = CollectorRegistry()
        Living(registry, folder)  # type: ignore[no-untyped-call]
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            why = f"Cannot listen on port {port} of {host} for metrics: {error.strerror}."
            raise BadSettings(f"{why} Set PRICEBOOK_METRICS_PORT to another.") from error
        say(f"Metrics on http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics")
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _ended(folder: Path) -> set[int]:
    found = (re.fullmatch(r"gauge_live\w+_(\d+)\.db", file.name) for file in folder.iterdir())
    return {int(each[1]) for each in found if each and not _runs(int(each[1]))}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
