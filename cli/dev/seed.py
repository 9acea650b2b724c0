"""The prices of a new instance: files that `pricebook export` wrote, each published as one price list."""

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from cli.client.client import open_client
from cli.exit_codes import SUCCESS
from cli.imports.batch_api import BatchApi, BatchRequest, Outcome
from cli.imports.content_key import content_key
from cli.imports.importer import Importer
from cli.imports.price_files import RowFile
from cli.imports.report import exit_code, report
from cli.progress import Progress

PART_ROWS = 20_000
MAX_REQUESTS = 4
"""Maximum number of concurrent requests."""


class Seed(click.ParamType[tuple[str, Path]]):
    """A file of prices, `LIST=FILE` or `FILE`. The default name of the list is the file name up to the first dot."""

    name = "[LIST=]FILE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """Return the name of the list and the file."""
        prefix, equals, path = value.partition("=")
        file = Path(path if equals else value)
        if not file.is_file():
            self.fail(f"{file} is not a file.", param, ctx)
        return prefix if equals else file.name.partition(".")[0], file


def publish_seed(endpoint: str, price_list: str, file: Path) -> None:
    """Publish a file as the first version of a price list, unless an earlier run did.

    Raises `ClickException` if it is not published.
    """
    files = [RowFile.of_prices(file)]
    request = BatchRequest(price_list, "REPLACE", "", "WHEN_VALID", None, None)
    request = replace(request, key=content_key(request, files, PART_ROWS))

    async def run() -> Outcome:
        with Progress("sending") as progress:
            async with open_client(endpoint, None, progress.note, max_connections=MAX_REQUESTS) as client:
                api = BatchApi(client)
                importer = Importer(files, PART_ROWS, MAX_REQUESTS, progress)
                return await api.with_errors(await importer.run(api, request, own_key=False, create=True))

    outcome = asyncio.run(run())
    if exit_code(request, outcome) != SUCCESS:
        report(request, outcome)
        raise click.ClickException(f"{file} was not published as {price_list}.")
    click.echo(f"{price_list} is version {outcome.batch['version']}, from {file}")
