"""Projection: plain records, whose fields are attributes, are completed in one pass.

A projection knows only values as they should be. For every other (a null that may not be, a scalar that cannot be
written, an awaitable, an exception) it raises whatever comes, and the value is completed anew by the careful way of
`graph.execution.execution`, which knows what is allowed and where in the answer an error belongs.
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

Project = Callable[[Any], Any]
"""Completes a value that is not null. Raises any exception where that is not as simple."""

_LISTS = frozenset({list, tuple})


class Unfit(Exception):
    """A value is not as it should be."""


# Types whose instances are neither null nor awaitable nor an exception, as far as they were met.
_plain: set[type] = set()


def _vet(kind: type) -> None:
    if issubclass(kind, NoneType | UndefinedType | Exception | GeneratorType) or hasattr(kind, "__await__"):
        raise Unfit
    _plain.add(kind)


def project_leaf(type_: GraphQLLeafType) -> Project:
    """Return the projection of a scalar or an enum."""
    serialize = type_.coerce_output_value

    def project(value: Any) -> Any:
        if value.__class__ not in _plain:
            _vet(value.__class__)
        completed = serialize(value)
        if completed is None or completed is Undefined:
            raise Unfit
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


def project_list(item: Project, *, nulls: bool) -> Project:
    """Return the projection of a list, whose items may be null."""

    def project(values: Any) -> list[Any]:
        if values.__class__ not in _LISTS:
            raise Unfit
        return [item(value) for value in values]

    def project_with_nulls(values: Any) -> list[Any]:
        if values.__class__ not in _LISTS:
            raise Unfit
        return [None if value is None else item(value) for value in values]

    return project_with_nulls if nulls else project


@dataclass(frozen=True, slots=True)
class Read:
    """A field that is an attribute of its object."""

    attribute: str
    project: Project
    nullable: bool


@dataclass(frozen=True, slots=True)
class Constant:
    """A field that says the same of every object: `__typename`."""

    value: str


Plain = Read | Constant


def project_field(field: Plain) -> Callable[[Any], Any]:
    """Return what completes a field from its object."""
    if isinstance(field, Constant):
        constant = field.value
        return lambda _: constant
    attribute, project, nullable = field.attribute, field.project, field.nullable

    def project_attribute(record: Any) -> Any:
        value = getattr(record, attribute)
        return None if nullable and value is None else project(value)

    return project_attribute


def project_object(fields: Mapping[str, Plain]) -> Project:
    """Return the projection of an object to a dict of fields, by their keys in the answer.

    It is compiled from a text, as dataclasses have their methods: a record of five attributes takes half the time that
    it takes in a loop over them.
    """
    scope: dict[str, Any] = {"plain": _plain, "vet": _vet}
    items = []
    for number, (key, field) in enumerate(fields.items()):
        if isinstance(field, Constant):
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
        "        vet(record.__class__)\n"
        f"    return {{{', '.join(items)}}}\n"
    )
    exec(code, scope)  # noqa: S102  # keys are names by the grammar and stand quoted, attributes are the schema's
    compiled: Project = scope.pop("project")  # else each holds the other in memory, long after its document
    return compiled
