"""The errors of an import as a CSV file, for a spreadsheet or a program."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import click

from cli.atomic_file import write_atomically
from cli.client import Json

COLUMNS = ("line", "index", "sku", "field", "code", "message")


def write_errors(path: Path, errors: Sequence[Json], invalid_items: int) -> None:
    """Write errors to a file, or to standard output if the path is `-`. Without any, the file has only its header.

    If the server has not kept the errors of all invalid items, a note on standard error reports that. Raises
    `ClickException`, exit code 1, if the file cannot be written.
    """
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(errors)
    if path == Path("-"):
        click.echo(table.getvalue(), nl=False)
    else:
        with write_atomically(path) as file:
            file.write(table.getvalue().encode(errors="replace"))
    items = len({error["index"] for error in errors})
    if items < invalid_items and not _is_of_header(errors):
        click.echo(f"{path} has the errors of the first {items:,} of {invalid_items:,} invalid items.", err=True)


def _is_of_header(errors: Sequence[Json]) -> bool:
    """Whether the errors are those of a header, of which all items are invalid."""
    return any(error["index"] is None for error in errors)
