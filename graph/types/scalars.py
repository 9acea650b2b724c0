"""The scalars that GraphQL does not bring."""

import decimal
import re
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from graph.rows.upload import Upload

JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)

_plain_decimal = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch


def _decimal_to_wire(value: decimal.Decimal) -> str:
    text = str(value)  # takes a third of the time of `format`, and differs from it only where there is an exponent
    return format(value, "f") if "E" in text else text


def _decimal_from_wire(value: object) -> decimal.Decimal:
    if not isinstance(value, str):
        raise GraphQLError('A Decimal is a string, such as "12.50".')
    if not _plain_decimal(value):
        raise GraphQLError(f'{value[:40]!r} is no decimal in plain notation, such as "12.50".')
    return decimal.Decimal(value)


def _as_it_is(value: Any) -> Any:
    return value


def _upload_from_wire(value: object) -> Upload:
    if not isinstance(value, Upload):
        raise GraphQLError("A file comes in a multipart request: null in `operations`, and named in `map`.")
    return value


def _upload_to_wire(_: object) -> Any:
    raise GraphQLError("A file goes one way only.")


CONFIG = StrawberryConfig(
    scalar_map={
        decimal.Decimal: strawberry.scalar(
            name="Decimal",
            description='An exact decimal, on the wire a string in plain notation: "12.50". Never a float.',
            serialize=_decimal_to_wire,
            parse_value=_decimal_from_wire,
        ),
        JSON: strawberry.scalar(name="JSON", description="Any JSON value.", serialize=_as_it_is, parse_value=_as_it_is),
        BigInt: strawberry.scalar(
            name="BigInt",
            description="An integer beyond 32 bits, on the wire a JSON number.",
            serialize=_as_it_is,
            parse_value=_as_it_is,
        ),
        Upload: strawberry.scalar(
            name="Upload",
            description="GraphQL multipart request specification.",
            serialize=_upload_to_wire,
            parse_value=_upload_from_wire,
        ),
    }
)
