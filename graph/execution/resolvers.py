"""ResolveFieldValue of the specification (section 6.4.2): an attribute, a direct call, or the schema's resolver."""

import datetime
import decimal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

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
from graph.execution.attributes import path_of
from graph.execution.background import HELPERS
from graph.execution.state import ExecutionState

Resolve = Callable[[ExecutionState, Any, Path], Any]
"""Returns the value of a field, or an awaitable of it, from the execution, the field's object and the field's path."""

_UNCONVERTED = frozenset(
    {str, int, float, bool, strawberry.ID, decimal.Decimal, datetime.date, datetime.time, datetime.datetime}
)
"""Types of arguments that Strawberry passes to resolvers as graphql-core coerced them."""


class ResolveInfo(GraphQLResolveInfo[Any]):
    """The `info` of graphql-core, with the attribute that Strawberry adds."""

    __slots__ = ()
    operation_extensions = None


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field of an object type, as selected in a document; `nodes` are all selections that are merged into it."""

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
        """The field's schema coordinate, `Type.field`."""
        return f"{self.parent.name}.{self.name}"

    def info(self, state: ExecutionState, path: Path) -> ResolveInfo:
        """Return the `info` of a resolver."""
        return ResolveInfo(
            self.name,
            self.nodes,
            self.definition.type,
            self.parent,
            path,
            self.schema,
            self.fragments,
            state.root,
            self.operation,
            state.variables.coerced,  # type: ignore[arg-type]  # Strawberry gives resolvers the plain values
            state.context,
            is_awaitable,
            None,
            HELPERS,
        )


def strawberry_schema(schema: GraphQLSchema) -> strawberry.Schema:
    """Return the Strawberry schema of a graphql-core schema."""
    source: strawberry.Schema = schema._strawberry_schema  # type: ignore[attr-defined]
    return source


def reader_of(definition: GraphQLField, schema: GraphQLSchema) -> str | Callable[[Any], Any] | None:
    """Return how a field is read from its object alone; None if it is not.

    By an attribute or its path, or by our resolver, a function.
    """
    field = _strawberry_field(definition)
    if field is None:
        return None
    if field.is_basic_field:
        return field.python_name if field.default_resolver is getattr else None
    resolver = field.base_resolver
    if resolver is None or not _is_simple(field, strawberry_schema(schema)):
        return None
    needs_more = field.arguments or resolver.info_parameter or len(resolver.signature.parameters) != 1
    if needs_more or resolver.is_async:
        return None
    function = cast("Callable[..., Any]", resolver.wrapped_func)
    return path_of(function) or function


def compile_resolver(selected: SelectedField) -> Resolve:
    """Return a function that resolves the value of a field."""
    read = reader_of(selected.definition, selected.schema)
    if read is not None:
        get = attrgetter(read) if isinstance(read, str) else read
        return lambda _state, source, _path: get(source)
    field = _strawberry_field(selected.definition)
    if field is not None and _is_simple(field, strawberry_schema(selected.schema)):
        return _direct_call(selected, field, strawberry_schema(selected.schema))
    return _schema_call(selected)


def _schema_call(selected: SelectedField) -> Resolve:
    """Return a function that calls the resolver of the schema, which is Strawberry's wrapper of ours."""
    call = selected.definition.resolve or default_field_resolver
    arguments = compile_arguments(selected.definition, selected.nodes[0])

    def resolve(state: ExecutionState, source: Any, path: Path) -> Any:
        return call(source, selected.info(state, path), **arguments(state.variables))

    return resolve


def _is_simple(field: StrawberryField, schema: strawberry.Schema) -> bool:
    """Whether Strawberry does no more for a field than to convert its arguments and call its resolver."""
    return (
        type(field).get_result is StrawberryField.get_result
        and field.base_resolver is not None
        and not field.extensions  # permissions are extensions too
        and not field.is_subscription
        and not schema.schema_converter.exception_handlers
    )


def _direct_call(selected: SelectedField, field: StrawberryField, schema: strawberry.Schema) -> Resolve:
    """Return a function that calls our resolver as Strawberry does, but prepares once what all requests share."""
    resolver = cast("StrawberryResolver[Any]", field.base_resolver)
    call = cast("Callable[..., Any]", resolver.wrapped_func)
    by_position = resolver.self_parameter is not None
    parent, info_parameter = resolver.parent_parameter or resolver.root_parameter, resolver.info_parameter
    source_name = parent.name if parent else None
    info_name = info_parameter.name if info_parameter else None
    info_class = schema.config.info_class
    arguments = compile_arguments(selected.definition, selected.nodes[0])
    convert = _compile_conversion(field.arguments, schema)

    def resolve(state: ExecutionState, source: Any, path: Path) -> Any:
        keywords = convert(arguments(state.variables))
        if source_name is not None:
            keywords[source_name] = source
        if info_name is not None:
            keywords[info_name] = info_class(_raw_info=selected.info(state, path), _field=field)
        return call(source, **keywords) if by_position else call(**keywords)

    return resolve


def _compile_conversion(
    arguments: list[StrawberryArgument], schema: strawberry.Schema
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a function that converts coerced arguments to the keywords of a resolver."""
    graphql_name = schema.config.name_converter.from_argument
    converted = [
        (graphql_name(argument), argument.python_name, None if _is_unconverted(argument) else argument.type)
        for argument in arguments
    ]

    def convert(coerced: Mapping[str, Any]) -> dict[str, Any]:
        return {
            keyword: coerced[name]
            if type_ is None
            else convert_argument(
                coerced[name], type_, schema.schema_converter.scalar_registry, schema.config, path=(name,)
            )
            for name, keyword, type_ in converted
            if name in coerced
        }

    return convert


def _is_unconverted(argument: StrawberryArgument) -> bool:
    type_ = argument.type
    while isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
        type_ = type_.of_type
    return isinstance(type_, StrawberryEnumDefinition) or type_ in _UNCONVERTED


def _strawberry_field(definition: GraphQLField) -> StrawberryField | None:
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return field if isinstance(field, StrawberryField) else None
