"""How far a long reading has come: a bar in a terminal, else a line now and then; both on standard error."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

PLAIN_SECONDS = 5.0
"""How often a line is written where there is no terminal."""


class Advance:
    """A context manager around the work. `what` is done to so many things, of so many, with a few words on it."""

    def __init__(self, what: str, console: Console | None = None) -> None:
        self._what = what
        self._console = console or Console(stderr=True)
        self._told = time.monotonic()
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._bar = self._bars.add_task(what, total=None, words="")

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

    def tell(self, done: int, total: int, words: str) -> None:
        """Say how far it has come."""
        self._bars.update(self._bar, completed=done, total=total, words=words)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= PLAIN_SECONDS:
            self._told = now
            self.note(f"  {self._what} {words}")
