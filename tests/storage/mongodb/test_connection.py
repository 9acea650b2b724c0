"""The connection: concurrent preparation of the database, concerns, timeouts and the translation of driver errors."""

import asyncio
import secrets

import pytest
from pymongo.errors import (
    AutoReconnect,
    CursorNotFound,
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


async def test_a_collection_that_lacks_an_option_gets_it(mongodb_uri: str) -> None:
    name = f"test_{secrets.token_hex(6)}"
    async with await connect(mongodb_uri) as client:
        await client[name].create_collection("price_lists")
        store = await Store.open(mongodb_uri, name)
        [lists] = await (await client[name].list_collections(filter={"name": "price_lists"})).to_list()
        assert lists["options"]["changeStreamPreAndPostImages"] == {"enabled": True}
        await client.drop_database(name)
        await store.close()


async def test_processes_that_start_at_once_prepare_the_database_together(mongodb_uri: str) -> None:
    name = f"test_{secrets.token_hex(6)}"
    stores = await asyncio.gather(*(Store.open(mongodb_uri, name) for _ in range(6)))
    db = stores[0].db
    collections = {
        "price_lists",
        "snapshots",
        "expired_snapshots",
        "batches",
        "parts",
        "item_errors",
        "events",
        "locks",
        "orphans",
        "processes",
        "releases",
        "api_keys",
        "previews",
    }
    assert set(await db.list_collection_names()) == collections
    assert (await db["batches"].index_information())["idempotency_key"]["unique"]
    assert (await db["events"].index_information())["list_newest"]["unique"]
    await stores[0].client.drop_database(name)
    await stores[0].client.drop_database(f"{name}_layers")
    await asyncio.gather(*(store.close() for store in stores))


async def test_writes_wait_for_the_journals_of_a_majority_and_reads_are_majority_reads(store: Store) -> None:
    assert store.db.write_concern == WriteConcern("majority", j=True)
    assert store.db.read_concern == ReadConcern("majority")
    await store.ping()


@pytest.mark.parametrize("uri", ["", "http://localhost", "mongodb://", "mongodb://localhost:x", "mongodb://[::1"])
async def test_a_malformed_uri_is_rejected(uri: str) -> None:
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
        CursorNotFound("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_does_not_answer_is_unavailable(error: Exception) -> None:
    assert isinstance(explain(error), Unavailable)


def test_a_pricebook_error_explains_itself_and_an_unexpected_error_has_no_explanation() -> None:
    known = LeaseLost("x")
    assert explain(known) is known
    for error in (DuplicateKeyError("x"), OperationFailure("x"), ValueError("x")):
        assert explain(error) is None


async def test_a_layer_dropped_during_a_read_means_an_expired_version(store: Store) -> None:
    await create(store)
    batch = await submit(store, rows(3500))
    assert batch.layer is not None
    read = store.layers_db[f"layer.{batch.layer.id}"].find(batch_size=2)
    await anext(read)
    await store.layer_writer.drop(batch.layer.id)
    with pytest.raises(OperationFailure) as dropped:
        await read.to_list()
    explained = explain(dropped.value)
    assert explained is not None
    assert explained.code == "SNAPSHOT_EXPIRED"


async def test_timeouts_in_the_uri_override_the_defaults(mongodb_uri: str) -> None:
    client = await connect(f"{mongodb_uri}&HeartbeatFrequencyMS=9000")
    async with client:
        assert client._topology_settings.heartbeat_frequency == 9
        assert client.options.pool_options.connect_timeout == 3, "not the default of a timeout that the URI leaves out"
