"""The table that a run prints, and the JSON that it writes to bench/results/."""

import datetime
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, with its target, if it has one, as an upper or a lower bound."""

    benchmark: str
    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        """The target as text, empty without one."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def verdict(self) -> str:
        """`met` or `MISSED`, empty without a target."""
        if not self.target:
            return ""
        too_low = self.at_least is not None and self.value < self.at_least
        too_high = self.at_most is not None and self.value > self.at_most
        return "MISSED" if too_low or too_high else "met"


def stamp() -> str:
    """Return the time, for the file name of a result."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")


class Report:
    """Collects figures, prints them and writes them to a file.

    The figures of a trial run, with a `scale` below 1, are too small to judge: their targets are shown only.
    """

    def __init__(self, machine: str, scale: float = 1.0) -> None:
        self._title = machine if scale == 1 else f"{machine}; trial run at scale {scale:g}, targets are not judged"
        self._is_judged = scale == 1
        self.figures: list[Figure] = []

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        self.say(f"  {figure.what}: {figure.value:.3g} {figure.unit}")

    def print(self) -> None:
        table = Table(title=self._title, title_justify="left")
        for column in ("benchmark", "what", "value", "target", ""):
            table.add_column(column, justify="right" if column in ("value", "target") else "left")
        for figure in self.figures:
            value = f"{figure.value:.3g} {figure.unit}"
            table.add_row(
                figure.benchmark, figure.what, value, figure.target, figure.verdict if self._is_judged else ""
            )
        Console(width=120).print(table)
        RESULTS.mkdir(exist_ok=True)
        document = {"machine": self._title, "figures": [asdict(figure) for figure in self.figures]}
        (RESULTS / f"{stamp()}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
