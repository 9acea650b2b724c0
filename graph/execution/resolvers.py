"""How the value of a field is got: an attribute of its object, a resolver of ours, or as the schema has it."""

import datetime
import decimal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    default_field_resolver,
)
from graphql.pyutils import Path, is_awaitable
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.base import StrawberryMaybe, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from graph.execution.arguments import compile_arguments
from graph.execution.background import HELPERS

if TYPE_CHECKING:
    from graph.execution.execution import Run

Resolve = Callable[["Run", Any, Path], Any]
"""Gives the value of a field, or an awaitable of it, from a run, the field's object, and the field's path."""

# What Strawberry gives to resolvers as graphql-core coerced it.
_AS_COERCED = frozenset(
    {str, int, float, bool, strawberry.ID, decimal.Decimal, datetime.date, datetime.time, datetime.datetime}
)


class ResolveInfo(GraphQLResolveInfo[Any]):
    """What graphql-core and Strawberry tell a resolver."""

    __slots__ = ()
    operation_extensions = None


@dataclass(frozen=True, slots=True)
class FieldSite:
    """A field of a type, as it stands in a document; `nodes` are all places in which it is selected."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    operation: OperationDefinitionNode
    parent: GraphQLObjectType
    definition: GraphQLField
    nodes: list[FieldNode]

    @property
    def name(self) -> str:
        """The field's name in the schema."""
        return self.nodes[0].name.value

    @property
    def coordinate(self) -> str:
        """The field's place in the schema."""
        return f"{self.parent.name}.{self.name}"

    def info(self, run: "Run", path: Path) -> ResolveInfo:
        """Return what a resolver is told."""
        return ResolveInfo(
            self.name,
            self.nodes,
            self.definition.type,
            self.parent,
            path,
            self.schema,
            self.fragments,
            run.root,
            self.operation,
            run.variables.coerced,  # type: ignore[arg-type]  # Strawberry gives resolvers the plain values
            run.context,
            is_awaitable,
            None,
            HELPERS,
        )


def strawberry_schema(schema: GraphQLSchema) -> strawberry.Schema:
    """Return the schema of Strawberry that graphql-core's was made from."""
    made_from: strawberry.Schema = schema._strawberry_schema  # type: ignore[attr-defined]
    return made_from


def attribute_of(definition: GraphQLField) -> str | None:
    """Return the name of the attribute that a field without a resolver reads; None for a field that has one."""
    field = _strawberry_field(definition)
    return field.python_name if field and field.is_basic_field and field.default_resolver is getattr else None


def compile_resolver(site: FieldSite) -> Resolve:
    """Return what gives the value of a field."""
    attribute = attribute_of(site.definition)
    if attribute is not None:
        return lambda _run, source, _path: getattr(source, attribute)
    field = _strawberry_field(site.definition)
    if field is not None and _is_simple(field, strawberry_schema(site.schema)):
        return _call_directly(site, field, strawberry_schema(site.schema))
    return _call_as_the_schema_does(site)


def _call_as_the_schema_does(site: FieldSite) -> Resolve:
    call = site.definition.resolve or default_field_resolver
    arguments = compile_arguments(site.definition, site.nodes[0])

    def resolve(run: "Run", source: Any, path: Path) -> Any:
        return call(source, site.info(run, path), **arguments(run.variables))

    return resolve


def _is_simple(field: StrawberryField, schema: strawberry.Schema) -> bool:
    """Whether all that Strawberry does for a field is to convert its arguments and to call its resolver."""
    return (
        type(field).get_result is StrawberryField.get_result
        and field.base_resolver is not None
        and not field.extensions  # permissions are extensions too
        and not field.is_subscription
        and not schema.schema_converter.exception_handlers
    )


def _call_directly(site: FieldSite, field: StrawberryField, schema: strawberry.Schema) -> Resolve:
    """Do what Strawberry does for a field, with everything that is the same for all requests done beforehand."""
    resolver = cast("StrawberryResolver[Any]", field.base_resolver)
    call = cast("Callable[..., Any]", resolver.wrapped_func)
    by_position = resolver.self_parameter is not None
    parent, info_parameter = resolver.parent_parameter or resolver.root_parameter, resolver.info_parameter
    source_name = parent.name if parent else None
    info_name = info_parameter.name if info_parameter else None
    info_class = schema.config.info_class
    arguments = compile_arguments(site.definition, site.nodes[0])
    convert = _conversion(field.arguments, schema)

    def resolve(run: "Run", source: Any, path: Path) -> Any:
        keywords = convert(arguments(run.variables))
        if source_name is not None:
            keywords[source_name] = source
        if info_name is not None:
            keywords[info_name] = info_class(_raw_info=site.info(run, path), _field=field)
        return call(source, **keywords) if by_position else call(**keywords)

    return resolve


def _conversion(
    arguments: list[StrawberryArgument], schema: strawberry.Schema
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what turns coerced arguments into those of a resolver."""
    name_of = schema.config.name_converter.from_argument
    converted = [
        (name_of(argument), argument.python_name, None if _is_as_coerced(argument) else argument.type)
        for argument in arguments
    ]

    def convert(given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            keyword: given[name]
            if type_ is None
            else convert_argument(
                given[name], type_, schema.schema_converter.scalar_registry, schema.config, path=(name,)
            )
            for name, keyword, type_ in converted
            if name in given
        }

    return convert


def _is_as_coerced(argument: StrawberryArgument) -> bool:
    type_ = argument.type
    while isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
        type_ = type_.of_type
    return isinstance(type_, StrawberryEnumDefinition) or type_ in _AS_COERCED


def _strawberry_field(definition: GraphQLField) -> StrawberryField | None:
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return field if isinstance(field, StrawberryField) else None
