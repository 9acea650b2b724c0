"""The connection: the database is made ready once however many start at once, and errors are named for callers."""

import asyncio
import secrets

import pytest
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    ExecutionTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from storage import InvalidArgument, Store, Unavailable, explain
from storage.errors import LeaseLost
from storage.mongodb.connection import connect
from tests.storage.factories import create, rows, submit


async def test_many_processes_that_start_at_once_make_the_database_ready_together(mongodb_uri: str) -> None:
    name = f"test_{secrets.token_hex(6)}"
    stores = await asyncio.gather(*(Store.open(mongodb_uri, name) for _ in range(6)))
    db = stores[0].db
    kept = {"price_lists", "snapshots", "batches", "parts", "events", "locks", "orphans", "processes", "api_keys"}
    assert set(await db.list_collection_names()) == kept
    assert (await db["batches"].index_information())["idempotency_key"]["unique"]
    assert (await db["events"].index_information())["list_newest"]["unique"]
    await stores[0].client.drop_database(name)
    await asyncio.gather(*(store.close() for store in stores))


async def test_everything_is_written_to_a_majoritys_journal_and_read_from_a_majority(store: Store) -> None:
    assert store.db.write_concern == WriteConcern("majority", j=True)
    assert store.db.read_concern == ReadConcern("majority")
    await store.ping()


@pytest.mark.parametrize("uri", ["", "http://localhost", "mongodb://", "mongodb://localhost:x", "mongodb://[::1"])
async def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(InvalidArgument, match="URI"):
        await Store.open(uri, "test")


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("x"),
        NotPrimaryError("x"),
        ServerSelectionTimeoutError("x"),
        WriteConcernError("x"),
        ExecutionTimeout("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_does_not_answer_is_unavailable(error: Exception) -> None:
    assert isinstance(explain(error), Unavailable)


def test_an_error_of_ours_explains_itself_and_one_that_should_not_happen_has_no_explanation() -> None:
    ours = LeaseLost("x")
    assert explain(ours) is ours
    for error in (DuplicateKeyError("x"), OperationFailure("x"), ValueError("x")):
        assert explain(error) is None


async def test_a_layer_that_is_dropped_while_it_is_read_is_an_expired_version(store: Store) -> None:
    await create(store)
    batch = await submit(store, rows(3500))
    read = store.layer_reader.runs(batch.layer)
    await anext(read)
    await store.layers.drop(batch.layer)
    with pytest.raises(OperationFailure) as dropped:
        async for _ in read:
            pass
    explained = explain(dropped.value)
    assert explained is not None
    assert explained.code == "SNAPSHOT_EXPIRED"


async def test_the_timeouts_of_a_uri_are_heeded(mongodb_uri: str) -> None:
    client = await connect(f"{mongodb_uri}&HeartbeatFrequencyMS=9000")
    async with client:
        assert client._topology_settings.heartbeat_frequency == 9
        assert client.options.pool_options.connect_timeout == 3, "ours, where it names none"
