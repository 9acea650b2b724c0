"""Placeholders for the rows of a batch, so that graphql-core does not coerce the rows.

graphql-core would coerce a variable of 50,000 prices field by field, and block the event loop for seconds. The JSON of
the rows is therefore taken out of the variables before execution, and replaced by one placeholder row: it is coerced
like any other, and its `attributes` carry the JSON to the resolver. Rows that are literals in the document are coerced,
and encoded again, so that all rows are decoded by the same code.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from graphql import ListTypeNode, NamedTypeNode, NonNullTypeNode, OperationDefinitionNode, TypeNode

_CONTAINERS = {"PublishBatchInput": "prices", "AppendBatchInput": "prices"}
"""By input type, the name of its field of rows."""

_ROW = "PriceInput"


class Rows:
    """The undecoded JSON array of the rows of a batch; `items` are the undecoded rows, if they are split already."""

    __slots__ = ("items", "json")

    def __init__(self, json: bytes | memoryview, items: list[msgspec.Raw] | None = None) -> None:
        self.json = json
        self.items = items


class Extracted(Protocol):
    """Rows that were extracted from a body before it was decoded (`graph.rows.extraction`)."""

    def join(self, value: msgspec.Raw) -> Rows | None:
        """Return all rows of the array if `value` is its remainder, otherwise None."""


def row_variables(operation: OperationDefinitionNode) -> dict[str, str]:
    """Return the variables of an operation that hold rows, with the names of their types.

    A variable for a single row is not included: it can only be an item of a list literal in the document.
    """
    variables = {}
    for definition in operation.variable_definitions or ():
        name = _type_name(definition.type)
        if name in _CONTAINERS or (name == _ROW and _is_list(definition.type)):
            variables[definition.variable.name.value] = name
    return variables


def decode_variables(raw: msgspec.Raw, rows: dict[str, str], extracted: Extracted | None = None) -> dict[str, Any]:
    """Return the variables of an operation, with a placeholder for the rows. Raises `msgspec.DecodeError`.

    `rows` are the variables that hold rows, from `row_variables`.
    """
    if not rows:
        return msgspec.json.decode(raw, type=dict[str, Any] | None) or {}
    if _ROW not in rows.values():
        # The usual case, one variable that is an input object, in one pass over what may be many megabytes.
        with suppress(msgspec.ValidationError):
            objects = msgspec.json.decode(raw, type=dict[str, dict[str, msgspec.Raw]])
            return {name: _decode_members(members, rows.get(name), extracted) for name, members in objects.items()}
    variables: dict[str, Any] = {}
    for name, value in (msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None) or {}).items():
        if rows.get(name) == _ROW:
            variables[name] = _placeholder(value, extracted)
        elif name in rows and bytes(memoryview(value)[:1]) == b"{":
            members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            variables[name] = _decode_members(members, rows[name], extracted)
        else:
            variables[name] = msgspec.json.decode(value)
    return variables


def rows_of(prices: Iterable[Any]) -> Rows:
    """Return the rows of the `PriceInput` objects that a resolver receives."""
    inputs = list(prices)
    if len(inputs) == 1 and isinstance(inputs[0].attributes, Rows):
        return inputs[0].attributes
    return Rows(msgspec.json.encode([price.to_row() for price in inputs]))


def _decode_members(
    members: dict[str, msgspec.Raw], type_name: str | None, extracted: Extracted | None
) -> dict[str, Any]:
    field = _CONTAINERS.get(type_name or "")
    return {
        name: _placeholder(value, extracted) if name == field else msgspec.json.decode(value)
        for name, value in members.items()
    }


def _placeholder(value: msgspec.Raw, extracted: Extracted | None) -> list[dict[str, Any]] | None:
    json = memoryview(value)
    if bytes(json[:4]) == b"null":
        return None
    rows = (extracted and extracted.join(value)) or Rows(json)
    return [{"sku": "", "amount": "0", "currency": "", "attributes": rows}]


def _is_list(node: TypeNode) -> bool:
    return isinstance(node.type if isinstance(node, NonNullTypeNode) else node, ListTypeNode)


def _type_name(node: TypeNode) -> str:
    while isinstance(node, NonNullTypeNode | ListTypeNode):
        node = node.type
    return node.name.value if isinstance(node, NamedTypeNode) else ""
