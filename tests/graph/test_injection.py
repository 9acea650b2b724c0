"""Input of callers stays data: it never becomes a key, operator, path or collection name of a MongoDB command."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_composite_type,
)
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from graph.app import create_app
from graph.cache.response_cache import ResponseCache
from graph.identity.authenticator import Authenticator
from graph.runtime import Runtime
from graph.schema.build import build_schema
from loaders import PointerCache
from storage import Store
from storage.mongodb.connection import prepare
from tests.graph.api import ANYBODY, Api, http_client, open_settings, row

SCHEMA = build_schema()._schema
MARK = "zq9"
HOSTILE = (
    f"$where{MARK}",
    f"$${MARK}",
    f'{{"$gt": "{MARK}"}}',
    f"a.{MARK}",
    f"system.{MARK}",
    f"layer.{MARK}",
    f"{MARK}\x00",
    f"{MARK}'; sleep(1000); '",
    f"{MARK}*(",
    MARK * 100,
)


FAILURES = ("INTERNAL", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED")
"""Codes of errors of the service or of this test."""


class InjectionListener(CommandListener):
    """Records every place in MongoDB commands in which input of callers is not data."""

    def __init__(self) -> None:
        self.injections: list[str] = []
        self.seen = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.seen += 1
        name, command = event.command_name, event.command
        if MARK in str(command.get(name)):
            self.injections.append(f"{name} {command.get(name)}")
        # Inserted documents are data, including their keys: attributes may have any name.
        parts = {key: value for key, value in command.items() if key not in ("documents", name)}
        self.injections += [f"{name}: {path}" for path in find_injections(parts, evaluated=False)]

    def succeeded(self, event: Any) -> None:
        """Do nothing."""

    def failed(self, event: Any) -> None:
        """Do nothing: the caller receives the error."""


def find_injections(value: Any, *, evaluated: bool, path: str = "") -> Iterator[str]:
    """Yield the paths of marked keys, and of marked strings that MongoDB would evaluate.

    In `evaluated` parts, such as pipelines, a string that starts with `$` is a field path unless it is a `$literal`.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if MARK in key:
                yield f"{path}.{key}"
            if key != "$literal":
                is_evaluated = evaluated or key in ("pipeline", "$expr") or (key == "u" and isinstance(inner, list))
                yield from find_injections(inner, evaluated=is_evaluated, path=f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from find_injections(inner, evaluated=evaluated, path=f"{path}[]")
    elif isinstance(value, str) and MARK in value and evaluated and value.startswith("$"):
        yield f"{path} = {value}"


def test_injections_are_found() -> None:
    text = f"$x{MARK}"
    assert [*find_injections({"filter": {text: 1}}, evaluated=False)]
    assert [*find_injections({"updates": [{"u": [{"$set": {"a": text}}]}]}, evaluated=False)]
    assert [*find_injections({"pipeline": [{"$match": {"$expr": {"$eq": ["$a", text]}}}]}, evaluated=False)]
    assert not [*find_injections({"filter": {"_id": text}, "updates": [{"u": {"$set": {"a": text}}}]}, evaluated=False)]
    assert not [*find_injections({"pipeline": [{"$set": {"a": {"$literal": text}}}]}, evaluated=False)]


@pytest.fixture
async def watched(mongodb_uri: str) -> AsyncIterator[tuple[Api, InjectionListener]]:
    """An application with a list `retail`, and a listener to its commands."""
    listener, database = InjectionListener(), f"test_{secrets.token_hex(6)}"
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_uri, tz_aware=True, event_listeners=[listener])
    store = Store(client, database, cache_bytes=0)
    await prepare(store.db)
    pointers = PointerCache(store)
    runtime = Runtime(store, pointers, ResponseCache(pointers, 0), Authenticator(ANYBODY, store.api_keys))
    await pointers.start()
    app = create_app(open_settings(mongodb_uri=mongodb_uri, mongodb_database=database))

    async def with_runtime(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"runtime": runtime}}, receive, send)

    async with http_client(with_runtime) as http:
        api = Api(http, runtime)
        await api.create("retail")
        await api.publish("retail", [row("a", attributes={"colour": "red"})])
        yield api, listener
    await pointers.stop()
    await client.drop_database(database)
    await client.drop_database(f"{database}_layers")
    await store.close()


