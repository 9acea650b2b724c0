"""The `api` fixture: a running application for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.databases import Databases
from tests.graph.api import Api, open_settings, serving


@pytest.fixture
async def api(mongodb_uri: str, databases: Databases) -> AsyncIterator[Api]:
    """A client of a new application with an empty database."""
    async with (
        databases.empty() as name,
        serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database=name)) as api,
    ):
        yield api
