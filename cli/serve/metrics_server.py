"""The Prometheus metrics of a server, added up over its processes and served on a separate port.

Each process writes its metrics to files in one folder (the multi-process mode of prometheus_client); this process, the
parent of all, reads them on each scrape.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.startup import BadSettings, log_or_print

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def metrics_server(host: str, port: int | None) -> Iterator[None]:
    """Serve /metrics in the context, unless `port` is None. Raises `BadSettings` if the port is in use."""
    if port is None:
        yield
        return
    with TemporaryDirectory(prefix="pricebook-metrics-") as folder:
        os.environ[_FOLDER] = folder
        # The library reads the variable on import, in this process and in each child process.
        from prometheus_client import CollectorRegistry, Metric, start_http_server  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead  # noqa: PLC0415

        class LiveCollector(MultiProcessCollector):
            """Omits the gauges of processes that have ended."""

            def collect(self) -> Iterable[Metric]:
                for pid in _ended_processes(Path(folder)):
                    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
                return super().collect()  # type: ignore[no-any-return, no-untyped-call]

        registry = CollectorRegistry()
        LiveCollector(registry, folder)  # type: ignore[no-untyped-call]
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            problem = f"Cannot listen on port {port} of {host} for metrics: {error.strerror}."
            raise BadSettings(f"{problem} Set PRICEBOOK_METRICS_PORT to another port.") from error
        log_or_print(f"Metrics on http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics")
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _ended_processes(folder: Path) -> set[int]:
    matches = (re.fullmatch(r"gauge_live\w+_(\d+)\.db", file.name) for file in folder.iterdir())
    return {int(match[1]) for match in matches if match and not _is_running(int(match[1]))}


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
