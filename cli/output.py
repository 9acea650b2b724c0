"""What commands print: tables and fields for people, JSON for programs; all of it as it comes."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click
import msgspec

from cli.client.client import Json

_MEASURED = 200
"""So many rows tell how wide the columns are; a longer value further down takes the room that it needs."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Nothing is cut or folded, so that every value can be found with grep."""

    heading: str
    value: Callable[[Json], object]
    numeric: bool = False


class Output:
    """Where a command's result goes: standard output, as a table or, `as_json`, as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def rows(self, records: Iterable[Json], columns: Sequence[Column], nothing: str) -> None:
        """Print records as they come; `nothing` is said where there are none."""
        records = iter(records)
        if self.as_json:
            self._array(records)
            return
        table = Table(columns)
        while some := list(islice(records, _MEASURED)):
            table.add(some)
        if not table.widths:
            click.echo(nothing, err=True)

    def headed(self, head: Json, said: str, name: str, records: Iterable[Json], columns: Sequence[Column]) -> None:
        """Print what is said and the records, as they come; as JSON, `head` with the records in it under a name."""
        if self.as_json:
            before = "".join(f"{json(key)}: {json(value)},\n" for key, value in head.items())
            click.echo(f"{{{before}{json(name)}: ", nl=False)
            self._array(iter(records), "}")
        else:
            click.echo(said)
            self.rows(records, columns, "They are the same.")

    def one(self, record: object, fields: Iterable[tuple[str, object]] = (), said: str | None = None) -> None:
        """Print a record: as JSON, or what is said of it and its fields, those without a value left out."""
        if self.as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(record)))
            return
        if said:
            click.echo(said)
        shown = [(name, text(value)) for name, value in fields if value is not None]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}")

    def line(self, record: object) -> None:
        """Print a record as one line of NDJSON, at once."""
        click.echo(json(record))

    def _array(self, records: Iterator[Json], end: str = "") -> None:
        before = "["
        for record in records:
            click.echo(f"{before}\n{json(record)}", nl=False)
            before = ","
        click.echo(f"{'[' if before == '[' else chr(10)}]{end}")


class Table:
    """A table that is printed as its rows come. In columns of 80 characters and less, as long as the values let it."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self.widths: list[int] = []

    def add(self, records: Sequence[Json]) -> None:
        """Print rows, below the headings if they are the first."""
        cells = [[text(column.value(record)) for column in self._columns] for record in records]
        if not self.widths:
            headings = [column.heading for column in self._columns]
            self.widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
            click.echo(click.style(self._line(headings), bold=True))
        for row in cells:
            click.echo(self._line(row))

    def _line(self, cells: Sequence[str]) -> str:
        told = zip(self._columns, cells, self.widths, strict=True)
        return "  ".join(
            cell.rjust(width) if column.numeric else cell.ljust(width) for column, cell, width in told
        ).rstrip()


def json(value: object) -> str:
    """Write a value as JSON, on one line."""
    return msgspec.json.encode(value).decode()


def text(value: Any) -> str:
    """Write a value on one line; nothing is a hyphen, so that the columns of a table can be counted."""
    if value is None or value == "":
        return "-"
    if isinstance(value, int):
        return f"{value}"
    return " ".join(str(value).split())


def time(value: str | None) -> str | None:
    """Write a time as UTC, to the second."""
    if value is None:
        return None
    return datetime.datetime.fromisoformat(value).astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
