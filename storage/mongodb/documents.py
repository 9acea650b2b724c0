"""Records as documents: msgspec maps the fields of a record to the stored fields.

A record is a frozen `msgspec.Struct` with `rename="camel"`; a repository reads one with `msgspec.convert` after
`check_format`, which ignores unknown fields and raises `msgspec.ValidationError` for a missing field or a wrong type.
"""

import datetime
import logging
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from bson.decimal128 import Decimal128

from storage.errors import Broken, Corrupt, UnknownFormat
from storage.mongodb.connection import FORMAT, Document

log = logging.getLogger("pricebook.documents")

T = TypeVar("T")

_BSON_TYPES = (datetime.datetime, Decimal)


def to_document(record: object) -> Document:
    """Return a record as a document of the current format. Its decimals need `encode_decimals`."""
    return {"format": FORMAT, **to_builtins(record)}


def to_builtins(value: object) -> Any:
    """Return records, or what holds them, as dicts and lists; times and decimals are kept."""
    return msgspec.to_builtins(value, builtin_types=_BSON_TYPES)


def encode_decimals(fields: Mapping[str, Any]) -> Document:
    """Return the fields with each `Decimal` as the `Decimal128` that BSON has."""
    return {name: Decimal128(value) if isinstance(value, Decimal) else value for name, value in fields.items()}


def decode_decimals(fields: Mapping[str, Any]) -> Document:
    """Return the fields with each `Decimal128` as a `Decimal`."""
    return {name: value.to_decimal() if isinstance(value, Decimal128) else value for name, value in fields.items()}


def value_of_each(ids: Sequence[object], values: Sequence[object]) -> Document:
    """Return the expression of an update pipeline that has a value of its own for each of the documents with `ids`."""
    return {"$arrayElemAt": [{"$literal": list(values)}, {"$indexOfArray": [{"$literal": list(ids)}, "$_id"]}]}


def set_each(ids: Sequence[object], fields: Sequence[Mapping[str, Any]]) -> Document:
    """Return the stage of an update pipeline that sets fields of each of the documents with `ids` to values of its own.

    One update of many documents takes the server much less time than one update of each.
    """
    return {"$replaceWith": {"$mergeObjects": ["$$ROOT", value_of_each(ids, fields)]}}


def read_or_error(read: Callable[[Document], T], document: Document) -> T | Broken:
    """Return the record of a document; or the error, if a later release wrote it or it is damaged."""
    try:
        return read(document)
    except UnknownFormat as error:
        return error
    except (KeyError, TypeError, ValueError) as error:  # `msgspec.ValidationError` is a `ValueError`
        problem = f"{type(error).__name__}: {error}"
        return Corrupt(f"The document {document['_id']!r} is unreadable ({problem}). Run `pricebook check`.")


async def read_each(
    documents: AsyncIterable[Document], read: Callable[[Document], T], limit: int | None = None
) -> list[T]:
    """Return up to `limit` records of documents of several lists. An unreadable document is logged and skipped."""
    records: list[T] = []
    async for document in documents:
        record = read_or_error(read, document)
        if isinstance(record, Broken):
            log.error("The document %s is skipped: %s", document["_id"], record.message)
            continue
        records.append(record)
        if len(records) == limit:
            break
    return records


def raise_if_unreadable(record: T | Broken) -> T:
    """Return a record. Raises the error of a document that is unreadable."""
    if isinstance(record, Broken):
        raise record
    return record
