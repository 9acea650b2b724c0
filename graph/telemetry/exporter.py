"""Tells Prometheus what a process counted, once a second. `cli.serve.metrics_server` shows all processes as one.

Only where somebody asks for metrics is this imported: prometheus_client decides on import whether it keeps numbers in
files for several processes.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from prometheus_client import Histogram

from graph.cache.response_cache import ResponseCache
from graph.telemetry.batch_metrics import BatchMetrics
from graph.telemetry.cache_metrics import CacheMetrics
from graph.telemetry.list_labels import ListLabels
from graph.telemetry.list_metrics import ListMetrics
from graph.telemetry.mongodb_metrics import MongoDBMetrics
from graph.telemetry.process_metrics import ProcessMetrics
from graph.telemetry.request_metrics import RequestMetrics
from graph.telemetry.requests import Requests
from loaders import PointerCache
from storage import Store

log = logging.getLogger("pricebook.telemetry")

# What is in memory is told so often, and the database looked at for what is only there, in seconds.
EXPORT_INTERVAL_SECONDS = 1.0
LIST_METRICS_INTERVAL_SECONDS = 10.0

_loop_lag = Histogram(
    "pricebook_event_loop_lag_seconds",
    "How late the event loop came to what was due, tried once a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class Metrics(Protocol):
    """What can be told."""

    def tell(self) -> None:
        """Tell it."""


class Exporter:
    """Tells the metrics of one process, in the background."""

    def __init__(self, store: Store, pointers: PointerCache, responses: ResponseCache, requests: Requests) -> None:
        labels = ListLabels()
        self._lists = ListMetrics(store, pointers, labels)
        self._metrics: tuple[Metrics, ...] = (
            RequestMetrics(requests),
            CacheMetrics({"prices": pointers.versions, "responses": responses}),
            self._lists,
            BatchMetrics(store.metrics, pointers, labels),
            MongoDBMetrics(store.metrics),
            ProcessMetrics(),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to tell."""
        self._begin(self._run(), "metrics")
        self._begin(self._look(), "metrics of the database")

    async def stop(self) -> None:
        """Tell a last time, and no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.tell()

    def tell(self) -> None:
        """Tell what was counted since the last time, and what is."""
        for metrics in self._metrics:
            metrics.tell()

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_complain)
        self._tasks.append(task)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.tell()
            due = loop.time() + EXPORT_INTERVAL_SECONDS
            await asyncio.sleep(EXPORT_INTERVAL_SECONDS)
            _loop_lag.observe(max(0.0, loop.time() - due))

    async def _look(self) -> None:
        while True:
            try:
                await self._lists.look()
            except Exception as error:
                log.warning("The database could not be looked at for metrics: %s", error)
            await asyncio.sleep(LIST_METRICS_INTERVAL_SECONDS)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        log.error("The %s are not told any more.", task.get_name(), exc_info=task.exception())
