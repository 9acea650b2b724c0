"""The export of the metrics of a process to Prometheus. `cli.serve.metrics_server` aggregates all processes.

Import this module only if metrics are enabled: on import, prometheus_client decides whether to store its numbers in
files for several processes.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from prometheus_client import Histogram

from graph.telemetry.batch_metrics import BatchMetrics
from graph.telemetry.cache_metrics import CacheCounters, CacheMetrics
from graph.telemetry.list_labels import ListLabels
from graph.telemetry.list_metrics import ListMetrics
from graph.telemetry.mongodb_metrics import MongoDBMetrics
from graph.telemetry.process_metrics import ProcessMetrics
from graph.telemetry.request_metrics import RequestMetrics
from graph.telemetry.requests import Requests
from loaders import PointerCache
from storage import Store

log = logging.getLogger("pricebook.telemetry")

EXPORT_INTERVAL_SECONDS = 1.0
"""Interval at which metrics in memory are exported."""

LIST_METRICS_INTERVAL_SECONDS = 10.0
"""Interval at which metrics that are only in the database are read."""

_loop_lag = Histogram(
    "pricebook_event_loop_lag_seconds",
    "Delay of a timer of the event loop, measured once a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class Metrics(Protocol):
    """A group of metrics."""

    def update(self) -> None:
        """Export the metrics."""


class Exporter:
    """Exports the metrics of one process in the background."""

    def __init__(self, store: Store, pointers: PointerCache, responses: CacheCounters, requests: Requests) -> None:
        labels = ListLabels()
        self._lists = ListMetrics(store, pointers, labels)
        self._metrics: tuple[Metrics, ...] = (
            RequestMetrics(requests),
            CacheMetrics(store, responses),
            self._lists,
            BatchMetrics(store.metrics, pointers, labels),
            MongoDBMetrics(store.metrics),
            ProcessMetrics(),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the background tasks."""
        self._start_task(self._export(), "metrics")
        self._start_task(self._refresh_lists(), "metrics of the database")

    async def stop(self) -> None:
        """Stop the background tasks, and export the metrics a last time."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.update()

    def update(self) -> None:
        """Export all metrics in memory. A group that fails is logged, and the others are exported."""
        for metrics in self._metrics:
            try:
                metrics.update()
            except Exception:
                log.exception("The export of %s failed.", type(metrics).__name__)

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_log_failure)
        self._tasks.append(task)

    async def _export(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.update()
            due = loop.time() + EXPORT_INTERVAL_SECONDS
            await asyncio.sleep(EXPORT_INTERVAL_SECONDS)
            _loop_lag.observe(max(0.0, loop.time() - due))

    async def _refresh_lists(self) -> None:
        while True:
            try:
                await self._lists.refresh()
            except Exception as error:
                log.warning("Could not read metrics from the database: %s", error)
            await asyncio.sleep(LIST_METRICS_INTERVAL_SECONDS)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        log.error("The export of %s has stopped.", task.get_name(), exc_info=task.exception())