def literal(type_: GraphQLInputType, text: str, known: Mapping[str, str], name: str = "") -> str | None:
    """Return a literal of a type with the text wherever a string is allowed; None if the type has no literal."""
    if isinstance(type_, GraphQLNonNull):
        return literal(type_.of_type, text, known, name)
    if isinstance(type_, GraphQLList):
        inner = literal(type_.of_type, text, known)
        return f"[{inner}]" if inner else None
    if isinstance(type_, GraphQLEnumType):
        return str(next(iter(type_.values)))
    if isinstance(type_, GraphQLInputObjectType):
        values = {each: literal(field.type, text, known, each) for each, field in type_.fields.items()}
        return f"{{{', '.join(f'{each}: {value}' for each, value in values.items() if value)}}}"
    quoted = '"' + known.get(name, text).replace("\\", "\\\\").replace('"', '\\"').replace("\x00", "\\u0000") + '"'
    literals: dict[str, str | None] = {
        "Int": "1",
        "Float": "1.5",
        "Boolean": "true",
        "Decimal": '"1.5"',
        "Date": '"2026-11-23"',
        "DateTime": '"2026-11-23T00:00:00Z"',
        "JSON": f"{{a: {quoted}}}",
        "Upload": None,
    }
    return literals.get(str(get_named_type(type_)), quoted)


def field_call(name: str, arguments: Mapping[str, GraphQLArgument], text: str, known: Mapping[str, str]) -> str:
    """Return a field with all of its arguments."""
    values = {each: literal(argument.type, text, known, each) for each, argument in arguments.items()}
    listed = ", ".join(f"{each}: {value}" for each, value in values.items() if value)
    return f"{name}({listed})" if listed else name


def selection_of(field: GraphQLField) -> str:
    return "{ __typename }" if is_composite_type(get_named_type(field.type)) else ""


def documents(text: str) -> Iterator[str]:
    """Yield documents with each root field and each field of versions and lists, with the text in all arguments."""
    for root, keyword in (("Query", "query"), ("Mutation", "mutation")):
        type_ = SCHEMA.type_map[root]
        assert isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items():
            for known in ({}, {"priceList": "retail", "name": "retail", "id": f"Price:retail:1:{text}"}):
                yield f"{keyword} {{ {field_call(name, field.args, text, known)} {selection_of(field)} }}"
    for root, inside in (("Snapshot", 'snapshot(priceList: "retail")'), ("PriceList", 'priceList(name: "retail")')):
        type_ = SCHEMA.type_map[root]
        assert isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items():
            if field.args:
                for known in ({}, {"orderBy": ""}):
                    args = {each: value for each, value in field.args.items() if each not in ("last", "before", *known)}
                    yield f"{{ {inside} {{ {field_call(name, args, text, {})} {selection_of(field)} }} }}"
                    args.pop("after", None)  # a malformed cursor would hide the other arguments
                    yield f"{{ {inside} {{ {field_call(name, args, text, {})} {selection_of(field)} }} }}"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_arguments_stay_data(watched: tuple[Api, InjectionListener], text: str) -> None:
    api, listener = watched
    seen = listener.seen
    for document in documents(text):
        body = await api.execute(document)
        for error in body.get("errors", []):
            assert error["extensions"]["code"] not in FAILURES, (document, error)
    assert listener.seen > seen
    assert listener.injections == []


async def test_attributes_with_any_name_are_returned_unchanged(watched: tuple[Api, InjectionListener]) -> None:
    api, listener = watched
    attributes = {"$set": {"a.b": [1, {"$where": MARK}]}, "a.b": "$gt", f"${MARK}": None, "": {"": ""}}
    await api.publish("retail", [row("a", attributes=attributes)])
    document = '{ snapshot(priceList: "retail") { price(sku: "a") { attributes } } }'
    assert (await api.data(document))["snapshot"]["price"]["attributes"] == attributes
    assert listener.injections == []
