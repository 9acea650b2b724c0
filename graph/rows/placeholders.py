"""Placeholders for the rows of a batch, so that graphql-core does not coerce the rows.

graphql-core would coerce a variable of 50,000 prices field by field, and block the event loop for seconds. The JSON of
the rows is therefore taken out of the variables before execution, and replaced by one placeholder row: it is coerced
like any other, and its `attributes` carry the JSON to the resolver. Rows that are literals in the document are coerced,
and encoded again, so that all rows are decoded by the same code.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from graphql import (
    GraphQLInputObjectType,
    GraphQLSchema,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
)

from graph.limits.limits import OverLimit

_CONTAINERS = {"PublishBatchInput": "prices", "AppendBatchInput": "prices"}
"""By input type, the name of its field of rows."""

_ROW = "PriceInput"

MAX_VALUES = 12_000
"""Number of values in the variables of a request besides rows: coercing them takes up to 0.1 s. Leaves room for
`remove`, the longest list."""

MAX_BYTES = 1 << 20
"""Bytes of the variables of a request besides the rows."""

_ABSENT = msgspec.Raw(b"")
"""The value of a member that an object does not have."""


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


class VariableDecoder:
    """Decodes the variables that an operation declares; others are not decoded.

    `rows` are the variables that hold rows, with the names of their types. A variable for a single row is not included:
    it can only be an item of a list literal in the document.
    """

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self.rows: dict[str, str] = {}
        self._schema = schema
        self._names: list[str] = []
        for definition in operation.variable_definitions or ():
            name, type_name = definition.variable.name.value, _type_name(definition.type)
            self._names.append(name)
            if type_name in _CONTAINERS or (type_name == _ROW and _is_list(definition.type)):
                self.rows[name] = type_name

    def decode(self, raw: msgspec.Raw, extracted: Extracted | None = None) -> dict[str, Any]:
        """Return the variables, with a placeholder for the rows.

        Raises `msgspec.DecodeError`, and `OverLimit` if they are too large besides the rows.
        """
        if not self.rows and memoryview(raw).nbytes <= MAX_VALUES:  # too short to have more values
            values = msgspec.json.decode(raw, type=dict[str, Any] | None) or {}
            return {name: values[name] for name in self._names if name in values}
        found = self._split(raw)
        _check_bytes(value for members in found.values() for value in _without_rows(members))
        variables = {name: _decode(members, extracted) for name, members in found.items()}
        _check_values(variables)
        return variables

    def _split(self, raw: msgspec.Raw) -> "dict[str, msgspec.Raw | _Rows | dict[str, msgspec.Raw | _Rows]]":
        """Return the declared variables, undecoded; those that contain rows by their members."""
        found: dict[str, msgspec.Raw | _Rows | dict[str, msgspec.Raw | _Rows]] = {}
        for name, value in self._variables.split(raw).items():
            type_name = self.rows.get(name)
            if type_name == _ROW:
                found[name] = _Rows(value)
            elif type_name is not None and bytes(memoryview(value)[:1]) == b"{":
                found[name] = {
                    member: _Rows(part) if member == _CONTAINERS[type_name] else part
                    for member, part in self._containers[type_name].split(value).items()
                }
            else:
                found[name] = value
        return found

    @cached_property
    def _variables(self) -> "_Members":
        return _Members(self._names, forbid_unknown_fields=False)

    @cached_property
    def _containers(self) -> "dict[str, _Members]":
        names = {name for name in self.rows.values() if name != _ROW}
        types = {name: cast("GraphQLInputObjectType", self._schema.type_map[name]) for name in names}
        return {name: _Members([*type_.fields], forbid_unknown_fields=True) for name, type_ in types.items()}


class _Rows(NamedTuple):
    """The undecoded JSON of rows."""

    json: msgspec.Raw


class _Members:
    """Splits objects into the members of these names, undecoded. Others take no memory while an object is split."""

    def __init__(self, names: Sequence[str], *, forbid_unknown_fields: bool) -> None:
        fields = [f"field_{number}" for number in range(len(names))]
        self._names = dict(zip(fields, names, strict=True))
        struct = msgspec.defstruct(
            "Members",
            [(field, msgspec.Raw, _ABSENT) for field in fields],
            rename=self._names,
            forbid_unknown_fields=forbid_unknown_fields,
        )
        self._decode = msgspec.json.Decoder(struct | None).decode

    def split(self, raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
        """Return the members of an object that it has. Raises `msgspec.DecodeError`."""
        found = self._decode(raw)
        values = {name: getattr(found, field, _ABSENT) for field, name in self._names.items()}
        return {name: value for name, value in values.items() if value is not _ABSENT}


def rows_of(prices: Iterable[Any]) -> Rows:
    """Return the rows of the `PriceInput` objects that a resolver receives."""
    inputs = list(prices)
    if len(inputs) == 1 and isinstance(inputs[0].attributes, Rows):
        return inputs[0].attributes
    return Rows(msgspec.json.encode([price.to_row() for price in inputs]))


def _without_rows(members: "msgspec.Raw | _Rows | dict[str, msgspec.Raw | _Rows]") -> Iterator[msgspec.Raw]:
    for value in members.values() if isinstance(members, dict) else (members,):
        if not isinstance(value, _Rows):
            yield value


def _decode(value: "msgspec.Raw | _Rows | dict[str, msgspec.Raw | _Rows]", extracted: Extracted | None) -> Any:
    if isinstance(value, dict):
        return {name: _decode(member, extracted) for name, member in value.items()}
    if isinstance(value, _Rows):
        return _placeholder(value.json, extracted)
    return msgspec.json.decode(value)


def _check_bytes(values: Iterable[msgspec.Raw]) -> None:
    if sum(memoryview(value).nbytes for value in values) > MAX_BYTES:
        raise _too_large(f"The variables have more than {MAX_BYTES} bytes besides prices.")


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
