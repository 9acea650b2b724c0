"""The connection: one client for a process, with the concerns that the promises need, and the collections' indexes."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.monitoring import CommandListener, ConnectionPoolListener
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from storage.errors import InvalidArgument, PricebookError, SnapshotGone, Unavailable, UnknownFormat

Document = dict[str, Any]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]
Client = AsyncMongoClient[Document]
EventListener = CommandListener | ConnectionPoolListener

# Every stored document carries the format that it was written in. A release reads all formats up to its own.
FORMAT = 1

# What a later release wrote, as a query.
NOT_UNDERSTOOD: Mapping[str, Any] = {"format": {"$not": {"$lte": FORMAT}}}

# The server's code for a collection that is there already.
NAMESPACE_EXISTS = 48

# And for one that is not.
NAMESPACE_NOT_FOUND = 26

# For a cursor on one that was dropped meanwhile.
COLLECTION_DROPPED = 175

DURABLE = WriteConcern(w="majority", j=True)
MAJORITY = ReadConcern("majority")

_INDEXES: Mapping[str, list[tuple[list[tuple[str, int]], dict[str, Any]]]] = {
    "snapshots": [
        ([("_id.list", 1), ("_id.version", -1)], {"name": "list_newest"}),
        ([("layers.id", 1)], {"name": "layers"}),
    ],
    "batches": [
        (
            [("list", 1), ("key", 1)],
            {"name": "idempotency_key", "unique": True, "partialFilterExpression": {"key": {"$type": "string"}}},
        ),
        ([("list", 1), ("_id", -1)], {"name": "list_newest"}),
        ([("state", 1), ("lease.until", 1)], {"name": "state_lease"}),
    ],
    "events": [([("list", 1), ("revision", -1)], {"name": "list_newest", "unique": True})],
    "price_lists": [],
    "api_keys": [],
    "parts": [],
    "locks": [],
    "orphans": [],
    "processes": [([("at", 1)], {"name": "dead_after_a_day", "expireAfterSeconds": 86_400})],
}


# A member that is cut off breaks no connection. It is known to be gone when it has not answered the monitor for the sum
# of the last two; what waits for it is broken off then, and asked of the next primary.
_TIMEOUTS = {"serverSelectionTimeoutMS": 15_000, "connectTimeoutMS": 3_000, "heartbeatFrequencyMS": 3_000}


async def connect(uri: str, listeners: Sequence[EventListener] = ()) -> Client:
    """Open the client and make sure that a replica set (or mongos) answers. The driver tells `listeners` what it does.

    The URI may have timeouts of its own.

    Raises `InvalidArgument` for a URI that is none, `Unavailable` when nobody answers or it is a standalone server.
    """
    try:
        client: Client = AsyncMongoClient(
            uri, tz_aware=True, appname="pricebook", event_listeners=listeners, **_unless_said(uri, _TIMEOUTS)
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise InvalidArgument(f"The MongoDB URI is not valid: {error}") from error
    try:
        hello = await client.admin.command("hello")
    except PyMongoError as error:
        await client.close()
        raise Unavailable(f"MongoDB does not answer: {error}") from error
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        await client.close()
        raise Unavailable("MongoDB runs as a standalone server; Pricebook needs a replica set (one member will do).")
    return client


def _unless_said(uri: str, options: Mapping[str, int]) -> dict[str, Any]:
    said = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    return {name: value for name, value in options.items() if name.lower() not in said}


def database(client: Client, name: str) -> Database:
    """Return the database, reading what a majority has and writing what a majority has in its journal."""
    return client.get_database(name, read_concern=MAJORITY, write_concern=DURABLE)


async def prepare(db: Database) -> None:
    """Create the collections and their indexes. Idempotent, and safe when several processes start at once."""
    present = set(await db.list_collection_names())
    for name, indexes in _INDEXES.items():
        if name not in present:
            try:
                await db.create_collection(name, check_exists=False)
            except OperationFailure as error:
                if error.code != NAMESPACE_EXISTS:
                    raise
        for keys, options in indexes:
            await db[name].create_index(keys, **options)


def check_format(kind: str, document: Mapping[str, Any]) -> None:
    """Raise `UnknownFormat` for a document that a later release wrote."""
    found = document.get("format")
    if not isinstance(found, int) or found > FORMAT:
        raise UnknownFormat(kind, found, FORMAT)


def explain(error: BaseException) -> PricebookError | None:
    """Return the error of ours that a driver's error amounts to, or None for one that should not have happened."""
    if isinstance(error, PricebookError):
        return error
    if isinstance(error, OperationFailure) and error.code == COLLECTION_DROPPED:
        return SnapshotGone()
    if isinstance(error, ConnectionFailure | WriteConcernError | ExecutionTimeout):
        return Unavailable(f"MongoDB does not answer ({type(error).__name__}). Try again in a moment.")
    return None
