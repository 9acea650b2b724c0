"""The servers of acceptance tests run on a replica set of three, as in production."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.databases import Databases, databases_on
from tests.stack.data_folder import data_folder
from tests.stack.replica_set import BreakableReplicaSet


@pytest.fixture(scope="package")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a replica set of three for these tests, or PRICEBOOK_TEST_MONGODB_URI."""
    given = os.environ.get("PRICEBOOK_TEST_MONGODB_URI")
    if given:
        yield given
        return
    with (
        data_folder("acceptance", tmp_path_factory.mktemp("acceptance") / "data") as folder,
        BreakableReplicaSet(folder) as running,
    ):
        yield running.uri


@pytest.fixture(scope="package")
async def databases(mongodb_uri: str) -> AsyncIterator[Databases]:
    """The databases of the replica set of three."""
    async with databases_on(mongodb_uri) as databases:
        yield databases
