"""Placeholders for the rows of a batch, so that graphql-core does not coerce the rows.

graphql-core would coerce a variable of 50,000 prices field by field, and block the event loop for seconds. The JSON of
the rows is therefore taken out of the variables before execution, and replaced by one placeholder row: it is coerced
like any other, and its `attributes` carry the JSON to the resolver. Rows that are literals in the document are coerced,
and encoded again, so that all rows are decoded by the same code.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from graphql import ListTypeNode, NamedTypeNode, NonNullTypeNode, OperationDefinitionNode, TypeNode

from graph.limits.limits import OverLimit

_CONTAINERS = {"PublishBatchInput": "prices", "AppendBatchInput": "prices"}
"""By input type, the name of its field of rows."""

_ROW = "PriceInput"

MAX_VALUES = 12_000
"""Number of values in the variables of a request besides rows: coercing them takes up to 0.1 s. Leaves room for
`remove`, the longest list."""

MAX_VALUE_BYTES = 1 << 20
"""Bytes of a variable, or of a member of one that holds rows, besides the rows."""


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


def decode_variables(
    raw: msgspec.Raw, declared: frozenset[str], rows: dict[str, str], extracted: Extracted | None = None
) -> dict[str, Any]:
    """Return the declared variables of an operation, with a placeholder for the rows. Others are not decoded.

    `rows` are the variables that hold rows, from `row_variables`. Raises `msgspec.DecodeError`, and `OverLimit` if the
    values besides the rows are too many.
    """
    if not rows and memoryview(raw).nbytes <= MAX_VALUES:  # too short to have more values
        values = msgspec.json.decode(raw, type=dict[str, Any] | None) or {}
        return {name: value for name, value in values.items() if name in declared}
    variables = {
        name: _decode(value, rows.get(name), extracted)
        for name, value in (msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None) or {}).items()
        if name in declared
    }
    _check_values(variables)
    return variables


def rows_of(prices: Iterable[Any]) -> Rows:
    """Return the rows of the `PriceInput` objects that a resolver receives."""
    inputs = list(prices)
    if len(inputs) == 1 and isinstance(inputs[0].attributes, Rows):
        return inputs[0].attributes
    return Rows(msgspec.json.encode([price.to_row() for price in inputs]))


def _decode(value: msgspec.Raw, type_name: str | None, extracted: Extracted | None) -> Any:
    """Return a variable; `type_name` is that of a variable that holds rows."""
    if type_name == _ROW:
        return _placeholder(value, extracted)
    if type_name is None or bytes(memoryview(value)[:1]) != b"{":
        return _decode_value(value)
    members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    return {
        name: _placeholder(member, extracted) if name == _CONTAINERS[type_name] else _decode_value(member)
        for name, member in members.items()
    }


def _decode_value(value: msgspec.Raw) -> Any:
    if memoryview(value).nbytes > MAX_VALUE_BYTES:
        raise _too_large(f"A variable has more than {MAX_VALUE_BYTES} bytes besides prices.")
    return msgspec.json.decode(value)


def _check_values(variables: dict[str, Any]) -> None:
    stack: list[Any] = [variables]
    count = 0
    while stack:
        value = stack.pop()
        items = value.values() if isinstance(value, dict) else value
        count += len(items)
        if count > MAX_VALUES:
            raise _too_large(f"The variables have more than {MAX_VALUES} values besides prices.")
        stack += [item for item in items if isinstance(item, dict | list)]


def _too_large(message: str) -> OverLimit:
    return OverLimit("VARIABLES_TOO_LARGE", f"{message} Send less in one request.")


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
