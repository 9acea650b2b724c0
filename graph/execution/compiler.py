"""Compilation of a plan."""

from collections.abc import Mapping, Sequence

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeNameMetaFieldDef,
)

from graph.execution.collect import Collector
from graph.execution.plan import Completion, Field, LeafCompletion, ListCompletion, ObjectCompletion, Selection
from graph.execution.plannable import Unplannable
from graph.execution.projection import (
    ConstantField,
    JSONProjection,
    PlainField,
    RecordField,
    leaf_to_json,
    list_to_json,
    object_to_json,
    project_field,
    project_leaf,
    project_raw,
)
from graph.execution.resolvers import SelectedField, compile_resolver, reader_of

MAX_FIELDS = 2000
"""Number of fields that a plan may have. Fragments within fragments can expand a short document exponentially."""


class Compiler:
    """Compiles the plan of an operation for given values of the variables in `@skip` and `@include`.

    Raises `Unplannable` for abstract types, types with `is_type_of`, and more than `MAX_FIELDS` fields.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._collector = Collector(schema, fragments, conditions)
        self._fields_left = MAX_FIELDS

    def compile(self) -> Selection:
        """Return the plan: the selection on the query type."""
        if self._schema.query_type is None:
            raise Unplannable
        return self._selection(self._schema.query_type, [self._operation.selection_set])

    def _selection(self, type_: GraphQLObjectType, selection_sets: Sequence[SelectionSetNode]) -> Selection:
        if type_.is_type_of is not None:
            raise Unplannable
        collected = self._collector.collect(type_, selection_sets)
        self._fields_left -= len(collected)
        if self._fields_left < 0:
            raise Unplannable
        return Selection(tuple(self._field(type_, key, nodes) for key, nodes in collected.items()))

    def _field(self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> Field:
        definition = self._schema.get_field(parent, nodes[0].name.value)
        if definition is None:
            raise Unplannable
        selected = SelectedField(self._schema, self._fragments, self._operation, parent, definition, nodes)
        completion = self._completion(definition.type, nodes)
        plain: PlainField | None = None
        read = reader_of(definition, self._schema)
        if definition is TypeNameMetaFieldDef:
            plain = ConstantField(parent.name)
        elif read is not None and completion.project is not None and completion.to_json is not None:
            leaf = completion.type_ if isinstance(completion, LeafCompletion) else None
            plain = RecordField(read, completion.project, completion.to_json, not completion.non_null, leaf)
        return Field(
            key, selected, compile_resolver(selected), completion, plain, project_field(plain) if plain else None
        )

    def _completion(self, type_: GraphQLOutputType, nodes: Sequence[FieldNode]) -> Completion:
        non_null = isinstance(type_, GraphQLNonNull)
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        if isinstance(type_, GraphQLScalarType | GraphQLEnumType):
            return LeafCompletion(type_, non_null, project_leaf(type_), leaf_to_json(type_))
        if isinstance(type_, GraphQLList):
            item = self._completion(type_.of_type, nodes)
            to_json = item.to_json and list_to_json(item.to_json, nulls=not item.non_null)
            return ListCompletion(item, non_null, to_json and project_raw(to_json), to_json)
        if isinstance(type_, GraphQLObjectType):
            selection = self._selection(type_, [node.selection_set for node in nodes if node.selection_set])
            to_json = _to_json(selection)
            return ObjectCompletion(selection, non_null, to_json and project_raw(to_json), to_json)
        raise Unplannable


def _to_json(selection: Selection) -> JSONProjection | None:
    """Return the projection of a selection of which all fields are plain; None for others."""
    plain = {field.key: field.plain for field in selection.fields if field.plain}
    return object_to_json(plain) if len(plain) == len(selection.fields) else None
