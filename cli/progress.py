"""The progress of a long task: a bar in a terminal, else a line every few seconds."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars

from cli.output import printable

LINE_INTERVAL_SECONDS = 5.0
"""Time between two lines when there is no terminal."""


class Progress:
    """A context manager around the task. Everything goes to standard error."""

    def __init__(self, activity: str, console: Console | None = None) -> None:
        self._activity = activity
        self._console = console or Console(stderr=True)
        self._last_line_at = time.monotonic()
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._bar = self._bars.add_task(activity, total=None, status="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def update(self, done: int, total: int, status: str) -> None:
        """Show how much of the activity is done, and a status text."""
        self._bars.update(self._bar, completed=done, total=total, status=status)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line_at >= LINE_INTERVAL_SECONDS:
            self._last_line_at = now
            self.note(f"  {self._activity} {status}")

    def wait_for(self, activity: str) -> None:
        """Show another activity, of unknown length."""
        if activity != self._activity:
            self._activity = activity
            self._bars.remove_task(self._bar)
            self._bar = self._bars.add_task(activity, total=None, status="")
            if not self._console.is_terminal:
                self.note(f"  {activity} ...")
