"""Coercion of an operation's variables. What is not simply right is left to graphql-core, which knows the errors."""

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

MAX_ERRORS = 50
"""As many errors of coercion are told at most; graphql-core's own default."""

# The specified scalars whose values of one Python type are coerced to themselves.
_THEMSELVES: dict[GraphQLLeafType, type] = {GraphQLID: str, GraphQLString: str, GraphQLBoolean: bool}


class Variables:
    """The variables that an operation declares."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._declared: list[tuple[GraphQLVariableSignature, Callable[[Any], Any]]] = []
        for definition in self._definitions:
            signature = get_variable_signature(schema, definition)
            if not isinstance(signature, GraphQLError):  # validation has told what is one
                self._declared.append((signature, _coercion(signature.type)))

    def coerce(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """Return the coerced variables, or the errors that graphql-core has for them."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, coerce in self._declared:
            name = signature.name
            value = given.get(name, Undefined)
            if value is Undefined:
                if signature.default is not None or isinstance(signature.type, GraphQLNonNull):
                    return self._coerce_as_core_does(given)
                sources[name] = VariableValueSource(signature)
                continue
            result = coerce(value)
            if result is Undefined:
                return self._coerce_as_core_does(given)
            sources[name] = VariableValueSource(signature, value)
            coerced[name] = result
        return VariableValues(sources, coerced)

    def _coerce_as_core_does(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        return get_variable_values(self._schema, self._definitions, dict(given), MAX_ERRORS)


def _coercion(type_: GraphQLInputType) -> Callable[[Any], Any]:
    """Return what coerces a value to a type, or to Undefined where graphql-core has to."""
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(inner, GraphQLList):
        item = inner.of_type.of_type if isinstance(inner.of_type, GraphQLNonNull) else inner.of_type
        if not is_leaf_type(item):
            return _undefined
        of_itself = {_THEMSELVES[item]} if item in _THEMSELVES else None

        def coerce_list(value: Any) -> Any:
            if value.__class__ is list and set(map(type, value)) == of_itself:
                return [*value]
            return coerce_input_value(value, type_)

        return coerce_list
    if not is_leaf_type(inner):
        return _undefined
    itself = _THEMSELVES.get(inner)

    def coerce(value: Any) -> Any:
        return value if value.__class__ is itself else coerce_input_value(value, type_)

    return coerce


def _undefined(_: Any) -> Any:
    return Undefined
