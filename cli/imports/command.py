"""`pricebook import`: publishes a file of any size as a version of a price list, sent in parts."""

import asyncio
import datetime
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from cli import exit_codes
from cli.client.releases import find_release_id
from cli.completion import complete_list_names, complete_releases
from cli.imports.batch_api import DRY_RUN, BatchApi, BatchRequest, Outcome
from cli.imports.content_key import content_key
from cli.imports.error_file import clear_errors, write_errors
from cli.imports.item_errors import with_file_lines
from cli.imports.price_files import Format, RowFile
from cli.imports.report import exit_code, report
from cli.imports.standard_input import store_prices, store_skus
from cli.instants import Instant
from cli.options import endpoint_option, token_option

_STANDARD_INPUT = Path("-")
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_EXIT_CODES = exit_codes.epilog(
    {
        exit_codes.SUCCESS: "published, scheduled by --publish-at, or waiting in its release; with --dry-run: would be "
        "published",
        exit_codes.FAILURE: "nothing is published: invalid items, refused by server or gate, no response, an "
        "unreadable file",
        exit_codes.USAGE_ERROR: "the command line is invalid, or the file of --errors-to cannot be written",
        exit_codes.HELD: "held by a gate, a pin or the publish policy, also in a release or until its instant; with "
        "--dry-run: would be held",
        exit_codes.INTERRUPTED: "interrupted; the same command resumes the import",
    }
)


