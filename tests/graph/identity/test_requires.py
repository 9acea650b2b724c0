"""Every field of the schema that reads or changes something declares the scope that it requires."""

from collections.abc import Iterator

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graph.identity.requires import REQUIREMENT, Requirement, as_parent
from graph.identity.scopes import Scope
from graph.schema.build import build_schema

READ, WRITE, OPERATE, ADMIN = Scope.PRICES_READ, Scope.BATCHES_WRITE, Scope.SNAPSHOTS_OPERATE, Scope.ADMIN

ROOT_TYPES = ("Query", "Mutation", "Subscription")

ROOTS: dict[str, set[Scope]] = {
    "Query.snapshot": {READ},
    "Query.priceList": {READ},
    "Query.priceLists": {READ},
    "Query.node": {READ},
    "Query.batch": {WRITE, OPERATE},
    "Query.batches": {WRITE, OPERATE},
    "Query.events": {WRITE, OPERATE},
    "Query.release": {WRITE, OPERATE},
    "Query.releases": {WRITE, OPERATE},
    "Query.caller": set(),
    "Mutation.publishBatch": {WRITE},
    "Mutation.openBatch": {WRITE},
    "Mutation.appendBatch": {WRITE},
    "Mutation.commitBatch": {WRITE},
    "Mutation.abortBatch": {WRITE, OPERATE},
    "Mutation.approveBatch": {OPERATE},
    "Mutation.rejectBatch": {OPERATE},
    "Mutation.grantPreview": {OPERATE},
    "Mutation.revokePreview": {OPERATE},
    "Mutation.rescheduleBatch": {OPERATE},
    "Mutation.createRelease": {WRITE, OPERATE},
    "Mutation.publishRelease": {OPERATE},
    "Mutation.scheduleRelease": {OPERATE},
    "Mutation.rollbackRelease": {OPERATE},
    "Mutation.discardRelease": {OPERATE},
    "Mutation.rollback": {OPERATE},
    "Mutation.pin": {OPERATE},
    "Mutation.unpin": {OPERATE},
    "Mutation.retain": {OPERATE},
    "Mutation.restore": {OPERATE},
    "Mutation.keepVersion": {OPERATE},
    "Mutation.createPriceList": {ADMIN},
    "Mutation.updatePriceList": {ADMIN},
    "Mutation.deletePriceList": {ADMIN},
    "Subscription.published": {READ},
    "Subscription.publications": {READ},
    "Subscription.batchProgress": {WRITE, OPERATE},
}
"""The scopes of each root field. Add new fields deliberately."""

INTERNALS = {
    "PriceList.pin",
    "PriceList.heldByPin",
    "PriceList.upcoming",
    "PriceList.gates",
    "PriceList.retention",
    "PriceList.events",
    "PriceList.exposures",
    "Snapshot.batch",
    "Snapshot.keptUntil",
}
"""Fields that require more than their parent."""

OF_OTHER_VERSIONS = {"Snapshot.history", "Price.history", "Price.timeline", "Price.lowest"}
"""Fields of a version that show others: a preview token reads their parent alone."""


def fields(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLField]]:
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field


def undeclared(schema: GraphQLSchema) -> list[str]:
    """Return the fields whose resolver declares no requirement. Fields without a resolver only read an attribute."""
    return [name for name, field in fields(schema) if has_resolver(field) and requirement_of(field) is None]


def has_resolver(field: GraphQLField) -> bool:
    return field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].base_resolver is not None


def requirement_of(field: GraphQLField) -> Requirement | None:
    resolver = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].base_resolver
    requirement: Requirement | None = getattr(resolver.wrapped_func, REQUIREMENT, None) if resolver else None
    return requirement


def test_every_resolver_declares_its_requirement() -> None:
    assert undeclared(build_schema()._schema) == []


def test_a_field_without_a_declaration_is_found() -> None:
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


def test_root_fields_require_the_intended_scopes() -> None:
    built = build_schema()._schema
    roots = [(name, requirement_of(field)) for name, field in fields(built) if name.split(".")[0] in ROOT_TYPES]
    assert {name: required and set(required.scopes) for name, required in roots} == ROOTS


def test_the_internals_of_a_list_require_more_than_their_parent() -> None:
    built = build_schema()._schema
    declared = ((name, requirement_of(field)) for name, field in fields(built))
    assert {name: set(required.scopes) for name, required in declared if required and required.scopes} == {
        **{name: scopes for name, scopes in ROOTS.items() if scopes},
        **{name: {WRITE, OPERATE} for name in INTERNALS},
        **{name: {READ} for name in OF_OTHER_VERSIONS},
    }
