"""Senders of merges: paced or back to back, alone or many at once."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from bench.prices import prices, publish_body, sku
from bench.servers import Server


@dataclass(slots=True)
class Sent:
    """Seconds until the response of each merge that was published, and the responses of the others."""

    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Senders:
    """Sends merges of `batch` random prices each into lists of `rows` prices, to one server."""

    def __init__(self, server: Server, rows: int, batch: int) -> None:
        self._server = server
        self._rows = rows
        self._batch = min(batch, rows)

    @contextmanager
    def sending(self, name: str, seconds: float, every: float = 0.0) -> Iterator[Sent]:
        """Send merges to a list in the background, until the context or the seconds end.

        One is sent each `every` seconds, or else when the one before is published.
        """
        sent, stopped = Sent(), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self._send, name, seconds, every, sent, stopped)
            try:
                yield sent
            finally:
                stopped.set()
            done.result()

    def send_at_once(self, names: Sequence[str], seconds: float) -> Sent:
        """Let one sender for each name send merges to it back to back for some seconds."""
        sent, stopped = Sent(), threading.Event()
        with ThreadPoolExecutor(len(names)) as pool:
            for done in [pool.submit(self._send, name, seconds, 0.0, sent, stopped) for name in names]:
                done.result()
        return sent

    def _send(self, name: str, seconds: float, every: float, sent: Sent, stopped: threading.Event) -> None:
        due = time.monotonic()
        deadline = due + seconds
        while not stopped.is_set() and time.monotonic() < deadline:
            request = publish_body(name, uuid4().hex, self._changes(), "MERGE")
            started = time.perf_counter()
            response = self._server.send(request)
            if '"PUBLISHED"' in response.text:
                sent.seconds.append(time.perf_counter() - started)
            else:
                sent.refused.append(response.text)
            due = max(due + every, time.monotonic() - every)  # at most one merge late
            stopped.wait(max(0.0, due - time.monotonic()))

    def _changes(self) -> list[dict[str, Any]]:
        numbers = random.sample(range(self._rows), self._batch)
        rows = prices(self._batch, version=random.randrange(1 << 30))
        return [{**row, "sku": sku(number)} for row, number in zip(rows, numbers, strict=True)]
