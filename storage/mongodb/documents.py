"""Records as documents: msgspec maps the fields of a record to the stored fields.

A record is a frozen `msgspec.Struct` with `rename="camel"`; a repository reads one with `msgspec.convert` after
`check_format`, which ignores unknown fields and raises `msgspec.ValidationError` for a missing field or a wrong type.
"""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from bson.decimal128 import Decimal128

from storage.mongodb.connection import FORMAT, Document

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
