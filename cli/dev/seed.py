"""Prices for a new copy: files as `pricebook export` writes them, each published as a list of its own."""

import asyncio
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from cli.client.client import RetryingApi, open_client
from cli.exit_codes import DONE
from cli.imports.batch_api import BatchApi, Order, Outcome
from cli.imports.command import key_of
from cli.imports.importer import Importer
from cli.imports.price_files import RowFile
from cli.imports.progress import ImportProgress
from cli.imports.report import exit_code, report

CHUNK_ROWS = 20_000
PARALLEL = 4


class Seed(click.ParamType[tuple[str, Path]]):
    """A file of prices, `LIST=FILE` or `FILE`: the list's name is the file's then, up to the first point."""

    name = "[LIST=]FILE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """Return the list's name and the file."""
        named, equals, path = value.partition("=")
        file = Path(path if equals else value)
        if not file.is_file():
            self.fail(f"{file} is not a file.", param, ctx)
        return named if equals else file.name.partition(".")[0], file


def publish_seed(endpoint: str, price_list: str, file: Path) -> None:
    """Publish a file as the list's first version, unless that was done before.

    Raises `ClickException` where it is not published.
    """
    files = [RowFile.of_prices(file)]
    order = Order(price_list, "REPLACE", "", "WHEN_VALID", None, None)
    order = replace(order, key=key_of(order, files, CHUNK_ROWS))
    progress = ImportProgress(Console(stderr=True), files[0].size)

    async def run() -> Outcome:
        client = open_client(endpoint, None, PARALLEL)
        async with client:
            api = BatchApi(RetryingApi(endpoint, client, progress.note))
            await api.create_list(price_list)
            return await Importer(api, files, CHUNK_ROWS, PARALLEL).run(order, progress, own_key=False)

    with progress:
        outcome = asyncio.run(run())
    if exit_code(order, outcome) != DONE:
        report(order, outcome)
        raise click.ClickException(f"{file} was not published as {price_list}.")
    click.echo(f"{price_list} is version {outcome.batch['version']}, from {file}")
