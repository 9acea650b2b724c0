"""The commands of operators, run both ways."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import Result

from storage import Store
from tests.cli.ops.commands import Run, invoke, invoke_direct, server
from tests.graph.api import open_settings
from tests.waiting import until


@pytest.fixture(params=["http", "direct"])
async def run(request: pytest.FixtureRequest, store: Store, mongodb_uri: str) -> AsyncIterator[Run]:
    """Runs a command, over HTTP or directly on MongoDB."""
    if request.param == "direct":

        async def direct(*arguments: str, **options: Any) -> Result:
            return await invoke_direct(store, mongodb_uri, *arguments, **options)

        yield direct
        return
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name, grace_seconds=0)
    async with server(settings) as (endpoint, runtime):

        async def follows_store() -> bool:
            return runtime.pointers.revisions() == {
                each.name: each.revision for each in await store.watcher.read() if not each.deletion
            }

        async def by_http(*arguments: str, **options: Any) -> Result:
            await until(follows_store, "followed")
            return await asyncio.to_thread(invoke, *arguments, "--endpoint", endpoint, **options)

        yield by_http
