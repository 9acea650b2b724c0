"""Requests that once passed a limit, ended a handler or took memory: each gets an answer that does nothing."""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from websockets.exceptions import ConnectionClosed

from graph.cache.etags import ETags
from graph.identity.callers import Caller
from graph.identity.scopes import Grants
from graph.schema.build import build_schema
from storage import Store
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys
from tests.stack.servers import Server, servers
from tests.stack.transports import Answer, Transports, begin, close_code, websocket

SIGNER = Signer("one")
REFUSALS = {1003, 1007, 1009, 4400, 4401, 4403, 4429}
"""Codes with which a WebSocket is closed after a message that the protocol does not have."""

MAX_GROWTH_BYTES = 30 << 20
MAX_REVOCATION_SECONDS = 10
"""Longest time for which a revoked key is accepted: processes look at their keys every 5 s."""

CREATE = 'mutation { createPriceList(input: {name: "%s"}) { userErrors { code } } }'
PUBLISH = """mutation { publishBatch(input: {
  priceList: "%s", mode: REPLACE, idempotencyKey: "1", prices: [{sku: "a", amount: "1", currency: "EUR"}]
}) { userErrors { code } } }"""
READ = '{ snapshot(priceList: "public") { version } }'
UPDATE = 'mutation { updatePriceList(input: {name: "public", description: "revoked"}) { userErrors { code } } }'
COSTLY = """query A { snapshot(priceList: "public") { prices(first: 1000) { nodes {
  history(first: 1000) { version price { history(first: 1000) { version } } } } } } }"""
PAGES = """query ($n: Int) { snapshot(priceList: "public") {
  prices(first: $n) { nodes { history(first: $n) { version } } } } }"""


@dataclass
class Target:
    """A server with the lists `public` and `hidden`, each with a version, and a client that may do everything."""

    server: Server
    transports: Transports
    run: Callable[[Callable[[Store], Awaitable[Any]]], Any]
    """Runs a function with the store of the server."""

    def ask(self, transport: str, request: Any) -> Answer:
        ask: Callable[[Any], Answer] = getattr(self.transports, f"ask_by_{transport}")
        return ask(request)


def token(*scopes: str) -> str:
    return SIGNER.token(*scopes, exp=int(time.time()) + 3600)


@pytest.fixture(scope="module")
def target(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    database, folder = f"test_{secrets.token_hex(6)}", tmp_path_factory.mktemp("attacks")

    def run(action: Callable[[Store], Awaitable[Any]]) -> Any:
        async def with_store() -> Any:
            async with Store.open_existing(mongodb_uri, database) as store:
                return await action(store)

        return asyncio.run(with_store())

    environ = {
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_JWT_KEYS": str(write_keys(folder / "keys.json", SIGNER)),
        "PRICEBOOK_JWT_ISSUER": ISSUER,
        "PRICEBOOK_JWT_AUDIENCE": AUDIENCE,
        "PRICEBOOK_INTROSPECTION": "false",
        "PRICEBOOK_RESPONSE_CACHE_BYTES": "1MiB",
    }
    with servers(folder, 1, environ) as [server], Transports(server.url, token("admin")) as transports:
        for name in ("public", "hidden"):
            for document in (CREATE % name, PUBLISH % name):
                [payload] = transports.ask_by_json({"query": document}).data.values()
                assert payload["userErrors"] == []
        yield Target(server, transports, run)
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)


@pytest.fixture(autouse=True)
def _no_handler_fails(target: Target) -> Iterator[None]:
    before = target.server.log.read_text()
    yield
    log = target.server.log.read_text().removeprefix(before)
    assert "Traceback" not in log, log
    assert "strawberry.execution" not in log, log
    assert target.transports.ask_by_json({"query": READ}) == Answer({"snapshot": {"version": 1}})


every_transport = pytest.mark.parametrize("transport", ["json", "events", "websocket"])


