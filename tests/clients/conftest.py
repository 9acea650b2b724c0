"""Fixtures of the tests with real clients."""

import pytest

from storage import Store
from tests.storage.factories import create, published, row


@pytest.fixture
async def live(store: Store) -> Store:
    """A store with the list `live`, at version 1."""
    await create(store, "live")
    await published(store, [row("a")], "live")
    return store
