"""The custom scalars of the schema."""

import datetime
import decimal
import re
from dataclasses import replace
from typing import Any, NewType, cast

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.types.base_scalars import DateDefinition, DateTimeDefinition

from graph.rows.upload import Upload

JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)

MAX_DECIMAL_LENGTH = 100
"""Characters of a decimal in a request. Amounts have at most 34 digits; a bound of a range may have more."""

MAX_DATE_TIME_LENGTH = 40
"""Characters of a date and time in a request."""

_MAX_INSTANT_TEXTS = 4096
"""Instants whose texts are kept."""

_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"

_date_time = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_HOUR_AND_MINUTE}(?::[0-9]{{2}}(?:\.[0-9]{{1,9}})?)?"
    rf"(?P<offset>[Zz]|[+-]{_HOUR_AND_MINUTE})?"
).fullmatch

_plain_decimal = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch


def _serialize_decimal(value: decimal.Decimal) -> str:
    text = str(value)  # takes a third of the time of `format`, and differs from it only for an exponent
    return format(value, "f") if "E" in text else text


def _parse_decimal(value: object) -> decimal.Decimal:
    if not isinstance(value, str):
        raise GraphQLError('A Decimal must be a string, such as "12.50".')
    if len(value) > MAX_DECIMAL_LENGTH:
        raise GraphQLError(f"A Decimal may have at most {MAX_DECIMAL_LENGTH} characters; this one has {len(value)}.")
    if not _plain_decimal(value):
        raise GraphQLError(f'{value[:40]!r} is not a decimal in plain notation, such as "12.50".')
    return decimal.Decimal(value)


def _parse_date(value: object) -> datetime.date:
    try:
        return datetime.date.fromisoformat(cast("str", value))
    except (TypeError, ValueError) as error:
        shown = f"{value[:40]!r} is not" if isinstance(value, str) else "A Date must be"
        raise GraphQLError(f"{shown} a calendar date in ISO 8601 format, such as `2026-11-28`.") from error


def _parse_date_time(value: object) -> datetime.datetime:
    if not isinstance(value, str) or not (found := _date_time(value[: MAX_DATE_TIME_LENGTH + 1])):
        shown = f"{value[:40]!r} is not" if isinstance(value, str) else "A DateTime must be"
        raise GraphQLError(
            f"{shown} a date and time in ISO 8601 format with an offset from UTC, such as `2026-11-28T17:45:00+00:00`."
        )
    if not found["offset"]:
        raise GraphQLError(
            f"{value!r} has no offset from UTC, and is another instant with each. Append one: `{value}Z` for UTC."
        )
    try:
        parsed = datetime.datetime.fromisoformat(value.upper()).astimezone(datetime.UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError(
            f"{value!r} is not a valid date and time, or is outside the years 1 to 9999 in UTC."
        ) from error
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)


class _InstantTexts(dict[datetime.datetime, str]):
    """Instants as texts. All are in UTC, so equal ones have the same text; those of timelines repeat a lot."""

    def __missing__(self, value: datetime.datetime) -> str:
        if len(self) >= _MAX_INSTANT_TEXTS:
            self.clear()
        text = self[value] = value.isoformat()
        return text


def _pass_through(value: Any) -> Any:
    return value


def _parse_upload(value: object) -> Upload:
    if not isinstance(value, Upload):
        raise GraphQLError("A file must be sent in a multipart request: as null in `operations`, and named in `map`.")
    return value


def _serialize_upload(_: object) -> Any:
    raise GraphQLError("Upload is an input type only.")


CONFIG = StrawberryConfig(
    scalar_map={
        datetime.date: replace(
            DateDefinition,
            description="A calendar date in ISO 8601 format, such as `2026-11-28`.",
            parse_value=_parse_date,
        ),
        datetime.datetime: replace(
            DateTimeDefinition,
            description="An instant in ISO 8601 format, such as `2026-11-28T17:45:00+00:00`. In a request, it must "
            "have an offset from UTC, such as `Z` or `+01:00`; digits after the milliseconds are ignored.",
            serialize=_InstantTexts().__getitem__,
            parse_value=_parse_date_time,
        ),
        decimal.Decimal: strawberry.scalar(
            name="Decimal",
            description='An exact decimal number, serialized as a string in plain notation, such as `"12.50"`. Never a '
            f"float. At most {MAX_DECIMAL_LENGTH} characters in a request.",
            serialize=_serialize_decimal,
            parse_value=_parse_decimal,
        ),
        JSON: strawberry.scalar(
            name="JSON", description="Any JSON value.", serialize=_pass_through, parse_value=_pass_through
        ),
        BigInt: strawberry.scalar(
            name="BigInt",
            description="An integer that may exceed 32 bits, serialized as a JSON number.",
            serialize=_pass_through,
            parse_value=_pass_through,
        ),
        Upload: strawberry.scalar(
            name="Upload",
            description="A file, sent according to the GraphQL multipart request specification.",
            serialize=_serialize_upload,
            parse_value=_parse_upload,
        ),
    }
)
