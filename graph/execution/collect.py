"""CollectFields of the specification (section 6.3.2), evaluated when a plan is compiled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)


class Collector:
    """Collects fields for given values of the variables in `@skip` and `@include`."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._conditions = conditions

    def collect(
        self, type_: GraphQLObjectType, selection_sets: Iterable[SelectionSetNode]
    ) -> dict[str, list[FieldNode]]:
        """Return the fields that selection sets select on an object type, by response key, in the response's order."""
        collected: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in selection_sets:
            for node in self._fields(type_, selection_set.selections, visited):
                collected.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return collected

    def _fields(
        self, type_: GraphQLObjectType, selections: Sequence[SelectionNode], visited: set[str]
    ) -> Iterator[FieldNode]:
        for node in selections:
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fragment(type_, node, visited)
            elif isinstance(node, FragmentSpreadNode) and (name := node.name.value) not in visited:
                visited.add(name)
                yield from self._fragment(type_, self._fragments[name], visited)

    def _fragment(
        self, type_: GraphQLObjectType, fragment: InlineFragmentNode | FragmentDefinitionNode, visited: set[str]
    ) -> Iterator[FieldNode]:
        if fragment.type_condition is None or self._is(type_, fragment.type_condition.name.value):
            yield from self._fields(type_, fragment.selection_set.selections, visited)

    def _is(self, type_: GraphQLObjectType, name: str) -> bool:
        """Whether a type is the one with this name, implements it or is a member of it."""
        named = self._schema.get_type(name)
        return named is type_ or (is_abstract_type(named) and self._schema.is_sub_type(named, type_))

    def _is_included(self, node: SelectionNode) -> bool:
        return all(
            self._value(argument.value) is (directive.name.value == "include")
            for directive in node.directives or ()
            for argument in directive.arguments or ()
        )

    def _value(self, value: object) -> bool:
        if isinstance(value, VariableNode):
            return self._conditions[value.name.value]
        return isinstance(value, BooleanValueNode) and value.value
