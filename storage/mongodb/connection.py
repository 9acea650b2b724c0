"""The connection: one client per process, its read and write concerns, and the indexes of the collections."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pymongo
from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.monitoring import CommandListener, ConnectionPoolListener
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from storage.errors import InvalidArgument, LayerGone, PricebookError, Unavailable, UnknownFormat

Document = dict[str, Any]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]
Client = AsyncMongoClient[Document]
EventListener = CommandListener | ConnectionPoolListener

FORMAT = 1
"""The format that stored documents are written in. A release reads all formats up to its own."""

NAMESPACE_EXISTS = 48
"""The server's error code for creating a collection that already exists."""

NAMESPACE_NOT_FOUND = 26
"""The server's error code for a collection that does not exist."""

COLLECTION_DROPPED = 175
"""The server's error code for a cursor whose collection was dropped."""

LAYERS_SUFFIX = "_layers"
"""Suffix of the name of the layers' database, after that of the main database."""

DURABLE = WriteConcern(w="majority", j=True)
MAJORITY = ReadConcern("majority")

ITEM_ERROR_DAYS = 31
"""Days for which the errors of invalid items are stored: longer than an idempotency key finds their batch."""

LATER_FORMAT: Mapping[str, Any] = {"format": {"$gt": FORMAT}}
"""A query for documents that a later release wrote; partial indexes with this condition are empty as a rule."""

_LATER_FORMAT_INDEX = IndexModel(
    [("list", 1)], name=f"later_than_format_{FORMAT}", partialFilterExpression=LATER_FORMAT
)

SCHEDULED: Mapping[str, Any] = {"state": "HELD", "publishAt": {"$type": "date"}}
"""A query for scheduled batches, as partial indexes have them."""

ARE_UNFINISHED: Mapping[str, Any] = {"state": {"$in": ["HELD", "OPEN", "SEALING"]}}
"""A query for unfinished batches. One for two of these states must repeat it, or else the partial index is not used."""

INDEXES: Mapping[str, list[IndexModel]] = {
    "snapshots": [
        IndexModel([("_id.list", 1), ("_id.version", -1), ("state", 1)], name="list_newest"),
        IndexModel([("layers.id", 1)], name="layers"),
        IndexModel(
            [("_id.list", 1), ("replacedAt", 1), ("_id.version", 1)],
            name="list_replaced",
            partialFilterExpression={"state": "PUBLISHED", "replacedAt": {"$type": "date"}},
        ),
        IndexModel(
            [("_id.list", 1), ("keep.until", 1)],
            name="list_kept",
            partialFilterExpression={"state": "PUBLISHED", "keep.until": {"$type": "date"}},
        ),
        IndexModel(
            [("_id.list", 1), ("state", 1), ("retiredAt", 1), ("doomedAt", 1)],
            name="list_expiring",
            partialFilterExpression={"doomedAt": {"$type": "date"}},
        ),
    ],
    "expired_snapshots": [IndexModel([("_id.list", 1), ("_id.version", -1)], name="list_newest")],
    "batches": [
        IndexModel(
            [("list", 1), ("key", 1)],
            name="idempotency_key",
            unique=True,
            partialFilterExpression={"key": {"$type": "string"}},
        ),
        IndexModel([("list", 1), ("_id", -1), ("format", 1)], name="list_newest"),
        IndexModel([("state", 1), ("_id", -1)], name="state_newest"),
        IndexModel(
            [("state", 1), ("list", 1), ("heldByPin", 1), ("version", -1), ("submittedBy", 1), ("release", 1)],
            name="unfinished",
            partialFilterExpression=ARE_UNFINISHED,
        ),
        IndexModel(
            [("list", 1), ("publishAt", 1), ("release", 1), ("_id", 1)],
            name="list_scheduled",
            partialFilterExpression=SCHEDULED,
        ),
        IndexModel([("publishAt", 1), ("_id", 1)], name="due", partialFilterExpression=SCHEDULED),
    ],
    "events": [
        IndexModel([("list", 1), ("revision", -1)], name="list_newest", unique=True),
        IndexModel([("list", 1), ("at", -1), ("revision", -1)], name="moves", partialFilterExpression={"moved": True}),
        IndexModel(
            [("list", 1), ("toVersion", 1), ("revision", -1)], name="moves_to", partialFilterExpression={"moved": True}
        ),
        IndexModel(
            [("list", 1), ("fromVersion", 1), ("revision", -1)],
            name="moves_from",
            partialFilterExpression={"moved": True},
        ),
        _LATER_FORMAT_INDEX,
    ],
    "price_lists": [
        IndexModel([("deletion.at", 1)], name="to_purge", partialFilterExpression={"deletion.purged": False})
    ],
    "releases": [
        IndexModel([("createdBy", 1), ("key", 1)], name="idempotency_key", unique=True),
        IndexModel([("state", 1), ("_id", -1)], name="state_newest"),
        IndexModel([("touchedAt", 1)], name="open_touched", partialFilterExpression={"state": "OPEN"}),
        _LATER_FORMAT_INDEX,
    ],
    "api_keys": [],
    "previews": [
        IndexModel([("batch", 1)], name="batch"),
        IndexModel([("expiresAt", 1)], name="expired", expireAfterSeconds=0),
    ],
    "parts": [],
    "item_errors": [IndexModel([("at", 1)], name="expired", expireAfterSeconds=ITEM_ERROR_DAYS * 86_400)],
    "locks": [],
    "orphans": [IndexModel([("since", 1)], name="since")],
    "processes": [IndexModel([("at", 1)], name="dead_after_a_day", expireAfterSeconds=86_400)],
}
"""The collections of the main database, with their indexes.

Those of batches and snapshots are as few as their queries allow. An update of an indexed field in a transaction makes
MongoDB 6.0 read the definitions of all indexes of the collection, twice for each of them, and a release updates a batch
and two manifests of each of its lists.
"""

