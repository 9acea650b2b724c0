"""The rows of a batch pass graphql-core unread.

A mutation with 50,000 prices as variables would be coerced by graphql-core field by field, which holds the event loop
for seconds. So the JSON of the rows is cut out of the variables before execution, and one stand-in row takes its
place: it is coerced like any other, and its `attributes` carry the JSON to the resolver. Rows that stand as literals
in the document were coerced already and are encoded again, so that there is one way in for all of them.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from graphql import ListTypeNode, NamedTypeNode, NonNullTypeNode, OperationDefinitionNode, TypeNode

# Input types with a field of rows, and that field's name.
_CARRIERS = {"PublishBatchInput": "prices", "AppendBatchInput": "prices"}
_ROW = "PriceInput"


class Rows:
    """The undecoded JSON array of a batch's rows; `cut` are the rows, where they are cut out of it already."""

    __slots__ = ("cut", "json")

    def __init__(self, json: bytes | memoryview, cut: list[msgspec.Raw] | None = None) -> None:
        self.json = json
        self.cut = cut


class Cut(Protocol):
    """Rows that were cut out of a body before it was decoded, see `graph.rows.extraction`."""

    def join(self, value: msgspec.Raw) -> Rows | None:
        """Return all rows of the array, if `value` is what is left of it."""


def row_variables(operation: OperationDefinitionNode) -> dict[str, str]:
    """Return the variables of an operation that hold rows, each with the name of its type.

    A variable that is a single row is none of them: it can only stand in a list that the document spells out.
    """
    found = {}
    for definition in operation.variable_definitions or ():
        name = _named(definition.type)
        if name in _CARRIERS or (name == _ROW and _is_list(definition.type)):
            found[definition.variable.name.value] = name
    return found


def decode_variables(raw: msgspec.Raw, rows: dict[str, str], cut: Cut | None = None) -> dict[str, Any]:
    """Return an operation's variables, with a stand-in where there are rows. Raises msgspec.DecodeError."""
    if not rows:
        return msgspec.json.decode(raw, type=dict[str, Any] | None) or {}
    if _ROW not in rows.values():
        # The usual case, one variable that is an input object, in one pass over what may be many megabytes.
        with suppress(msgspec.ValidationError):
            objects = msgspec.json.decode(raw, type=dict[str, dict[str, msgspec.Raw]])
            return {name: _decode_members(members, rows.get(name), cut) for name, members in objects.items()}
    variables: dict[str, Any] = {}
    for name, value in (msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None) or {}).items():
        if rows.get(name) == _ROW:
            variables[name] = _stand_in(value, cut)
        elif name in rows and bytes(memoryview(value)[:1]) == b"{":
            members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            variables[name] = _decode_members(members, rows[name], cut)
        else:
            variables[name] = msgspec.json.decode(value)
    return variables


def rows_of(prices: Iterable[Any]) -> Rows:
    """Return the rows that a resolver was given as `PriceInput` objects."""
    given = list(prices)
    if len(given) == 1 and isinstance(given[0].attributes, Rows):
        return given[0].attributes
    return Rows(msgspec.json.encode([price.to_row() for price in given]))


def _decode_members(members: dict[str, msgspec.Raw], carrier: str | None, cut: Cut | None) -> dict[str, Any]:
    field = _CARRIERS.get(carrier or "")
    return {
        name: _stand_in(value, cut) if name == field else msgspec.json.decode(value) for name, value in members.items()
    }


def _stand_in(value: msgspec.Raw, cut: Cut | None) -> list[dict[str, Any]] | None:
    json = memoryview(value)
    if bytes(json[:4]) == b"null":
        return None
    rows = (cut and cut.join(value)) or Rows(json)
    return [{"sku": "", "amount": "0", "currency": "", "attributes": rows}]


def _is_list(node: TypeNode) -> bool:
    return isinstance(node.type if isinstance(node, NonNullTypeNode) else node, ListTypeNode)


def _named(node: TypeNode) -> str:
    while isinstance(node, NonNullTypeNode | ListTypeNode):
        node = node.type
    return node.name.value if isinstance(node, NamedTypeNode) else ""
