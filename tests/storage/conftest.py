"""Fixtures of the tests of the storage."""

from collections.abc import AsyncIterator

import pytest

from storage import Store
from storage.mongodb.connection import connect
from tests.storage.commands import Commands


@pytest.fixture
async def other_store(mongodb_uri: str, store: Store) -> AsyncIterator[Store]:
    """A second store on the same database, as another process opens it."""
    other = await Store.open(mongodb_uri, store.db.name)
    yield other
    await other.close()


@pytest.fixture
async def watched(store: Store, mongodb_uri: str) -> AsyncIterator[tuple[Store, Commands]]:
    """A second store whose commands are recorded."""
    commands = Commands()
    watched = Store(await connect(mongodb_uri, [commands]), store.db.name)
    yield watched, commands
    await watched.close()


@pytest.fixture
async def short_transactions(store: Store) -> AsyncIterator[None]:
    """Abort the transaction of a dead process early. It locks the pointer, by default for a minute."""
    name = "transactionLifetimeLimitSeconds"
    before = (await store.client.admin.command({"getParameter": 1, name: 1}))[name]
    await store.client.admin.command({"setParameter": 1, name: 2})
    yield
    await store.client.admin.command({"setParameter": 1, name: before})
