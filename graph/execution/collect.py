"""CollectFields of the specification (section 6.3.2), evaluated when a plan is compiled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)


class Collector:
    """Collects fields for given values of the variables in `@skip` and `@include`."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], conditions: Mapping[str, bool]) -> None:
        self._fragments = fragments
        self._conditions = conditions

    def collect(self, type_name: str, selection_sets: Iterable[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Return the fields that selection sets select on an object type, by response key, in the response's order."""
        collected: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in selection_sets:
            for node in self._fields(type_name, selection_set.selections, visited):
                collected.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return collected

    def _fields(self, type_name: str, selections: Sequence[SelectionNode], visited: set[str]) -> Iterator[FieldNode]:
        for node in selections:
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fragment(type_name, node, visited)
            elif isinstance(node, FragmentSpreadNode) and (name := node.name.value) not in visited:
                visited.add(name)
                yield from self._fragment(type_name, self._fragments[name], visited)

    def _fragment(
        self, type_name: str, fragment: InlineFragmentNode | FragmentDefinitionNode, visited: set[str]
    ) -> Iterator[FieldNode]:
        # No fields of abstract types: operations that select them are not planned.
        if fragment.type_condition is None or fragment.type_condition.name.value == type_name:
            yield from self._fields(type_name, fragment.selection_set.selections, visited)

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
