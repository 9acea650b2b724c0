"""What all tests share: a replica set that is started once per run, and one that a test may break."""

import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage import Store
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet


def pytest_configure() -> None:
    """Let tests interrupt with SIGINT: a shell without job control ignores it in background processes."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for a replica set's data; it is removed at once, for every member's journal takes 300 MB."""
    yield tmp_path / "data"
    shutil.rmtree(tmp_path / "data", ignore_errors=True)


def _run(data_dir: Path) -> Iterator[EmbeddedReplicaSet]:
    with EmbeddedReplicaSet(data_dir) as devset:
        yield devset
    shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def devset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedReplicaSet]:
    """The replica set that all tests use, each its own database on it. Nobody kills its members."""
    yield from _run(tmp_path_factory.mktemp("devset"))


@pytest.fixture(scope="module")
def own_devset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedReplicaSet]:
    """A replica set of the module's own, whose members its tests may kill and restart."""
    yield from _run(tmp_path_factory.mktemp("own_devset"))


@pytest.fixture(scope="session")
def mongodb_uri(request: pytest.FixtureRequest) -> str:
    """The URI of the shared replica set, or of the one that PRICEBOOK_TEST_MONGODB_URI names (a newer MongoDB, say)."""
    given = os.environ.get("PRICEBOOK_TEST_MONGODB_URI")
    if given:
        return given
    devset: EmbeddedReplicaSet = request.getfixturevalue("devset")
    return devset.uri


@pytest.fixture
async def store(mongodb_uri: str) -> AsyncIterator[Store]:
    """A store on a database of the test's own."""
    store = await Store.open(mongodb_uri, f"test_{secrets.token_hex(6)}")
    yield store
    await store.client.drop_database(store.db.name)
    await store.close()
