"""What callers send is data: in no command does it become a key, an operator, a path, or the name of a collection."""

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
    is_object_type,
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


FAULTS = ("INTERNAL", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED")
"""Codes that say that the service, or this test, is wrong."""


class Commands(CommandListener):
    """Notes where in the commands of a client what callers sent is anything but data."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.seen = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.seen += 1
        name, command = event.command_name, event.command
        if MARK in str(command.get(name)):
            self.wrong.append(f"{name} {command.get(name)}")
        # What is inserted is data from its first key on; prices may have attributes of any name.
        parts = {key: value for key, value in command.items() if key not in ("documents", name)}
        self.wrong += [f"{name}: {place}" for place in misplaced(parts, evaluated=False)]

    def succeeded(self, event: Any) -> None:
        """Do nothing."""

    def failed(self, event: Any) -> None:
        """Do nothing: the caller is told."""


def misplaced(value: Any, *, evaluated: bool, path: str = "") -> Iterator[str]:
    """Yield the places of marked keys, and of marked texts that MongoDB would take for paths or patterns.

    Within `evaluated` parts, as pipelines are, a text that begins with `$` is a path, unless it is a `$literal`.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if MARK in key:
                yield f"{path}.{key}"
            if key != "$literal":
                runs = evaluated or key in ("pipeline", "$expr") or (key == "u" and isinstance(inner, list))
                yield from misplaced(inner, evaluated=runs, path=f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from misplaced(inner, evaluated=evaluated, path=f"{path}[]")
    elif isinstance(value, str) and MARK in value and evaluated and value.startswith("$"):
        yield f"{path} = {value}"


def test_what_is_misplaced_is_found() -> None:
    text = f"$x{MARK}"
    assert [*misplaced({"filter": {text: 1}}, evaluated=False)]
    assert [*misplaced({"updates": [{"u": [{"$set": {"a": text}}]}]}, evaluated=False)]
    assert [*misplaced({"pipeline": [{"$match": {"$expr": {"$eq": ["$a", text]}}}]}, evaluated=False)]
    assert not [*misplaced({"filter": {"_id": text}, "updates": [{"u": {"$set": {"a": text}}}]}, evaluated=False)]
    assert not [*misplaced({"pipeline": [{"$set": {"a": {"$literal": text}}}]}, evaluated=False)]


@pytest.fixture
async def watched(mongodb_uri: str) -> AsyncIterator[tuple[Api, Commands]]:
    """An application with the list `retail`, and the commands of its client."""
    commands, database = Commands(), f"test_{secrets.token_hex(6)}"
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_uri, tz_aware=True, event_listeners=[commands])
    store = Store(client, database)
    pointers = PointerCache(store, 0)
    runtime = Runtime(store, pointers, ResponseCache(pointers, 0), Authenticator(ANYBODY, store.api_keys))
    await pointers.start()
    app = create_app(open_settings(mongodb_uri=mongodb_uri, mongodb_database=database))

    async def with_runtime(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"runtime": runtime}}, receive, send)

    async with http_client(with_runtime) as http:
        api = Api(http, runtime)
        await api.create("retail")
        await api.publish("retail", [row("a", attributes={"colour": "red"})])
        yield api, commands
    await pointers.stop()
    await client.drop_database(database)
    await store.close()


def literal(type_: GraphQLInputType, text: str, known: Mapping[str, str], name: str = "") -> str | None:
    """A value of a type with the text wherever a text can be; None where there is none of that type."""
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
    others: dict[str, str | None] = {
        "Int": "1",
        "Float": "1.5",
        "Boolean": "true",
        "Decimal": '"1.5"',
        "Date": '"2026-11-23"',
        "DateTime": '"2026-11-23T00:00:00Z"',
        "JSON": f"{{a: {quoted}}}",
        "Upload": None,
    }
    return others.get(str(get_named_type(type_)), quoted)


def called(name: str, arguments: Mapping[str, GraphQLArgument], text: str, known: Mapping[str, str]) -> str:
    """A field with all of its arguments."""
    values = {each: literal(argument.type, text, known, each) for each, argument in arguments.items()}
    given = ", ".join(f"{each}: {value}" for each, value in values.items() if value)
    return f"{name}({given})" if given else name


def selected(field: GraphQLField) -> str:
    return "{ __typename }" if is_object_type(get_named_type(field.type)) else ""


def documents(text: str) -> Iterator[str]:
    """Every root field, and every field of a version and a list, with the text in all of their arguments."""
    for root, keyword in (("Query", "query"), ("Mutation", "mutation")):
        type_ = SCHEMA.type_map[root]
        assert isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items():
            for known in ({}, {"priceList": "retail", "name": "retail"}):
                yield f"{keyword} {{ {called(name, field.args, text, known)} {selected(field)} }}"
    for root, inside in (("Snapshot", 'snapshot(priceList: "retail")'), ("PriceList", 'priceList(name: "retail")')):
        type_ = SCHEMA.type_map[root]
        assert isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items():
            if field.args:
                for known in ({}, {"orderBy": ""}):
                    args = {each: value for each, value in field.args.items() if each not in ("last", "before", *known)}
                    yield f"{{ {inside} {{ {called(name, args, text, {})} {selected(field)} }} }}"
                    args.pop("after", None)  # a cursor that is none hides the rest
                    yield f"{{ {inside} {{ {called(name, args, text, {})} {selected(field)} }} }}"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_no_argument_becomes_anything_but_data(watched: tuple[Api, Commands], text: str) -> None:
    api, commands = watched
    seen = commands.seen
    for document in documents(text):
        answer = await api.answer(document)
        for error in answer.get("errors", []):
            assert error["extensions"]["code"] not in FAULTS, (document, error)
    assert commands.seen > seen
    assert commands.wrong == []


async def test_attributes_of_any_name_come_back_as_they_went_in(watched: tuple[Api, Commands]) -> None:
    api, commands = watched
    attributes = {"$set": {"a.b": [1, {"$where": MARK}]}, "a.b": "$gt", f"${MARK}": None, "": {"": ""}}
    await api.publish("retail", [row("a", attributes=attributes)])
    document = '{ snapshot(priceList: "retail") { price(sku: "a") { attributes } } }'
    assert (await api.data(document))["snapshot"]["price"]["attributes"] == attributes
    assert commands.wrong == []