@click.command("import", epilog=_EXIT_CODES)
@click.argument("file", required=False, type=_FILE)
@click.option(
    "--list",
    "price_list",
    required=True,
    metavar="NAME",
    shell_complete=complete_list_names,
    help="The price list.",
)
@click.option("--create", is_flag=True, help="Create the price list if it does not exist.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check everything, show what would change and what the gates find, and change nothing.",
)
@click.option(
    "--mode",
    type=click.Choice(["replace", "merge"]),
    default="replace",
    show_default=True,
    help="Whether FILE replaces the whole list, or is merged into the current version.",
)
@click.option("--remove", type=_FILE, metavar="FILE", help="Skus to remove, one per line; requires --mode merge.")
@click.option("--label", metavar="TEXT", help="A name for the version. It keeps nothing: see `pricebook keep`.")
@click.option(
    "--expected-version",
    type=int,
    metavar="N",
    help="Publish only if N is still the current version; 0 if there is none.",
)
@click.option(
    "--publish",
    type=click.Choice(["when-valid", "on-approval"]),
    default="when-valid",
    show_default=True,
    help="When to publish.",
)
@click.option(
    "--publish-at",
    "publish_at",
    type=Instant(spans=True),
    metavar="INSTANT",
    help="Publish at this time and not before: an instant with an offset, such as 2026-11-28T00:00:00+01:00, or a span "
    "from now, such as 12h. Everything is checked now. Each run with a span is another batch: to resume one, give the "
    "instant that it printed.",
)
@click.option(
    "--release",
    metavar="NAME",
    shell_complete=complete_releases,
    help="Publish with this release, by its ID or name: everything is checked now, and the batch waits in it.",
)
@click.option("--wait", is_flag=True, help="Wait until every live server serves the new version.")
@click.option(
    "--part-rows",
    "part_rows",
    type=click.IntRange(1, 1_000_000),
    default=20_000,
    show_default=True,
    help="Maximum number of rows in one part, which is one request.",
)
@click.option(
    "--parallel",
    "max_requests",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Maximum number of concurrent requests.",
)
@click.option("--key", metavar="TEXT", help="An idempotency key, instead of one computed from the content.")
@click.option(
    "--errors-to",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write the errors of invalid items to FILE, as CSV: the first 10,000; - is standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the final state of the batch as JSON.")
@endpoint_option
@token_option
def import_(
    file: Path | None,
    price_list: str,
    create: bool,
    dry_run: bool,
    mode: str,
    remove: Path | None,
    label: str | None,
    expected_version: int | None,
    publish: str,
    publish_at: datetime.datetime | None,
    release: str | None,
    wait: bool,
    part_rows: int,
    max_requests: int,
    key: str | None,
    errors_to: Path | None,
    as_json: bool,
    endpoint: str,
    token: str | None,
) -> None:
    """Import a file of prices as one batch.

    Either the whole file becomes a new version, or nothing changes.

    FILE is NDJSON (.ndjson, .jsonl) or CSV with a header row (.csv), plain or compressed (.gz, .zst), of any size. With
    - as FILE, prices are read from standard input, in any of these formats, and kept on disk until the import ends.
    They are sent in parts; interrupted requests are repeated. With --mode merge and --remove, FILE is optional.

    Ctrl-C interrupts the import, and the same command resumes it: stored parts are not sent again. The command finds
    its batch by an idempotency key computed from the content of the files and the options. A file that was published
    is therefore not published again, unless you choose another --key. With --key, all parts are sent again for the
    server to compare them, and a batch that failed is not replaced by a new one.

    Progress is printed to standard error, the result to standard output.
    """
    is_scheduled = publish_at is not None
    _check_options(file, remove, mode, publish, errors_to, dry_run=dry_run, as_json=as_json)
    _check_waits(is_scheduled=is_scheduled, in_release=release is not None, dry_run=dry_run, wait=wait)
    if errors_to:
        clear_errors(errors_to)
    policy = DRY_RUN if dry_run else publish.upper().replace("-", "_")
    instant = publish_at.isoformat() if publish_at else None
    request = BatchRequest(price_list, mode.upper(), key or "", policy, expected_version, label, instant, release)
    with ExitStack() as stack:
        outcome = _run(
            request,
            lambda: _files(file, remove, stack),
            part_rows,
            max_requests,
            endpoint,
            token,
            create=create,
            wait=wait,
        )
    _show(request, outcome, errors_to, as_json=as_json)
    raise SystemExit(exit_code(request, outcome))


def _check_options(
    file: Path | None,
    remove: Path | None,
    mode: str,
    publish: str,
    errors_to: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Raise `UsageError` for options that contradict each other."""
    if remove and mode != "merge":
        raise click.UsageError("--remove requires --mode merge: with replace, FILE is the whole list.")
    if file is None and remove is None:
        raise click.UsageError("Give a FILE, or --remove with --mode merge.")
    if file == remove == _STANDARD_INPUT:
        raise click.UsageError("Standard input cannot be both FILE and the skus to remove.")
    if dry_run and publish != "when-valid":
        raise click.UsageError("--dry-run publishes nothing: leave --publish out.")
    if errors_to == _STANDARD_INPUT and as_json:
        raise click.UsageError("--json prints the errors, too: leave --errors-to out, or name a file.")
    if (
        errors_to
        and errors_to.is_file()
        and any(each and each.is_file() and each.samefile(errors_to) for each in (file, remove))
    ):
        raise click.UsageError(f"{errors_to} is imported: name another file for --errors-to.")


def _check_waits(*, is_scheduled: bool, in_release: bool, dry_run: bool, wait: bool) -> None:
    """Raise `UsageError` for options that contradict what a batch waits for."""
    if is_scheduled and wait:
        raise click.UsageError("--wait waits for a version that is published now: leave it out with --publish-at.")
    if in_release and wait:
        raise click.UsageError("--wait waits for a version that is published now: leave it out with --release.")
    if in_release and is_scheduled:
        raise click.UsageError("A release has one instant for all its lists: `pricebook release schedule` sets it.")
    if in_release and dry_run:
        raise click.UsageError("--dry-run publishes nothing: leave --release out.")


def _run(
    request: BatchRequest,
    open_files: Callable[[], list[RowFile]],
    part_rows: int,
    max_requests: int,
    endpoint: str,
    token: str | None,
    *,
    create: bool,
    wait: bool,
) -> Outcome:
    """Import the files, and return the batch with the lines of its errors. Ctrl-C ends the command.

    Without a key in the request, it is computed from the content of the files.
    """
    # httpx and rich: --help does not wait for them.
    from cli.client.client import open_client  # noqa: PLC0415
    from cli.imports.importer import Importer  # noqa: PLC0415
    from cli.progress import Progress  # noqa: PLC0415

    progress = Progress("sending")
    importer: Importer | None = None

    async def find_release(name_or_id: str) -> str:
        async with open_client(endpoint, token, progress.note) as client:
            return await find_release_id(client, name_or_id, unfinished=True)

    async def send(importer: Importer, keyed: BatchRequest) -> Outcome:
        async with open_client(endpoint, token, progress.note, max_connections=max_requests) as client:
            api = BatchApi(client)
            outcome = await importer.run(api, keyed, own_key=bool(request.key), create=create)
            if wait and outcome.state == "PUBLISHED":
                outcome = await importer.wait_until_served(api, outcome)
            return await api.with_errors(outcome)

    try:
        files = open_files()
        importer = Importer(files, part_rows, max_requests, progress)
        with progress:
            if request.publish_at:
                progress.note(f"To be published at {request.publish_at}.")
            if request.release:  # its id is part of the key: a name may be that of another release next time
                request = replace(request, release=asyncio.run(find_release(request.release)))
            keyed = request if request.key else replace(request, key=content_key(request, files, part_rows))
            outcome = asyncio.run(send(importer, keyed))
    except KeyboardInterrupt:
        status = importer.status if importer else "Nothing was sent yet"
        instant = f", with --publish-at {request.publish_at}," if request.publish_at else ""
        click.echo(f"\nInterrupted. {status}; run the same command again{instant} to resume.", err=True)
        raise SystemExit(exit_codes.INTERRUPTED) from None
    return replace(outcome, batch={**outcome.batch, "errors": with_file_lines(files, outcome.batch["errors"])})


def _files(file: Path | None, remove: Path | None, stack: ExitStack) -> list[RowFile]:
    """Return the files to import. Standard input is kept on disk until the stack is closed."""
    files = []
    if file == _STANDARD_INPUT:
        files.append(store_prices(stack))
    elif file:
        files.append(RowFile.of_prices(file))
    if remove == _STANDARD_INPUT:
        files.append(store_skus(stack))
    elif remove:
        files.append(RowFile.at(remove, Format.SKUS))
    return files


def _show(request: BatchRequest, outcome: Outcome, errors_to: Path | None, *, as_json: bool) -> None:
    if errors_to:
        write_errors(errors_to, outcome.batch["errors"], outcome.batch["errorCount"])
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(outcome.batch)))
    else:
        context = click.get_current_context()
        is_given = context.get_parameter_source("endpoint") is ParameterSource.COMMANDLINE
        endpoint = context.params["endpoint"] if is_given else None
        report(request, outcome, endpoint=endpoint, to_stderr=errors_to == _STANDARD_INPUT)
