"""The endpoint follows the GraphQL-over-HTTP specification: methods, media types, parameters and status codes."""

import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import httpx
import pytest
from starlette.types import Scope

from graph.context import Context
from graph.http.endpoint import Endpoint
from graph.schema.build import build_schema
from tests.graph.api import PUBLISH, Api, http_client, row
from tests.graph.execution import memory

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

QUERY = "{ __typename }"
INVALID = "{ nope }"
BAD_VARIABLES = {"query": "query ($v: Int!) { snapshot(priceList: 1, version: $v) { size } }", "variables": {"v": "x"}}


def without_context(_: Scope) -> Context:
    """A context without a store, for documents that need none."""
    context: Context = memory.context()
    return context


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an endpoint without a database."""
    async with http_client(Endpoint(build_schema(), without_context)) as client:
        yield client


async def post(http: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.post(
        "/", content=content, headers={"content-type": JSON} | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def code(response: httpx.Response) -> str:
    """The code of the only error in a body without data."""
    assert response.headers["content-type"].endswith("; charset=utf-8")
    body = response.json()
    assert body.keys() == {"errors"}
    [error] = body["errors"]
    assert error["message"]
    text: str = error["extensions"]["code"]
    return text


# ---------------------------------------------------------------- methods


async def test_queries_may_be_sent_by_post_and_by_get(http: httpx.AsyncClient) -> None:
    for response in (await post(http, {"query": QUERY}), await http.get("/", params={"query": QUERY})):
        assert response.status_code == 200
        assert response.json() == {"data": {"__typename": "Query"}}


async def test_get_accepts_variables_and_an_operation_name(http: httpx.AsyncClient) -> None:
    document = "query a($yes: Boolean!) { __typename @include(if: $yes) } query b { other: __typename }"
    for variables, name, data in (('{"yes": true}', "a", {"__typename": "Query"}), ('{"yes": false}', "a", {})):
        parameters = {"query": document, "variables": variables, "operationName": name}
        assert (await http.get("/", params=parameters)).json() == {"data": data}
    assert (await http.get("/", params={"query": document, "operationName": "b"})).json() == {
        "data": {"other": "Query"}
    }


async def test_get_does_not_execute_a_mutation(http: httpx.AsyncClient) -> None:
    document = 'query q { __typename } mutation m { createPriceList(input: {name: "a"}) { __typename } }'
    response = await http.get("/", params={"query": document, "operationName": "m"})
    assert (response.status_code, code(response), response.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")
    assert (await http.get("/", params={"query": document, "operationName": "q"})).status_code == 200


async def test_other_methods_are_not_allowed(http: httpx.AsyncClient) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        response = await http.request(method, "/")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST"), method


# ---------------------------------------------------------------- media types


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (JSON, JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE),
        (f"{JSON};q=0.9, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_RESPONSE}; q=0, {JSON}", JSON),
        (f"{JSON}; charset=utf-8", JSON),
        ("Application/JSON", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/plain, */*;q=0.1", JSON),
        (f"image/png, {GRAPHQL_RESPONSE};q=0.2", GRAPHQL_RESPONSE),
    ],
)
async def test_the_response_has_the_media_type_that_the_client_prefers(
    http: httpx.AsyncClient, accept: str, expected: str
) -> None:
    response = await post(http, {"query": QUERY}, accept=accept)
    assert (response.status_code, response.headers["content-type"]) == (200, f"{expected}; charset=utf-8")


async def test_without_an_accept_header_the_response_is_json(http: httpx.AsyncClient) -> None:
    del http.headers["accept"]
    response = await post(http, {"query": QUERY})
    assert response.headers["content-type"] == f"{JSON}; charset=utf-8"


async def test_an_unsupported_media_type_is_not_acceptable(http: httpx.AsyncClient) -> None:
    for accept in ("text/plain", "text/html", f"{JSON};q=0", "*/*;q=0", f"{JSON};q=much"):
        response = await post(http, {"query": QUERY}, accept=accept)
        assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE"), accept


async def test_a_body_must_be_json_in_utf_8(http: httpx.AsyncClient) -> None:
    for media_type in ("text/plain", "application/graphql", "", f"{JSON}; charset=latin-1"):
        response = await post(http, {"query": QUERY}, content_type=media_type)
        assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE"), media_type
    for media_type in (f"{JSON}; charset=utf-8", f"{JSON};charset=UTF-8", "Application/JSON"):
        assert (await post(http, {"query": QUERY}, content_type=media_type)).status_code == 200, media_type


# ---------------------------------------------------------------- invalid requests


async def test_a_body_that_is_not_json_is_a_bad_request(http: httpx.AsyncClient) -> None:
    for body in (b"", b"{", b"query", b'{"query": "{ a }"', b'{"query": NaN}', b'{"query": "\xff"}', b"{" * 100_000):
        response = await post(http, body)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST"), body[:20]


async def test_parameters_of_a_wrong_type_are_a_bad_request(http: httpx.AsyncClient) -> None:
    for body in (
        "x",
        None,
        {},
        {"query": None},
        {"query": ""},
        {"query": 5},
        {"query": [QUERY]},
        {"query": QUERY, "operationName": 5},
        {"query": QUERY, "variables": []},
        {"query": QUERY, "variables": "{}"},
        {"query": QUERY, "variables": 5},
    ):
        for accept in (JSON, GRAPHQL_RESPONSE):
            response = await post(http, body, accept=accept)
            assert (response.status_code, code(response)) == (400, "BAD_REQUEST"), body


async def test_an_array_of_requests_is_refused_as_one(http: httpx.AsyncClient) -> None:
    for body in ([], [{"query": QUERY}], [{"query": QUERY}] * 1000, b" [" * 10_000):
        response = await post(http, body)
        assert (response.status_code, code(response)) == (400, "BATCHING_NOT_SUPPORTED")
        assert "Send each operation in a request of its own." in response.json()["errors"][0]["message"]


async def test_variables_of_a_get_must_be_a_json_object(http: httpx.AsyncClient) -> None:
    for variables in ("{", "[]", "5", '{"a": }'):
        response = await http.get("/", params={"query": QUERY, "variables": variables})
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST"), variables
    assert code(await http.get("/")) == "BAD_REQUEST"


async def test_null_and_unknown_parameters_are_ignored(http: httpx.AsyncClient) -> None:
    body = {"query": QUERY, "variables": None, "operationName": None, "extensions": {"a": 1}, "more": True}
    assert (await post(http, body)).json() == {"data": {"__typename": "Query"}}


async def test_an_unpaired_surrogate_is_a_bad_request(http: httpx.AsyncClient) -> None:
    response = await post(http, b'{"query": "{ __typename }", "variables": {"a": "\\ud800 x"}}')
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_a_document_that_is_too_long_is_refused(http: httpx.AsyncClient) -> None:
    response = await post(http, {"query": QUERY + " " * 100_000})
    assert (response.status_code, code(response)) == (400, "DOCUMENT_TOO_LARGE")


async def test_a_document_with_too_many_tokens_is_not_parsed_to_its_end(http: httpx.AsyncClient) -> None:
    response = await post(http, {"query": "{" + " a" * 20_000 + " }"})
    assert code(response) == "GRAPHQL_PARSE_FAILED"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": INVALID}, "GRAPHQL_VALIDATION_FAILED"),
        (BAD_VARIABLES, "BAD_REQUEST"),
    ],
)
async def test_a_request_error_is_400_but_200_in_the_legacy_media_type(
    http: httpx.AsyncClient, body: dict[str, Any], expected: str
) -> None:
    for accept, status in ((GRAPHQL_RESPONSE, 400), (JSON, 200)):
        response = await post(http, body, accept=accept)
        assert (response.status_code, code(response)) == (status, expected)


async def test_an_ambiguous_or_unknown_operation_is_refused(http: httpx.AsyncClient) -> None:
    for name in (None, "c"):
        body = {"query": "query a { __typename } query b { __typename }", "operationName": name}
        response = await post(http, body, accept=GRAPHQL_RESPONSE)
        assert (response.status_code, code(response)) == (400, "OPERATION_NOT_FOUND")


async def test_an_invalid_document_is_refused_every_time(http: httpx.AsyncClient) -> None:
    first, again = [await post(http, {"query": INVALID}, accept=GRAPHQL_RESPONSE) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert code(first) == "GRAPHQL_VALIDATION_FAILED"


# ---------------------------------------------------------------- browsers


async def test_a_browser_gets_the_ide_if_it_is_enabled() -> None:
    async with http_client(Endpoint(build_schema(), without_context, ide=True)) as http:
        response = await http.get("/", headers={"accept": CHROME})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "graphiql" in response.text.lower()


async def test_a_browser_that_sends_a_query_gets_its_result(http: httpx.AsyncClient) -> None:
    response = await http.get("/", params={"query": QUERY}, headers={"accept": CHROME})
    assert response.json() == {"data": {"__typename": "Query"}}


# ---------------------------------------------------------------- the whole application


async def test_a_field_error_leaves_the_status_200(api: Api) -> None:
    document = '{ snapshot(priceList: "nope") { size } }'
    response = await api.http.post("/graphql", json={"query": document}, headers={"accept": GRAPHQL_RESPONSE})
    assert response.status_code == 200
    assert response.json()["data"] == {"snapshot": None}


async def test_a_row_that_is_not_utf_8_is_a_row_error(api: Api) -> None:
    await api.create("retail")
    body = json.dumps(
        {
            "query": PUBLISH,
            "variables": {
                "input": {
                    "priceList": "retail",
                    "mode": "REPLACE",
                    "idempotencyKey": "k",
                    "prices": [row("a"), row("SKU")],
                }
            },
        }
    ).encode()
    response = await api.http.post("/graphql", content=body.replace(b"SKU", b"\xff"), headers={"content-type": JSON})
    [error] = response.json()["data"]["publishBatch"]["batch"]["errors"]
    assert (error["index"], error["sku"], error["code"]) == (1, None, "ENCODING_INVALID")


async def test_other_paths_are_not_found(api: Api) -> None:
    assert (await api.http.get("/x")).status_code == 404
    assert (await api.http.post("/graphql/x", json={"query": QUERY})).status_code == 404


def never(_: Scope) -> NoReturn:
    raise AssertionError("A request that is not executed needs no context.")


async def test_a_refused_request_creates_no_context() -> None:
    async with http_client(Endpoint(build_schema(), never)) as http:
        for body in (b"{", {"query": INVALID}, {}):
            assert code(await post(http, body))
