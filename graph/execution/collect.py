"""CollectFields of the specification, done when a plan is compiled: conditions, fragments, and merging of fields."""

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
    """Collects the fields of selection sets under one setting of the variables that conditions name."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], setting: Mapping[str, bool]) -> None:
        self._fragments = fragments
        self._setting = setting

    def collect(self, type_name: str, selection_sets: Iterable[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Return the fields that are selected of an object type, by response key, in their order."""
        found: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for selection_set in selection_sets:
            for node in self._fields(type_name, selection_set.selections, spread):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return found

    def _fields(self, type_name: str, selections: Sequence[SelectionNode], spread: set[str]) -> Iterator[FieldNode]:
        for node in selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fragment(type_name, node, spread)
            elif isinstance(node, FragmentSpreadNode) and (name := node.name.value) not in spread:
                spread.add(name)
                yield from self._fragment(type_name, self._fragments[name], spread)

    def _fragment(
        self, type_name: str, fragment: InlineFragmentNode | FragmentDefinitionNode, spread: set[str]
    ) -> Iterator[FieldNode]:
        # There are no interfaces and no unions to be a condition: where a schema has them, there is no plan.
        if fragment.type_condition is None or fragment.type_condition.name.value == type_name:
            yield from self._fields(type_name, fragment.selection_set.selections, spread)

    def _included(self, node: SelectionNode) -> bool:
        return all(
            self._condition(argument.value) is (directive.name.value == "include")
            for directive in node.directives or ()
            for argument in directive.arguments or ()
        )

    def _condition(self, value: object) -> bool:
        if isinstance(value, VariableNode):
            return self._setting[value.name.value]
        return isinstance(value, BooleanValueNode) and value.value
