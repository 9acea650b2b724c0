"""`pricebook export`: a version of a price list becomes a file that `pricebook import` takes back."""

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

import click

from cli import exit_codes
from cli.client.client import RetryingApi, open_client
from cli.direct import ENDPOINT, open_direct
from cli.exports.file import written
from cli.exports.page_reader import Exported, Exporter
from cli.imports.price_files import FileRefused, Format, format_of
from cli.options import direct_option, endpoint_option, token_option
from cli.progress import Advance
from cli.startup import read_settings

_FORMATS = {"ndjson": Format.NDJSON, "csv": Format.CSV}
_EXIT_CODES = exit_codes.manual(
    {
        exit_codes.DONE: "exported",
        exit_codes.REFUSED: "no answer, not found, the file cannot be written, or CSV cannot say what it holds",
        exit_codes.INTERRUPTED: "interrupted; what stood under FILE is as it was",
    }
)


@click.command(epilog=_EXIT_CODES)
@click.argument("price_list", metavar="LIST")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="The version; without it, the current one.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([*_FORMATS]),
    help="What to write; without it, what the name of FILE says, else ndjson.",
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Where to.")
@endpoint_option
@token_option
@direct_option
def export(
    price_list: str,
    version: int | None,
    format_name: str | None,
    output: Path | None,
    endpoint: str,
    token: str | None,
    direct: bool,
) -> None:
    """Write a version of a price list to a file.

    Without FILE, to standard output.

    Whatever is published meanwhile, the file is one version, whole, in the order of its skus. FILE takes its name when
    it is complete; it is compressed where it ends in .gz or .zst.

    `pricebook import` takes it back: the same prices, with the same checksum. NDJSON says all that a price can hold.
    CSV has a column for each attribute and each quantity break of any price; attributes that are not strings, or are
    empty, it cannot say, and such a version is refused.
    """
    format = _format(format_name, output)  # noqa: A001 - it is the word for it
    with Advance("exporting") as advance:

        def tell(rows: int, of_rows: int) -> None:
            advance.tell(rows, of_rows, f"{rows:,} of {of_rows:,} prices")

        async def run(out: BinaryIO) -> Exported:
            opened = open_direct(read_settings()) if direct else open_client(endpoint, token, 2)
            async with opened as client:
                api = RetryingApi(ENDPOINT if direct else endpoint, client, advance.note)
                exporter = Exporter(api.execute, price_list, version, tell)
                return await exporter.csv(out) if format is Format.CSV else await exporter.ndjson(out)

        try:
            if output is None:
                exported = asyncio.run(run(sys.stdout.buffer))
            else:
                with written(output) as out:
                    exported = asyncio.run(run(out))
        except KeyboardInterrupt:
            advance.note("Interrupted.")
            raise SystemExit(exit_codes.INTERRUPTED) from None
    to = f" to {output}" if output else ""
    click.echo(f"Exported {exported.price_list}: version {exported.version}, {exported.rows:,} prices{to}.", err=True)


def _format(name: str | None, output: Path | None) -> Format:
    if name is not None:
        return _FORMATS[name]
    if output is None:
        return Format.NDJSON
    try:
        return format_of(output)
    except FileRefused as refused:
        raise click.UsageError(f"{refused.message} Or say it with --format.") from refused
