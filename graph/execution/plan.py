"""The plan of an operation: what is selected of each object, how its value is got, and how it is completed."""

from dataclasses import dataclass

from graphql import GraphQLLeafType

from graph.execution.projection import Plain, Project
from graph.execution.resolvers import FieldSite, Resolve


@dataclass(frozen=True, slots=True)
class Leaf:
    """How a scalar or an enum is completed."""

    type_: GraphQLLeafType
    non_null: bool
    project: Project | None


@dataclass(frozen=True, slots=True)
class Many:
    """How a list is completed."""

    item: "Kind"
    non_null: bool
    project: Project | None


@dataclass(frozen=True, slots=True)
class One:
    """How an object is completed."""

    selection: "Selection"
    non_null: bool
    project: Project | None


Kind = Leaf | Many | One
"""How a value is completed, by its type. `project` completes one that is not null in one pass, where it is plain."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a selection. Where it is `plain`, `project` completes it from its object in one pass."""

    key: str
    site: FieldSite
    resolve: Resolve
    kind: Kind
    plain: Plain | None
    project: Project | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields that are selected of an object."""

    fields: tuple[Field, ...]
