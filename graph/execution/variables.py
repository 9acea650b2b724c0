"""CoerceVariableValues of the specification (section 6.1.2), for common types and valid values.

graphql-core coerces everything else, and produces the errors.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    get_variable_values,
    is_leaf_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.utilities import coerce_input_value

from graph.limits.limits import MAX_ERRORS

_UNCHANGED: dict[GraphQLLeafType, type] = {GraphQLID: str, GraphQLString: str, GraphQLBoolean: bool}
"""By scalar, the Python type whose values coercion returns unchanged."""


class Variables:
    """The variables that an operation declares."""

    def __init__(
        self, schema: GraphQLSchema, operation: OperationDefinitionNode, *, hide_suggestions: bool = False
    ) -> None:
        self._schema = schema
        self._hide_suggestions = hide_suggestions
        self._definitions = operation.variable_definitions or ()
        self._declared: list[tuple[GraphQLVariableSignature, Callable[[Any], Any]]] = []
        for definition in self._definitions:
            signature = get_variable_signature(schema, definition)
            if not isinstance(signature, GraphQLError):  # validation has reported the error
                self._declared.append((signature, _coercion(signature.type)))

    def coerce(self, values: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """Return the coerced variables, or the errors of graphql-core."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, coerce in self._declared:
            name = signature.name
            value = values.get(name, Undefined)
            if value is Undefined:
                if signature.default is not None or isinstance(signature.type, GraphQLNonNull):
                    return self._coerce_with_core(values)
                sources[name] = VariableValueSource(signature)
                continue
            result = coerce(value)
            if result is Undefined:
                return self._coerce_with_core(values)
            sources[name] = VariableValueSource(signature, value)
            coerced[name] = result
        return VariableValues(sources, coerced)

    def _coerce_with_core(self, values: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        return get_variable_values(self._schema, self._definitions, dict(values), MAX_ERRORS, self._hide_suggestions)


def _coercion(type_: GraphQLInputType) -> Callable[[Any], Any]:
    """Return a function that coerces a value to a type, or returns Undefined if graphql-core has to coerce it."""
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(inner, GraphQLList):
        item = inner.of_type.of_type if isinstance(inner.of_type, GraphQLNonNull) else inner.of_type
        if not is_leaf_type(item):
            return _undefined
        unchanged_items = {_UNCHANGED[item]} if item in _UNCHANGED else None

        def coerce_list(value: Any) -> Any:
            if value.__class__ is list and set(map(type, value)) == unchanged_items:
                return [*value]
            return coerce_input_value(value, type_)

        return coerce_list
    if not is_leaf_type(inner):
        return _undefined
    unchanged = _UNCHANGED.get(inner)

    def coerce(value: Any) -> Any:
        return value if value.__class__ is unchanged else coerce_input_value(value, type_)

    return coerce


def _undefined(_: Any) -> Any:
    return Undefined
