"""The progress of a batch on its way, in the terminal."""

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.client.sync_client import Api, ApiError

PROGRESS = """
query Progress($priceList: ID!) {
  batches(priceList: $priceList, first: 1) { nodes { state progress { received stored expected } } }
}"""

_POLL_SECONDS = 0.25
_POLL_TIMEOUT = 2


class BatchProgress:
    """Two bars: bytes while a body goes out, then prices as the server takes and stores them.

    A context manager around the mutation. The second bar is fed by asking the server, on a thread of its own;
    when that fails the bar stands still and nothing else happens. Shows nothing where there is no terminal.
    """

    def __init__(self, api: Api, price_list: str, size: int, console: Console | None = None) -> None:
        console = console or Console()
        self._api = api
        self._price_list = price_list
        self._size = size
        self._bars = Progress(
            TextColumn("  {task.description:<8}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._sending = self._bars.add_task("sending", total=None, amount="")
        self._storing = self._bars.add_task("storing", total=size, amount="", start=False)
        self._over = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._bars.start()
        self._poller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._poller.join()
        if kind is None:
            self._show_stored(self._size)
        self._bars.stop()

    def sent(self, done: int, total: int) -> None:
        """So many bytes of so many have gone out."""
        amount = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
        self._bars.update(self._sending, completed=done, total=total, amount=amount)

    def _show_stored(self, stored: int) -> None:
        self._bars.start_task(self._storing)
        self._bars.update(self._storing, completed=stored, amount=f"{stored:,} of {self._size:,} prices")

    def _poll(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            # Whatever a poll meets, it must not disturb the batch.
            with suppress(ApiError, LookupError, TypeError):
                answer = self._api.execute(PROGRESS, {"priceList": self._price_list}, timeout=_POLL_TIMEOUT)
                newest = answer["batches"]["nodes"][0]
                if newest["state"] in {"OPEN", "SEALING"}:  # else it is the one before
                    self._show_stored(newest["progress"]["stored"])
