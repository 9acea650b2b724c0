"""CoerceArgumentValues of the specification (section 6.4.1).

Constant arguments are coerced when the plan is compiled, the others from the variables of each request.
"""

import datetime
import decimal
import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)
from graphql.execution.values import VariableValues, coerce_argument

Arguments = Callable[[VariableValues], Mapping[str, Any]]
"""Returns the arguments of a field as keywords; raises the errors of graphql-core."""

_IMMUTABLE = (str, int, float, bool, type(None), decimal.Decimal, datetime.date, datetime.time, enum.Enum)


class _Argument(NamedTuple):
    """An argument that is coerced for each request. `variable` is the variable that is its value, or empty."""

    name: str
    definition: GraphQLArgument
    node: ArgumentNode | None
    variable: str

    @property
    def keyword(self) -> str:
        return self.definition.out_name or self.name


def compile_arguments(definition: GraphQLField, field: FieldNode) -> Arguments:
    """Return a function that coerces the arguments of a field of a document."""
    constants: dict[str, Any] = {}
    dynamic: list[_Argument] = []
    nodes = {argument.name.value: argument for argument in field.arguments or ()}
    for name, argument_definition in definition.args.items():
        node = nodes.get(name)
        value = node.value if node else None
        argument = _Argument(
            name, argument_definition, node, value.name.value if isinstance(value, VariableNode) else ""
        )
        constant = _constant(field, argument)
        if constant is None:
            dynamic.append(argument)
        else:
            constants |= constant
    if not dynamic:
        return lambda _: constants

    def coerce(variables: VariableValues) -> Mapping[str, Any]:
        values = dict(constants)
        for argument in dynamic:
            value = variables.coerced.get(argument.variable)
            if value is not None:
                values[argument.keyword] = value
            else:
                coerce_argument(values, field, argument.name, argument.definition, argument.node, variables, None)
        return values

    return coerce


def _constant(field: FieldNode, argument: _Argument) -> dict[str, Any] | None:
    """Return the value of a constant argument by its keyword, or an empty dict if it is omitted.

    None if the value depends on the request, or is mutable. Lists are allowed: Strawberry copies them before it calls
    a resolver.
    """
    values: dict[str, Any] = {}
    if argument.node is not None and _has_variables(argument.node.value):
        return None
    try:
        coerce_argument(values, field, argument.name, argument.definition, argument.node, None, None)
    except GraphQLError:
        return None
    for value in values.values():
        if not all(isinstance(item, _IMMUTABLE) for item in (value if isinstance(value, list) else [value])):
            return None
    return values


def _has_variables(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(map(_has_variables, value.values))
    if isinstance(value, ObjectValueNode):
        return any(_has_variables(field.value) for field in value.fields)
    return isinstance(value, VariableNode)
