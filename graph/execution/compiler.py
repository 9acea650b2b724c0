"""How a plan is compiled."""

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
from graph.execution.plan import Field, Kind, Leaf, Many, One, Selection
from graph.execution.plannable import Unplannable
from graph.execution.projection import (
    Constant,
    Plain,
    Project,
    Read,
    project_field,
    project_leaf,
    project_list,
    project_object,
)
from graph.execution.resolvers import FieldSite, attribute_of, compile_resolver

MAX_FIELDS = 2000
"""The most fields that a plan has. Fragments within fragments can make more of a short document than is ever asked."""


class Compiler:
    """Compiles the plan of an operation, under one setting of the variables that conditions name.

    Raises `Unplannable` for what plans do not know: abstract types, types that judge their objects, too many fields.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        setting: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._collector = Collector(fragments, setting)
        self._room = MAX_FIELDS

    def compile(self) -> Selection:
        """Return the plan: what is selected of the root."""
        if self._schema.query_type is None:
            raise Unplannable
        return self._selection(self._schema.query_type, [self._operation.selection_set])

    def _selection(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> Selection:
        if type_.is_type_of is not None:
            raise Unplannable
        collected = self._collector.collect(type_.name, sets)
        self._room -= len(collected)
        if self._room < 0:
            raise Unplannable
        return Selection(tuple(self._field(type_, key, nodes) for key, nodes in collected.items()))

    def _field(self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> Field:
        definition = self._schema.get_field(parent, nodes[0].name.value)
        if definition is None:
            raise Unplannable
        site = FieldSite(self._schema, self._fragments, self._operation, parent, definition, nodes)
        kind = self._kind(definition.type, nodes)
        plain: Plain | None = None
        attribute = attribute_of(definition)
        if definition is TypeNameMetaFieldDef:
            plain = Constant(parent.name)
        elif attribute is not None and kind.project is not None:
            plain = Read(attribute, kind.project, not kind.non_null)
        return Field(key, site, compile_resolver(site), kind, plain, project_field(plain) if plain else None)

    def _kind(self, type_: GraphQLOutputType, nodes: Sequence[FieldNode]) -> Kind:
        non_null = isinstance(type_, GraphQLNonNull)
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        if isinstance(type_, GraphQLScalarType | GraphQLEnumType):
            return Leaf(type_, non_null, project_leaf(type_))
        if isinstance(type_, GraphQLList):
            item = self._kind(type_.of_type, nodes)
            return Many(item, non_null, item.project and project_list(item.project, nulls=not item.non_null))
        if isinstance(type_, GraphQLObjectType):
            selection = self._selection(type_, [node.selection_set for node in nodes if node.selection_set])
            return One(selection, non_null, _project(selection))
        raise Unplannable


def _project(selection: Selection) -> Project | None:
    plain = {field.key: field.plain for field in selection.fields if field.plain}
    return project_object(plain) if len(plain) == len(selection.fields) else None
