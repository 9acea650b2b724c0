"""Fixtures of the tests of the storage."""

from collections.abc import AsyncIterator

import pytest

from storage import Store


@pytest.fixture
async def other_store(mongodb_uri: str, store: Store) -> AsyncIterator[Store]:
    """A second store on the same database, as another process opens it."""
    other = await Store.open(mongodb_uri, store.db.name)
    yield other
    await other.close()
