"""The baseline of batches: a plain PyMongo client that inserts one document a price, at `w: majority, j: true`."""

import time
from collections.abc import Iterable
from typing import Any

from bson.decimal128 import Decimal128
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from bench.servers import DATABASE

COLLECTION = "bare"


def documents(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents of prices, in the order of the prices."""
    return [
        {"_id": row["sku"], "amount": Decimal128(row["amount"]), "currency": row["currency"]}
        | {"attributes": row["attributes"]}
        for row in rows
    ]


def insert(client: MongoClient[dict[str, Any]], prices: list[dict[str, Any]]) -> float:
    """Insert documents into a new collection, and return the seconds that this took."""
    client[DATABASE].drop_collection(COLLECTION)
    client[DATABASE].create_collection(COLLECTION)
    collection = bare_collection(client)
    started = time.perf_counter()
    collection.insert_many(prices, ordered=False)
    return time.perf_counter() - started


def bare_collection(client: MongoClient[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """Return the collection of the documents, with the write concern of a layer."""
    return client[DATABASE].get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))
