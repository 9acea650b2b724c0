"""Fixtures of all tests: a replica set that starts once per worker, and one whose members a test may break."""

import functools
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from graph import app
from graph.cache import etags
from storage import Store
from tests.databases import Databases, databases_on
from tests.stack.data_folder import data_folder
from tests.stack.replica_set import BreakableReplicaSet

MAX_WORKERS = 4
"""Number of files to test at once, at most."""

MEMBERS = int(os.environ.get("PRICEBOOK_TEST_MEMBERS", "1"))
"""Number of members of the shared replica set. Three take twice the CPU for the same commands of a test."""

MEMORY_PER_WORKER = 4 << 30
"""Bytes of memory for a worker: two replica sets, their data, and the servers of a test."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many files to test at once: one more than cores, because tests also wait."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(MAX_WORKERS, 1 + (os.cpu_count() or 1), memory // MEMORY_PER_WORKER))


def pytest_configure() -> None:
    """Let tests interrupt with SIGINT, and measure no examples of property tests.

    A shell without job control ignores SIGINT in background processes.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    # Each of the many servers would compile the code again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    app.tune_garbage_collector()


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collections."""
    app.tune_garbage_collector()


@pytest.fixture(scope="session", autouse=True)
def _built_once() -> Iterator[None]:
    """Build what is the same for each application and each HTTP client only once: it takes most of a short test."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((app, "build_schema"), (etags, "print_schema"), (ssl, "create_default_context")):
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder for a replica set, removed after each test: the journal of each member takes 300 MB."""
    yield tmp_path / "data"
    shutil.rmtree(tmp_path / "data", ignore_errors=True)


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableReplicaSet]:
    """The shared replica set, on which each test has its own database. Tests must not kill its members.

    Tests in which the members matter use `own_replica_set`.
    """
    with (
        data_folder("shared", tmp_path_factory.mktemp("shared") / "data") as folder,
        BreakableReplicaSet(folder, MEMBERS) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def own_replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableReplicaSet]:
    """A replica set of three for the test module, whose members the tests may kill and restart."""
    with data_folder("own", tmp_path_factory.mktemp("own") / "data") as folder, BreakableReplicaSet(folder) as running:
        yield running


@pytest.fixture(scope="session")
def mongodb_uri(request: pytest.FixtureRequest) -> str:
    """The URI of the shared replica set, or PRICEBOOK_TEST_MONGODB_URI (for tests against a newer MongoDB)."""
    given = os.environ.get("PRICEBOOK_TEST_MONGODB_URI")
    if given:
        return given
    replica_set: BreakableReplicaSet = request.getfixturevalue("replica_set")
    return replica_set.uri


@pytest.fixture(scope="session")
async def databases(mongodb_uri: str) -> AsyncIterator[Databases]:
    """The databases of the shared replica set."""
    async with databases_on(mongodb_uri) as databases:
        yield databases


@pytest.fixture
async def store(mongodb_uri: str, databases: Databases) -> AsyncIterator[Store]:
    """A store on an empty database."""
    async with databases.empty() as name:
        store = await Store.open(mongodb_uri, name)
        yield store
        await store.close()