@every_transport
@pytest.mark.parametrize(
    "document",
    [
        COSTLY + " query B { __typename }",
        COSTLY + " ".join(f"query F{number} {{ __typename }}" for number in range(2_600)),
        "query A {" + " ".join(f"a{number}: __typename" for number in range(300)) + "} query B { __typename }",
        "query A { __schema { types { name } } } query B { __typename }",
    ],
    ids=["two operations", "many operations", "aliases", "introspection"],
)
def test_no_operation_is_executed_if_the_request_names_none_of_several(
    target: Target, transport: str, document: str
) -> None:
    answer = target.ask(transport, {"query": document})
    assert answer.data is None
    assert answer.codes
    assert "INTERNAL" not in answer.codes
    assert answer == target.ask("json", {"query": document})


@every_transport
@pytest.mark.parametrize("document", ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'])
def test_introspection_that_is_off_is_off_for_every_transport(target: Target, transport: str, document: str) -> None:
    assert set(target.ask(transport, {"query": document}).codes) == {"GRAPHQL_VALIDATION_FAILED"}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_no_field_is_suggested_if_introspection_is_off(target: Target, accept: str) -> None:
    response = target.transports.http.post("/graphql", json={"query": "{ snapshots }"}, headers={"accept": accept})
    assert "snapshots" in response.text
    assert "Did you mean" not in response.text


@pytest.mark.parametrize(
    "accept",
    [
        'application/json;p="text/event-stream"',
        "application/json, text/event-stream;q=0",
        'application/json;p="a, text/event-stream"',
    ],
)
def test_a_parameter_does_not_select_the_event_stream(target: Target, accept: str) -> None:
    document = "query A { __typename } query B { __typename }"
    response = target.transports.http.post("/graphql", json={"query": document}, headers={"accept": accept})
    assert response.headers["content-type"].startswith("application/json")
    assert Answer.of(response.json()) == Answer(codes=("OPERATION_NOT_FOUND",))
    assert "accept" in response.headers["vary"].lower()
    assert response.headers["cache-control"] == "no-store"


@every_transport
def test_an_error_of_the_caller_is_not_logged_with_the_document(target: Target, transport: str) -> None:
    marker = secrets.token_hex(8)
    assert target.ask(transport, {"query": f'{{ snapshot(priceList: "no-list-{marker}") {{ version }} }}'}).codes
    assert marker not in target.server.log.read_text()


MESSAGES: dict[str, str | bytes] = {
    "array": "[]",
    "number": "5",
    "null": "null",
    "no JSON": "{",
    "nesting": "[" * 100_000,
    "type of an array": '{"type":[]}',
    "unknown type": '{"type":"x"}',
    "id and payload of the wrong type": '{"type":"subscribe","id":{},"payload":[]}',
    "no payload": '{"type":"subscribe","id":"1"}',
    "payload of init": '{"type":"connection_init","payload":[]}',
    "binary": b'{"type":"ping"}',
    "empty": "",
    "200 KB": json.dumps({"type": "ping", "payload": {"a": "x" * 200_000}}),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
@pytest.mark.parametrize("is_authenticated", [False, True])
def test_a_message_outside_of_the_protocol_closes_the_socket(
    target: Target, message: str | bytes, is_authenticated: bool
) -> None:
    with websocket(target.server.url) as socket:
        if is_authenticated:
            begin(socket, token("prices:read"))
        socket.send(message)
        assert close_code(socket) in REFUSALS


@pytest.mark.parametrize("is_authenticated", [False, True])
def test_text_that_is_not_utf_8_closes_the_socket(target: Target, is_authenticated: bool) -> None:
    with websocket(target.server.url) as socket:
        if is_authenticated:
            begin(socket, token("prices:read"))
        socket.send(b'{"type":"\xff"}', text=True)
        assert close_code(socket) in REFUSALS


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_document_of_16_mib_is_refused_without_parsing_it(target: Target, accept: str) -> None:
    request = {"query": "{ __typename " + " " * (16 << 20) + "}"}
    response = target.transports.http.post("/graphql", json=request, headers={"accept": accept})
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] in {"DOCUMENT_TOO_LARGE", "BODY_TOO_LARGE"}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("scope", ["prices:read", "admin"])
def test_a_body_of_2_mib_is_refused_unless_it_has_rows(target: Target, scope: str, accept: str) -> None:
    request = {"query": READ, "variables": {"undeclared": "x" * (2 << 20)}}
    headers = {"accept": accept, "authorization": f"Bearer {token(scope)}"}
    response = target.transports.http.post("/graphql", json=request, headers=headers)
    assert response.status_code == 413
    assert Answer.of(response.json()).codes == ("BODY_TOO_LARGE",)


def test_repeats_of_a_document_over_a_limit_keep_no_memory(target: Target) -> None:
    document = "{" + " ".join(f"a{number}: __typename" for number in range(300)) + "}"
    request = {"query": document, "variables": {"padding": "x" * 500_000}}

    def repeat(times: int) -> None:
        for _ in range(times):
            # Parsing it again and again uses up the caller's CPU time for new documents.
            assert target.ask("json", request).codes in {("TOO_MANY_ALIASES",), ("RATE_LIMITED",)}

    repeat(100)
    before = target.server.resident_bytes
    repeat(300)
    assert target.server.resident_bytes - before < MAX_GROWTH_BYTES


def test_headers_of_a_mebibyte_keep_no_memory(target: Target) -> None:
    def send(times: int) -> None:
        for number in range(times):
            with httpx.Client(base_url=target.server.url, trust_env=False) as http:
                headers = {"content-type": f"{number}{'x' * (1 << 20)}"}
                try:
                    response = http.post("/graphql", content=b"{}", headers=headers)
                except httpx.TransportError:
                    continue  # the server closes the connection before it has read all
                assert 400 <= response.status_code < 500

    send(10)
    before = target.server.resident_bytes
    send(100)
    assert target.server.resident_bytes - before < MAX_GROWTH_BYTES


@every_transport
@pytest.mark.parametrize(
    ("number", "code"), [(1000.0, "QUERY_TOO_COSTLY"), (1001.0, "PAGE_TOO_LARGE"), (1e9, "PAGE_TOO_LARGE")]
)
def test_integral_floats_count_as_page_sizes(target: Target, transport: str, number: float, code: str) -> None:
    answer = target.ask(transport, {"query": PAGES, "variables": {"n": number}})
    assert answer == Answer(codes=(code,))


@every_transport
def test_a_document_with_thousands_of_errors_reports_few(target: Target, transport: str) -> None:
    fields = " ".join(f"a{number}: 1" for number in range(3_000))
    document = f'{{ snapshot(priceList: "public") {{ prices(filter: {{{fields}}}) {{ totalCount }} }} }}'
    assert 1 <= len(target.ask(transport, {"query": document}).codes) <= 5
    if transport == "json":
        assert len(target.transports.http.post("/graphql", json={"query": document}).content) < 10_000


def test_a_revoked_key_loses_its_websockets(target: Target) -> None:
    record, key = target.run(lambda store: store.api_keys.create("integrator", ["admin"], "test"))
    with websocket(target.server.url) as idle, websocket(target.server.url) as active:
        begin(idle, key)
        begin(active, key)
        target.run(lambda store: store.api_keys.revoke(record.id))
        time.sleep(MAX_REVOCATION_SECONDS)
        with suppress(ConnectionClosed):
            active.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": UPDATE}}))
        codes = [close_code(active), close_code(idle)]
    answer = target.ask("json", {"query": '{ priceList(name: "public") { description } }'})
    assert answer.data == {"priceList": {"description": None}}
    assert codes == [4403, 4403]


def test_etags_of_a_list_out_of_scope_are_not_compared(target: Target) -> None:
    document = '{ snapshot(priceList: "hidden") { version } }'

    def etag(scope: str, version: int) -> str:
        view = Caller("any", Grants.parse([scope])).view
        digest = hashlib.blake2b(document.encode(), digest_size=16).hexdigest()
        return etags.etag(view, "application/json", digest, None, {}, {"hidden": version}).decode()

    etags = ETags(build_schema()._schema)
    http = target.transports.http
    reader = {"authorization": f"Bearer {token('prices:read')}"}
    assert http.post("/graphql", json={"query": document}, headers=reader).headers["etag"] == etag("prices:read", 1)
    outsider = {"authorization": f"Bearer {token('prices:read:public')}"}
    guesses = ", ".join(etag("prices:read:public", version) for version in range(1, 400))
    response = http.post("/graphql", json={"query": document}, headers={**outsider, "if-none-match": guesses})
    assert response.status_code != 304
    assert Answer.of(response.json()).codes == ("FORBIDDEN",)
