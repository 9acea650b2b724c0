"""The table that a run prints, and the JSON that it leaves in bench/results/."""

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
    """One measured value; `target` says what it is to be at most, None where it is for information."""

    benchmark: str
    what: str
    value: float
    unit: str
    target: float | None = None


class Report:
    """Collects figures."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._figures: list[Figure] = []

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    def add(self, figure: Figure) -> None:
        self._figures.append(figure)
        self.say(f"  {figure.what}: {figure.value:.3g} {figure.unit}")

    def print(self) -> None:
        table = Table(title=self._machine, title_justify="left")
        for column in ("benchmark", "what", "value", "at most", ""):
            table.add_column(column, justify="right" if column in ("value", "at most") else "left")
        for figure in self._figures:
            missed = figure.target is not None and figure.value > figure.target
            verdict = "" if figure.target is None else "MISSED" if missed else "met"
            target = "" if figure.target is None else f"{figure.target:g}"
            table.add_row(figure.benchmark, figure.what, f"{figure.value:.3g} {figure.unit}", target, verdict)
        Console(width=120).print(table)
        RESULTS.mkdir(exist_ok=True)
        name = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ.json")
        document = {"machine": self._machine, "figures": [asdict(figure) for figure in self._figures]}
        (RESULTS / name).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