OPTIONS: Mapping[str, Mapping[str, Any]] = {"price_lists": {"changeStreamPreAndPostImages": {"enabled": True}}}
"""Options of collections. The change stream of the pointers has each as the change left it, not as it is later."""


_TIMEOUTS = {"timeoutMS": 15_000, "connectTimeoutMS": 3_000, "heartbeatFrequencyMS": 3_000}
"""An operation, and a transaction, fails after `timeoutMS`: with the selection of a server, all attempts, and the wait
for a majority. A network partition closes no connection: the driver considers a member down after it has not answered
heartbeats for `connectTimeoutMS` plus `heartbeatFrequencyMS`. It then aborts pending operations, which go to the next
primary."""

_DECODING: Mapping[str, Any] = {
    "tz_aware": True,
    "datetime_conversion": "DATETIME_AUTO",
    "unicode_decode_error_handler": "replace",
}
"""A time or text that Python cannot represent fails with its document, not with all that are read with it."""

_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"
"""The driver's label of an error after which a transaction may have been committed."""


async def connect(uri: str, listeners: Sequence[EventListener] = ()) -> Client:
    """Open a client that reports its events to `listeners`, and check that a replica set or mongos responds.

    Timeouts in the URI override the defaults. Raises `InvalidArgument` for a malformed URI, `Unavailable` if no server
    responds or it is a standalone server.
    """
    try:
        client: Client = AsyncMongoClient(
            uri, appname="pricebook", event_listeners=listeners, **_DECODING, **_not_in_uri(uri, _TIMEOUTS)
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
        raise Unavailable(
            "MongoDB runs as a standalone server. Pricebook needs a replica set; one with a single member is enough."
        )
    return client


def _not_in_uri(uri: str, options: Mapping[str, int]) -> dict[str, Any]:
    in_uri = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    return {name: value for name, value in options.items() if name.lower() not in in_uri}


def database(client: Client, name: str) -> Database:
    """Return the database with majority reads, and writes acknowledged by the journals of a majority."""
    return client.get_database(name, read_concern=MAJORITY, write_concern=DURABLE)


def layers_database(client: Client, name: str) -> Database:
    """Return the database of the layers, in which the service may neither update nor delete."""
    return database(client, f"{name}{LAYERS_SUFFIX}")


async def prepare(db: Database) -> None:
    """Create the collections and their indexes, however long it takes.

    Idempotent, and safe if several processes start at once.
    """
    with pymongo.timeout(0):  # no limit
        await _prepare(db)


async def _prepare(db: Database) -> None:
    present = {each["name"]: each.get("options", {}) async for each in await db.list_collections()}
    for name, options in OPTIONS.items():
        if name in present and not options.items() <= present[name].items():
            await _set_options(db, name, options)
    for name, indexes in INDEXES.items():
        if name not in present and (name in OPTIONS or not indexes):
            try:
                await db.create_collection(name, check_exists=False, **OPTIONS.get(name, {}))
            except OperationFailure as error:
                if error.code != NAMESPACE_EXISTS:
                    raise
        if indexes:
            await db[name].create_indexes(indexes)  # creates the collection as well


async def _set_options(db: Database, name: str, options: Mapping[str, Any]) -> None:
    """Set options of a collection that was created without them, as by a restore. Raises `InvalidArgument`."""
    try:
        await db.command("collMod", name, **options)
    except OperationFailure as error:
        command = json.dumps({"collMod": name, **options})
        raise InvalidArgument(
            f"The collection {name} lacks an option that Pricebook needs, and its user may not set it. "
            f"Run this as an administrator of the database {db.name}: db.runCommand({command})"
        ) from error


def check_format(kind: str, document: Mapping[str, Any]) -> None:
    """Raise `UnknownFormat` for a document that a later release wrote."""
    found = document.get("format")
    if not isinstance(found, int) or found > FORMAT:
        raise UnknownFormat(kind, found, FORMAT)


def explain(error: BaseException) -> PricebookError | None:
    """Return the Pricebook error that a driver's error corresponds to, or None for an unexpected error."""
    if isinstance(error, PricebookError):
        return error
    if isinstance(error, OperationFailure) and error.code == COLLECTION_DROPPED:
        return LayerGone()
    if not isinstance(error, PyMongoError):
        return None
    if error.has_error_label(_UNKNOWN_COMMIT):
        return Unavailable(
            f"MongoDB has not confirmed the change ({type(error).__name__}). It may still take effect: send a batch "
            "again with the same idempotency key; before you repeat anything else, look at the `events` of the list."
        )
    # The cursors of a member end when it is restarted or rolls back.
    if isinstance(error, ConnectionFailure | CursorNotFound | WriteConcernError) or error.timeout:
        return Unavailable(f"MongoDB does not answer ({type(error).__name__}). Try again in a moment.")
    return None
