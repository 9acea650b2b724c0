"""How far an import has come: a bar in a terminal, else a line now and then."""

import datetime
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from cli.imports.chunks import Chunk

PLAIN_SECONDS = 5.0
"""How often a line is written where there is no terminal."""


class ImportProgress:
    """Rows that are stored, rows a second, and the time that is left, by the bytes of the files that were read.

    A context manager; everything goes to the console, which is not the one for results.
    """

    def __init__(self, console: Console, size: int) -> None:
        self.rows = 0
        self._console = console
        self._size = size
        self._read = 0
        self._began: float | None = None
        self._told = 0.0
        self._complained = False
        self._sent_rows = 0
        self._sent_bytes = 0
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amount]}", markup=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._bar = self._bars.add_task("sending", total=max(size, 1), amount="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note(self, line: str) -> None:
        """Say something that stays."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def complain(self, line: str) -> None:
        """Say what is wrong, the first time that something is."""
        if not self._complained:
            self._complained = True
            self.note(line)

    def begin(self) -> None:
        """Start the clock, if it does not run yet: from here on chunks are sent."""
        if self._began is None:
            self._began = self._told = time.monotonic()

    def skipped(self, chunk: Chunk) -> None:
        """A chunk was stored by an earlier run; it does not count for the speed."""
        self._advance(chunk)

    def sent(self, chunk: Chunk) -> None:
        """A chunk was sent and is stored."""
        self._sent_rows += len(chunk.rows)
        self._sent_bytes += chunk.read
        self._advance(chunk)

    def waiting(self, what: str) -> None:
        """Everything is sent; the server is at work."""
        if what != self._bars.tasks[0].description:
            self._bars.update(self._bar, description=what, completed=None, total=None, amount=f"{self.rows:,} rows")
            if not self._console.is_terminal:
                self.note(f"  {what} ...")

    def _advance(self, chunk: Chunk) -> None:
        self.rows += len(chunk.rows)
        self._read += chunk.read
        amount = self._amount()
        self._bars.update(self._bar, completed=self._read, amount=amount)
        now = time.monotonic()
        if self._began and not self._console.is_terminal and now - self._told >= PLAIN_SECONDS:
            self._told = now
            self.note(f"  {amount}")

    def _amount(self) -> str:
        amount = f"{self.rows:,} rows"
        seconds = time.monotonic() - self._began if self._began else 0
        if not self._sent_bytes or not seconds:
            return amount
        left = (self._size - self._read) * seconds / self._sent_bytes
        return f"{amount}, {self._sent_rows / seconds:,.0f} rows/s, {datetime.timedelta(seconds=round(left))} left"
