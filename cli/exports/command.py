"""`pricebook export`: writes a version of a price list to a file that `pricebook import` reads."""

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

import click

from cli import exit_codes
from cli.atomic_file import write_atomically
from cli.exports.exporter import Exported, Exporter
from cli.imports.price_files import FileRefused, Format, format_of
from cli.options import direct_option, endpoint_option, list_argument, token_option
from cli.output import counted

_FILE = click.Path(dir_okay=False, path_type=Path)
_FORMATS = {"ndjson": Format.NDJSON, "csv": Format.CSV}
_EXIT_CODES = exit_codes.epilog(
    {
        exit_codes.SUCCESS: "exported",
        exit_codes.FAILURE: "no response, not found, FILE cannot be written, or CSV cannot represent a price",
        exit_codes.INTERRUPTED: "interrupted; FILE is unchanged",
    }
)


@click.command(epilog=_EXIT_CODES)
@list_argument
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="The version; by default the current one.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([*_FORMATS]),
    help="The format; by default that of the name of FILE, or ndjson without FILE.",
)
@click.option("--output", "-o", type=_FILE, metavar="FILE", help="The file to write.")
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

    Without FILE, the version is written to standard output.

    The file contains exactly one version, in sku order, even if others are published during the export. FILE is
    created or replaced only when it is complete; it is compressed if its name ends in .gz or .zst.

    `pricebook import` reads the file and gives the same prices, with the same checksum. NDJSON represents every price.
    CSV has a column for each attribute and each quantity break of any price; it cannot represent attributes that are
    empty or not strings, so the export of such a version fails.
    """
    # httpx and rich: --help does not wait for them.
    from cli.client.client import open_client  # noqa: PLC0415
    from cli.progress import Progress  # noqa: PLC0415

    format = _format(format_name, output)  # noqa: A001 - the usual word
    with Progress("exporting") as progress:

        def show(rows: int, total: int) -> None:
            progress.update(rows, total, f"{rows:,} of {total:,} prices")

        async def run(out: BinaryIO) -> Exported:
            async with open_client(endpoint, token, progress.note, direct=direct) as client:
                exporter = Exporter(client.execute, price_list, version, show)
                return await exporter.csv(out) if format is Format.CSV else await exporter.ndjson(out)

        if output is None:
            exported = asyncio.run(run(sys.stdout.buffer))
        else:
            with write_atomically(output) as out:
                exported = asyncio.run(run(out))
    count = counted(exported.rows, "price") + (f" to {output}" if output else "")
    click.echo(f"Exported {exported.price_list}: version {exported.version}, {count}.", err=True)


def _format(name: str | None, output: Path | None) -> Format:
    if name is not None:
        return _FORMATS[name]
    if output is None:
        return Format.NDJSON
    try:
        return format_of(output)
    except FileRefused as refused:
        raise click.UsageError(f"{refused.message} Or set --format.") from refused
