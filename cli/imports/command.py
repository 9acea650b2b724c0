"""`pricebook import`: a file of any size becomes a version of a price list, through the chunked API."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
import msgspec
from rich.console import Console

from cli import exit_codes
from cli.client.client import RetryingApi, open_client
from cli.imports.batch_api import BatchApi, Order, Outcome
from cli.imports.chunks import CUT
from cli.imports.importer import Importer
from cli.imports.item_errors import in_files
from cli.imports.price_files import Format, RowFile
from cli.imports.progress import ImportProgress
from cli.imports.report import exit_code, report
from cli.options import endpoint_option, token_option

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_EXIT_CODES = exit_codes.manual(
    {
        exit_codes.DONE: "published; of a dry run: would be published",
        exit_codes.REFUSED: "nothing is published: bad items, refused by server or gate, no answer, an unreadable file",
        exit_codes.WRONG: "the command line is wrong",
        exit_codes.HELD: "held, and waits for approval; of a dry run: would be held",
        exit_codes.INTERRUPTED: "interrupted; the same command goes on",
    }
)


@click.command("import", epilog=_EXIT_CODES)
@click.argument("file", required=False, type=_FILE)
@click.option("--list", "price_list", required=True, metavar="NAME", help="The price list.")
@click.option("--create", is_flag=True, help="Create the list where it is missing.")
@click.option(
    "--mode",
    type=click.Choice(["replace", "merge"]),
    default="replace",
    show_default=True,
    help="Whether FILE is the whole new list, or is laid over the current version.",
)
@click.option("--remove", type=_FILE, metavar="FILE", help="Skus to take out, one a line; with --mode merge.")
@click.option("--label", metavar="TEXT", help="A name for the version; retention keeps what has one.")
@click.option("--expected-version", type=int, metavar="N", help="Publish only if this is still the current version.")
@click.option(
    "--publish",
    type=click.Choice(["when-valid", "on-approval", "dry-run"]),
    default="when-valid",
    show_default=True,
    help="When to publish; a dry run checks everything and publishes nothing.",
)
@click.option("--wait", is_flag=True, help="Return only when every living server answers with the new version.")
@click.option(
    "--chunk-rows",
    type=click.IntRange(1, 1_000_000),
    default=20_000,
    show_default=True,
    help="Rows in one request, at most.",
)
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests under way at once."
)
@click.option("--key", metavar="TEXT", help="An idempotency key of your own, in place of one made from the content.")
@click.option("--json", "as_json", is_flag=True, help="Print the batch, as it is in the end, as JSON.")
@endpoint_option
@token_option
def import_(
    file: Path | None,
    price_list: str,
    create: bool,
    mode: str,
    remove: Path | None,
    label: str | None,
    expected_version: int | None,
    publish: str,
    wait: bool,
    chunk_rows: int,
    parallel: int,
    key: str | None,
    as_json: bool,
    endpoint: str,
    token: str | None,
) -> None:
    """Import a file of prices as one batch.

    All of it becomes a new version, or nothing changes.

    FILE is NDJSON (.ndjson, .jsonl) or CSV with a header row (.csv), plain or compressed (.gz, .zst), of any size.
    It is sent in chunks; what is broken off is sent again. With --mode merge and --remove, FILE may be left out.

    Break it off with Ctrl-C whenever you like, and go on with the same command: what is stored is not sent again.
    The command knows its batch by an idempotency key made from the content of the files and the options. So a file
    that was published is not published twice; for that, give a --key of your own. Under a key of your own, what is
    stored is sent again for the server to compare, and a batch that came to nothing is not begun anew.

    Progress goes to standard error, the result to standard output.
    """
    if remove and mode != "merge":
        raise click.UsageError("--remove goes with --mode merge: a replace is the whole new list.")
    if file is None and remove is None:
        raise click.UsageError("Give a FILE, or --remove with --mode merge.")
    files = [*([RowFile.of_prices(file)] if file else []), *([RowFile(remove, Format.SKUS)] if remove else [])]
    order = Order(price_list, mode.upper(), key or "", publish.upper().replace("-", "_"), expected_version, label)
    progress = ImportProgress(Console(stderr=True), sum(each.size for each in files))
    client = open_client(endpoint, token, parallel)
    api = BatchApi(RetryingApi(endpoint, client, progress.note))
    importer = Importer(api, files, chunk_rows, parallel)

    async def run(order: Order) -> Outcome:
        async with client:
            if create and await api.create_list(price_list):
                progress.note(f"Created the price list {price_list}.")
            outcome = await importer.run(order, progress, own_key=bool(key))
            return await importer.served(outcome, progress) if wait and outcome.state == "PUBLISHED" else outcome

    try:
        with progress:
            outcome = asyncio.run(run(order if key else replace(order, key=key_of(order, files, chunk_rows))))
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted. {importer.standing}; run the same command again to go on.", err=True)
        raise SystemExit(exit_codes.INTERRUPTED) from None
    _show(order, outcome, files, as_json=as_json)
    raise SystemExit(exit_code(order, outcome))


def key_of(order: Order, files: Sequence[RowFile], chunk_rows: int) -> str:
    """Return the key of these contents sent for this order: the same command goes on with the same batch."""
    told = [CUT, chunk_rows, [file.digest() for file in files], [file.format for file in files], asdict(order)]
    return f"import-{hashlib.blake2b(msgspec.json.encode(told), digest_size=16).hexdigest()}"


def _show(order: Order, outcome: Outcome, files: Sequence[RowFile], *, as_json: bool) -> None:
    batch = {**outcome.batch, "errors": in_files(files, outcome.batch["errors"])}
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(batch)))
    else:
        report(order, replace(outcome, batch=batch))
