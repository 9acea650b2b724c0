"""Every field of the schema that reads or changes something says which scope it needs."""

from collections.abc import Iterator

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graph.identity.requires import REQUIREMENT, Requirement, as_parent
from graph.identity.scopes import Scope
from graph.schema.build import build_schema

READ, WRITE, OPERATE, ADMIN = Scope.PRICES_READ, Scope.BATCHES_WRITE, Scope.SNAPSHOTS_OPERATE, Scope.ADMIN

ROOT_TYPES = ("Query", "Mutation", "Subscription")

ROOTS = {
    "Query.snapshot": {READ},
    "Query.priceList": {READ},
    "Query.priceLists": {READ},
    "Query.batch": {WRITE, OPERATE},
    "Query.batches": {WRITE, OPERATE},
    "Mutation.publishBatch": {WRITE},
    "Mutation.openBatch": {WRITE},
    "Mutation.appendBatch": {WRITE},
    "Mutation.commitBatch": {WRITE},
    "Mutation.abortBatch": {WRITE, OPERATE},
    "Mutation.approveBatch": {OPERATE},
    "Mutation.rejectBatch": {OPERATE},
    "Mutation.rollback": {OPERATE},
    "Mutation.pin": {OPERATE},
    "Mutation.unpin": {OPERATE},
    "Mutation.retain": {OPERATE},
    "Mutation.restore": {OPERATE},
    "Mutation.createPriceList": {ADMIN},
    "Mutation.updatePriceList": {ADMIN},
    "Subscription.published": {READ},
    "Subscription.batchProgress": {WRITE, OPERATE},
}
"""What each root field needs. A new field is put here by someone who has thought of it."""

INSIDE = {"PriceList.pin", "PriceList.gates", "PriceList.retention", "PriceList.events", "Snapshot.batch"}
"""Fields that need more than their parent does."""


def fields(of: GraphQLSchema) -> Iterator[tuple[str, GraphQLField]]:
    for type_ in of.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field


def undeclared(of: GraphQLSchema) -> list[str]:
    """The fields whose resolver declares nothing; one without a resolver shows an attribute of what was got."""
    return [name for name, field in fields(of) if has_resolver(field) and need_of(field) is None]


def has_resolver(field: GraphQLField) -> bool:
    return field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].base_resolver is not None


def need_of(field: GraphQLField) -> Requirement | None:
    resolver = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].base_resolver
    need: Requirement | None = getattr(resolver.wrapped_func, REQUIREMENT, None) if resolver else None
    return need


def test_every_resolver_declares_what_it_needs() -> None:
    assert undeclared(build_schema()._schema) == []


def test_a_field_that_declares_nothing_is_found() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        @staticmethod
        @as_parent
        def declared() -> int:
            return 1

        @strawberry.field
        @staticmethod
        def forgotten() -> int:
            return 1

    assert undeclared(strawberry.Schema(Query)._schema) == ["Query.forgotten"]


def test_root_fields_need_what_they_are_meant_to() -> None:
    built = build_schema()._schema
    roots = [(name, need_of(field)) for name, field in fields(built) if name.split(".")[0] in ROOT_TYPES]
    assert {name: need and set(need.scopes) for name, need in roots} == ROOTS


def test_what_is_for_those_who_work_on_a_list_needs_more_than_its_parent() -> None:
    built = build_schema()._schema
    found = {name: set(need.scopes) for name, field in fields(built) if (need := need_of(field)) and need.scopes}
    assert found == {**ROOTS, **{name: {WRITE, OPERATE} for name in INSIDE}}
