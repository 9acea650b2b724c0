"""The `api` fixture: a running application for each test."""

import secrets
from collections.abc import AsyncIterator

import pytest

from storage.mongodb.connection import connect
from tests.graph.api import Api, open_settings, serving


@pytest.fixture
async def api(mongodb_uri: str) -> AsyncIterator[Api]:
    """A client of a new application with a new database."""
    database = f"test_{secrets.token_hex(6)}"
    async with serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database=database)) as api:
        yield api
    async with await connect(mongodb_uri) as client:
        await client.drop_database(database)
        await client.drop_database(f"{database}_layers")
