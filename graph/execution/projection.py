"""Projection: completes plain records, whose fields are attributes, in one pass.

A projection handles only valid values. For all others (a null for a non-null type, a scalar that cannot be coerced, an
awaitable, an exception) it raises an exception of any kind. `graph.execution.execution` then completes the value again
by the full algorithm, which handles nulls and awaitables and gives errors their paths.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import GeneratorType, NoneType
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
    Undefined,
    UndefinedType,
)

Projection = Callable[[Any], Any]
"""Completes a value that is not null; raises any exception if it cannot."""

_LISTS = frozenset({list, tuple})


class NotProjectable(Exception):
    """The value needs the full algorithm."""


_plain: set[type] = set()
"""Types seen so far whose instances are neither null nor awaitable nor exceptions."""


def _add_plain(type_: type) -> None:
    if issubclass(type_, NoneType | UndefinedType | Exception | GeneratorType) or hasattr(type_, "__await__"):
        raise NotProjectable
    _plain.add(type_)


def project_leaf(type_: GraphQLLeafType) -> Projection:
    """Return the projection of a scalar or an enum."""
    serialize = type_.coerce_output_value

    def project(value: Any) -> Any:
        if value.__class__ not in _plain:
            _add_plain(value.__class__)
        completed = serialize(value)
        if completed is None or completed is Undefined:
            raise NotProjectable
        return completed

    if type_ in {GraphQLString, GraphQLID}:
        return lambda value: value if value.__class__ is str else project(value)
    if type_ is GraphQLBoolean:
        return lambda value: value if value.__class__ is bool else project(value)
    if type_ is GraphQLInt:
        return lambda value: value if value.__class__ is int and -(2**31) <= value < 2**31 else project(value)
    if isinstance(type_, GraphQLEnumType):
        names = {member: serialize(member) for member in getattr(type_, "wrapped_cls", ())}
        return lambda value: names.get(value) or project(value)
    return project


def project_list(item: Projection, *, nulls: bool) -> Projection:
    """Return the projection of a list. `nulls` allows null items."""

    def project(values: Any) -> list[Any]:
        if values.__class__ not in _LISTS:
            raise NotProjectable
        return [item(value) for value in values]

    def project_with_nulls(values: Any) -> list[Any]:
        if values.__class__ not in _LISTS:
            raise NotProjectable
        return [None if value is None else item(value) for value in values]

    return project_with_nulls if nulls else project


@dataclass(frozen=True, slots=True)
class AttributeField:
    """A field that reads an attribute of its object."""

    attribute: str
    project: Projection
    nullable: bool


@dataclass(frozen=True, slots=True)
class ConstantField:
    """A field with the same value for every object: `__typename`."""

    value: str


PlainField = AttributeField | ConstantField


def project_field(field: PlainField) -> Projection:
    """Return a function that completes a field from its object."""
    if isinstance(field, ConstantField):
        constant = field.value
        return lambda _: constant
    attribute, project, nullable = field.attribute, field.project, field.nullable

    def project_attribute(record: Any) -> Any:
        value = getattr(record, attribute)
        return None if nullable and value is None else project(value)

    return project_attribute


def project_object(fields: Mapping[str, PlainField]) -> Projection:
    """Return the projection of an object to a dict of its fields by response key.

    It is compiled from source text, like the methods of dataclasses: a record of five attributes takes half the time
    of a loop over them.
    """
    scope: dict[str, Any] = {"plain": _plain, "add_plain": _add_plain}
    items = []
    for number, (key, field) in enumerate(fields.items()):
        if isinstance(field, ConstantField):
            items.append(f"{key!r}: {field.value!r}")
            continue
        project = f"project_{number}"
        scope[project] = field.project
        if field.nullable:
            items.append(f"{key!r}: None if (value := record.{field.attribute}) is None else {project}(value)")
        else:
            items.append(f"{key!r}: {project}(record.{field.attribute})")
    code = (
        "def project(record):\n"
        "    if record.__class__ not in plain:\n"
        "        add_plain(record.__class__)\n"
        f"    return {{{', '.join(items)}}}\n"
    )
    exec(code, scope)  # noqa: S102  # keys are GraphQL names and quoted, attributes are the schema's
    compiled: Projection = scope.pop("project")  # otherwise the function and its globals form a reference cycle
    return compiled
