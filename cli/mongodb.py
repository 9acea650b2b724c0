"""Commands that read MongoDB themselves, without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from cli.startup import read_settings, require_mongodb_uri
from storage import Store, explain

T = TypeVar("T")


def run_on_mongodb(use: Callable[[Store], Awaitable[T]]) -> T:
    """Return what `use` returns for the store at PRICEBOOK_MONGODB_URI. Known errors end the command with a message."""
    settings = read_settings()
    uri = require_mongodb_uri(settings)

    async def run() -> T:
        async with Store.open_existing(uri, settings.mongodb_database) as store:
            return await use(store)

    try:
        return asyncio.run(run())
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise click.ClickException(known.message) from error
