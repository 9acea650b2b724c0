"""The output of commands: tables and fields for people, JSON for programs, both printed as records arrive."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click
import msgspec

from cli.client import Json

REDIRECTED_WIDTH = 200
"""Width in characters of tables that fold, if standard output is not a terminal."""

_MEASURED_ROWS = 200
"""Number of rows that determine the widths of the columns; a longer value in a later row extends beyond its column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Values are never shortened or folded, so that grep finds them."""

    heading: str
    value: Callable[[Json], object]
    numeric: bool = False


class Output:
    """Prints the result of a command to standard output, as a table or, if `as_json`, as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def rows(self, records: Iterable[Json], columns: Sequence[Column], empty: str) -> None:
        """Print records as they arrive; if there are none, print `empty` to standard error instead of a table."""
        records = iter(records)
        if self.as_json:
            self._array(records)
            return
        table = Table(columns)
        while batch := list(islice(records, _MEASURED_ROWS)):
            table.add(batch)
        if not table.widths:
            click.echo(empty, err=True)

    def rows_with_summary(
        self, header: Json, summary: str, name: str, records: Iterable[Json], columns: Sequence[Column], empty: str
    ) -> None:
        """Print a summary and records as they arrive; as JSON, `header` with the array of records as field `name`."""
        if self.as_json:
            fields = "".join(f"{json(key)}: {json(value)},\n" for key, value in header.items())
            click.echo(f"{{{fields}{json(name)}: ", nl=False)
            self._array(iter(records), "}")
        else:
            click.echo(summary)
            self.rows(records, columns, empty)

    def record(self, record: object, fields: Iterable[tuple[str, object]] = (), message: str | None = None) -> None:
        """Print a record as JSON, or a message and the fields, without those that are None."""
        if self.as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(record)))
            return
        if message:
            click.echo(message)
        print_fields(fields)

    def line(self, record: object) -> None:
        """Print a record as one line of NDJSON."""
        click.echo(json(record))

    def _array(self, records: Iterator[Json], end: str = "") -> None:
        separator = "["
        for record in records:
            click.echo(f"{separator}\n{json(record)}", nl=False)
            separator = ","
        click.echo(f"{'[' if separator == '[' else chr(10)}]{end}")


class Table:
    """A table that is printed as its rows arrive; 80 columns wide or less if the values permit."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self.widths: list[int] = []

    def add(self, records: Sequence[Json]) -> None:
        """Print rows, after the headings if they are the first rows."""
        cells = [[text(column.value(record)) for column in self._columns] for record in records]
        if not self.widths:
            headings = [column.heading for column in self._columns]
            self.widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
            click.echo(click.style(self._line(headings), bold=True))
        for row in cells:
            click.echo(self._line(row))

    def _line(self, cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for column, cell, width in zip(self._columns, cells, self.widths, strict=True)
        ).rstrip()


def print_fields(fields: Iterable[tuple[str, object]], *, err: bool = False) -> None:
    """Print names and values to standard output, or if `err` to standard error, without those that are None."""
    shown = [(name, text(value)) for name, value in fields if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}", err=err)


def json(value: object) -> str:
    """Return a value as JSON, on one line."""
    return msgspec.json.encode(value).decode()


def text(value: Any) -> str:
    """Return a value on one line, printable; a missing one is a hyphen, so that columns can be counted."""
    if value is None or value == "":
        return "-"
    return printable(" ".join(str(value).split()))


def printable(value: str) -> str:
    """Escape control characters, which a terminal would interpret."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun; `plural` is that of a noun that does not take an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def version_text(version: int | None) -> str:
    """Return a version as people read it."""
    return "no version" if version is None else f"version {version}"


def time(value: str | None) -> str | None:
    """Return an ISO 8601 time in UTC, to the second."""
    if value is None:
        return None
    return datetime.datetime.fromisoformat(value).astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
