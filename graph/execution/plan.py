"""The plan of an operation: the fields selected on each object type, and how each is resolved and completed."""

from dataclasses import dataclass

from graphql import GraphQLLeafType

from graph.execution.projection import JSONProjection, PlainField, Projection
from graph.execution.resolvers import Resolve, SelectedField


@dataclass(frozen=True, slots=True)
class LeafCompletion:
    """Completion of a scalar or an enum."""

    type_: GraphQLLeafType
    non_null: bool
    project: Projection
    to_json: JSONProjection


@dataclass(frozen=True, slots=True)
class ListCompletion:
    """Completion of a list."""

    item: "Completion"
    non_null: bool
    project: Projection | None
    to_json: JSONProjection | None


@dataclass(frozen=True, slots=True)
class ObjectCompletion:
    """Completion of an object."""

    selection: "Selection"
    non_null: bool
    project: Projection | None
    to_json: JSONProjection | None


Completion = LeafCompletion | ListCompletion | ObjectCompletion
"""How a value of a type is completed. `project` completes a value that is not null in one pass, if it is plain; so does
`to_json`, to JSON, as a part of the JSON of a list or an object."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a selection, by its response key. If it is `plain`, `project` completes it from its object."""

    key: str
    selected: SelectedField
    resolve: Resolve
    completion: Completion
    plain: PlainField | None
    project: Projection | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields selected on an object, in the order of the response."""

    fields: tuple[Field, ...]
