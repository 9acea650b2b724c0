"""The scalars that GraphQL does not bring."""

import decimal
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

JSON = NewType("JSON", object)


def _decimal_to_wire(value: decimal.Decimal) -> str:
    return format(value, "f")


def _decimal_from_wire(value: object) -> decimal.Decimal:
    if not isinstance(value, str):
        raise GraphQLError('A Decimal is a string, such as "12.50".')
    try:
        number = decimal.Decimal(value)
    except decimal.InvalidOperation:
        number = decimal.Decimal("NaN")
    if not number.is_finite() or "e" in value.lower():
        raise GraphQLError(f'{value[:40]!r} is no decimal in plain notation, such as "12.50".')
    return number


def _as_it_is(value: Any) -> Any:
    return value


CONFIG = StrawberryConfig(
    scalar_map={
        decimal.Decimal: strawberry.scalar(
            name="Decimal",
            description='An exact decimal, on the wire a string in plain notation: "12.50". Never a float.',
            serialize=_decimal_to_wire,
            parse_value=_decimal_from_wire,
        ),
        JSON: strawberry.scalar(name="JSON", description="Any JSON value.", serialize=_as_it_is, parse_value=_as_it_is),
    }
)
