"""Documents for property tests: any valid query of a schema, with variables that are mostly valid."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)
from hypothesis import strategies as st

MAX_DEPTH = 7
CONDITIONS = ("yes", "no")


Composite = GraphQLObjectType | GraphQLInterfaceType


class Query(NamedTuple):
    """A document and its variables."""

    text: str
    variables: dict[str, Any]


class Values(NamedTuple):
    """Values for arguments, by the name of a type or by `Type:argument`.

    `invalid` are values of variables that fail coercion. They are rare, because one prevents the whole execution.
    """

    literals: Mapping[str, Sequence[str]]
    variables: Mapping[str, Sequence[Any]]
    invalid: Mapping[str, Sequence[Any]]


class _Document:
    def __init__(self, schema: GraphQLSchema, values: Values, draw: st.DrawFn) -> None:
        self.schema = schema
        self.values = values
        self.draw = draw
        self.fragments: dict[str, str] = {}
        self.variables: dict[str, tuple[str, Any]] = {}

    def write(self) -> Query:
        assert self.schema.query_type
        selection = self.selection(self.schema.query_type, 0)
        declared = ", ".join(f"${name}: {type_}" for name, (type_, _) in self.variables.items())
        text = f"query {f'({declared})' if declared else ''} {selection}\n" + "\n".join(self.fragments.values())
        variables = {name: value for name, (_, value) in self.variables.items() if value is not ...}
        return Query(text, variables)

    def selection(self, type_: Composite, depth: int) -> str:
        parts = [self.part(type_, depth) for _ in range(self.draw(st.integers(1, 4 if depth < 4 else 2)))]
        return "{ " + " ".join(parts) + " }"

    def part(self, type_: Composite, depth: int) -> str:
        kinds = ["field"] * 8 + ["typename", "inline", "spread"]
        kind = self.draw(st.sampled_from(kinds if depth < MAX_DEPTH else ["field", "typename"]))
        if kind == "typename":
            return f"__typename{self.condition()}"
        if kind == "inline":
            on: Composite | None = self.draw(st.sampled_from([None, type_, *type_.interfaces]))
            condition = f" on {on}" if on else ""
            return f"...{condition}{self.condition() or ' '}{self.selection(on or type_, depth + 1)}"
        if kind == "spread":
            spread = self.draw(st.sampled_from([type_, *type_.interfaces]))
            return f"...{self.fragment(spread, depth)}{self.condition()}"
        return self.field(type_, depth)

    def fragment(self, type_: Composite, depth: int) -> str:
        existing = [name for name in self.fragments if name.startswith(f"On{type_}_")]
        if existing and self.chance():
            return self.draw(st.sampled_from(existing))
        # The fragments that it spreads get their names first, so no fragment spreads itself.
        selection = self.selection(type_, depth + 1)
        name = f"On{type_}_{len(self.fragments)}"
        self.fragments[name] = f"fragment {name} on {type_} {selection}"
        return name

    def field(self, type_: Composite, depth: int) -> str:
        possible = {
            name: field
            for name, field in type_.fields.items()
            if is_leaf_type(named := get_named_type(field.type))
            or (depth < MAX_DEPTH and isinstance(named, GraphQLObjectType))
        }  # fields of an interface are left out: operations that have one are not planned
        if not possible:
            return "__typename"
        name = self.draw(st.sampled_from(sorted(possible)))
        field = possible[name]
        arguments = self.arguments(field)
        # The response key contains the field and its arguments, so that all fields of one key can be merged.
        alias = self.draw(st.sampled_from(["", "a", "b"]))
        key = f"{alias}{zlib.crc32(arguments.encode())}_{name}: " if arguments or alias else ""
        key = f"k{key}" if key[:1].isdigit() else key
        named = get_named_type(field.type)
        selection = self.selection(named, depth + 1) if isinstance(named, GraphQLObjectType) else ""
        return f"{key}{name}{arguments}{self.condition()} {selection}"

    def arguments(self, field: GraphQLField) -> str:
        given = []
        for name, argument in field.args.items():
            required = isinstance(argument.type, GraphQLNonNull) and argument.default is None
            if required or self.draw(st.integers(0, 2)) == 0:
                value = self.value(name, argument)
                if value is not None:
                    given.append(f"{name}: {value}")
        return f"({', '.join(given)})" if given else ""

    def value(self, name: str, argument: GraphQLArgument) -> str | None:
        named = get_named_type(argument.type)
        literals: list[str] = [*self._values(self.values.literals, name, argument.type)]
        variables: list[Any] = [*self._values(self.values.variables, name, argument.type)]
        if isinstance(named, GraphQLEnumType):
            literals, variables = [*named.values], [*named.values]
        if self.draw(st.integers(0, 40)) == 17:
            variables = [*self._values(self.values.invalid, name, argument.type)]
        if not isinstance(argument.type, GraphQLNonNull):
            literals.append("null")
            variables += [None, ...]
        if variables and self.chance():
            return self.variable(name, str(argument.type), self.draw(st.sampled_from(variables)))
        return self.draw(st.sampled_from(literals)) if literals else None

    @staticmethod
    def _values(values: Mapping[str, Sequence[Any]], name: str, type_: GraphQLInputType) -> Sequence[Any]:
        bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(bare, GraphQLList):
            return values.get(f"{bare}", ())
        return values.get(f"{bare}:{name}", values.get(f"{bare}", ()))

    def variable(self, name: str, type_: str, value: Any) -> str:
        digest = zlib.crc32(f"{type_}{value!r}".encode())
        self.variables[f"{name}_{digest}"] = (type_, value)
        return f"${name}_{digest}"

    def chance(self) -> bool:
        return bool(self.draw(st.sampled_from([0, 1])))

    def condition(self) -> str:
        chosen = self.draw(st.sampled_from([""] * 12 + ["include", "skip", "both"]))
        if not chosen:
            return ""
        names = ["include", "skip"] if chosen == "both" else [chosen]
        return " " + " ".join(f"@{name}(if: {self.flag()})" for name in names) + " "

    def flag(self) -> str:
        chosen = self.draw(st.sampled_from(["true", "false", "variable", "variable"]))
        if chosen != "variable":
            return chosen
        name = self.draw(st.sampled_from(CONDITIONS))
        if name not in self.variables:
            self.variables[name] = ("Boolean!", self.draw(st.booleans()))
        return f"${name}"


@st.composite
def queries(draw: st.DrawFn, schema: GraphQLSchema, values: Values) -> Query:
    """A valid document with variables, which may be invalid."""
    return _Document(schema, values, draw).write()
