"""Descriptions of the enums of storage, which does not depend on Strawberry."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import strawberry


def describe_enum(enum: type[StrEnum], description: str, values: Mapping[Any, str]) -> None:
    """Make an enum of storage a GraphQL enum, with a description of each of its values."""
    strawberry.enum(enum, description=description)
    for value in cast("Any", enum).__strawberry_definition__.values:
        value.description = values[value.value]
