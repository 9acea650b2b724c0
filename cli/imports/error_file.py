"""The errors of an import as a CSV file, for a spreadsheet or a program."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import click

from cli.atomic_file import CannotWrite, is_replaceable, write_atomically
from cli.client import Json

COLUMNS = ("line", "index", "sku", "field", "code", "message")


_STANDARD_OUTPUT = Path("-")


def clear_errors(path: Path) -> None:
    """Leave only the header in a file, before an import: it never has the errors of an earlier one.

    Raises `BadParameter` if the file cannot be written.
    """
    # The reader of a pipe receives the header with the errors.
    if path != _STANDARD_OUTPUT and is_replaceable(path):
        try:
            _write(path, [])
        except CannotWrite as error:
            raise click.BadParameter(error.message, param_hint="--errors-to") from error


def write_errors(path: Path, errors: Sequence[Json], invalid_items: int) -> None:
    """Write errors to a file, or to standard output if the path is `-`. Without any, the file has only its header.

    If the server has not kept the errors of all invalid items, or if the file cannot be written, standard error reports
    that: the import has its result by then.
    """
    try:
        _write(path, errors)
    except CannotWrite as error:
        click.echo(f"Warning: {error.message} The result of the import is not affected.", err=True)
        return
    items = len({error["index"] for error in errors})
    if items < invalid_items and not _is_of_header(errors):
        click.echo(
            f"Only the errors of the first {items:,} of {invalid_items:,} invalid items are written: the server does "
            "not keep the others.",
            err=True,
        )


def _write(path: Path, errors: Sequence[Json]) -> None:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(errors)
    if path == _STANDARD_OUTPUT:
        click.echo(table.getvalue(), nl=False)
    else:
        with write_atomically(path) as file:
            file.write(table.getvalue().encode(errors="replace"))


def _is_of_header(errors: Sequence[Json]) -> bool:
    """Whether the errors are those of a header, of which all items are invalid."""
    return any(error["index"] is None for error in errors)
