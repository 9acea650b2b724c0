"""Persisted queries by hash, as Apollo's clients send them, and trusted documents by id, from a list."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Scope

from graph.context import Context
from graph.http import persisted_queries
from graph.http.endpoint import Endpoint
from graph.http.errors import PersistedQueryNotFound
from graph.http.persisted_queries import RequestedDocuments
from graph.http.requests import Extensions, GraphQLRequest, PersistedQuery
from graph.http.trusted_documents import TrustedDocuments
from graph.schema.build import build_schema
from graph.settings import Settings, SettingsError
from tests.graph.api import Api, http_client, row
from tests.graph.execution import memory

GRAPHQL_RESPONSE = "application/graphql-response+json"
QUERY = "query ($yes: Boolean = true) { __typename @include(if: $yes) }"
OTHER = "{ other: __typename }"
MUTATION = 'mutation { createPriceList(input: {name: "a"}) { __typename } }'


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def by_hash(text: str, version: int = 1) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": version, "sha256Hash": sha256(text)}}}


def endpoint(trusted: TrustedDocuments | None = None) -> Endpoint:
    """An endpoint without a context, for documents that need none."""

    def without_context(_: Scope) -> Context:
        context: Context = memory.context()
        return context

    return Endpoint(build_schema(), without_context, trusted=trusted)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an endpoint that executes every document."""
    async with http_client(endpoint()) as client:
        yield client


@pytest.fixture
async def trusting() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an endpoint with two trusted documents that executes any document."""
    async with http_client(endpoint(TrustedDocuments({"main": QUERY, "change": MUTATION}))) as client:
        yield client


@pytest.fixture
async def strict() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an endpoint that executes only one document."""
    async with http_client(endpoint(TrustedDocuments({"main": QUERY}, only=True))) as client:
        yield client


async def post(http: httpx.AsyncClient, body: dict[str, Any], accept: str = GRAPHQL_RESPONSE) -> httpx.Response:
    return await http.post("/", json=body, headers={"accept": accept})


async def get(http: httpx.AsyncClient, parameters: dict[str, Any]) -> httpx.Response:
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    return await http.get("/", params=as_text, headers={"accept": GRAPHQL_RESPONSE})


def code(response: httpx.Response) -> str:
    """The code of the only error, in a response that must not be cached."""
    assert response.headers["cache-control"] == "no-store"
    [error] = response.json()["errors"]
    text: str = error["extensions"]["code"]
    return text


# ---------------------------------------------------------------- automatic persisted queries


@pytest.mark.parametrize("send_by", [post, get])
async def test_a_document_is_sent_once_and_then_named_by_its_hash(http: httpx.AsyncClient, send_by: Any) -> None:
    unknown = await send_by(http, by_hash(QUERY))
    assert (unknown.status_code, code(unknown)) == (400, "PERSISTED_QUERY_NOT_FOUND")
    assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert (await send_by(http, {"query": QUERY, **by_hash(QUERY)})).json() == {"data": {"__typename": "Query"}}
    for other in (post, get):
        assert (await other(http, by_hash(QUERY))).json() == {"data": {"__typename": "Query"}}
        assert (await other(http, {**by_hash(QUERY), "variables": {"yes": False}})).json() == {"data": {}}


async def test_an_unknown_hash_is_200_in_the_legacy_media_type(http: httpx.AsyncClient) -> None:
    response = await post(http, by_hash(QUERY), "application/json")
    assert (response.status_code, code(response)) == (200, "PERSISTED_QUERY_NOT_FOUND")


async def test_an_empty_document_is_like_none(http: httpx.AsyncClient) -> None:  # graphql-ws sends no hash without one
    for query in (QUERY, ""):
        response = await post(http, {"query": query, **by_hash(QUERY)})
        assert response.json() == {"data": {"__typename": "Query"}}, query


async def test_a_hash_of_another_document_is_refused(http: httpx.AsyncClient) -> None:
    for send_by in (post, get):
        response = await send_by(http, {"query": QUERY, **by_hash(OTHER)})
        assert (response.status_code, code(response)) == (400, "PERSISTED_QUERY_HASH_MISMATCH")
    assert code(await post(http, by_hash(OTHER))) == "PERSISTED_QUERY_NOT_FOUND"


async def test_another_version_of_the_protocol_is_not_supported(http: httpx.AsyncClient) -> None:
    response = await post(http, {"query": QUERY, **by_hash(QUERY, version=2)})
    assert code(response) == "PERSISTED_QUERY_NOT_SUPPORTED"


async def test_an_invalid_document_is_not_stored(http: httpx.AsyncClient) -> None:
    assert code(await post(http, {"query": "{ nope }", **by_hash("{ nope }")})) == "GRAPHQL_VALIDATION_FAILED"
    assert code(await post(http, by_hash("{ nope }"))) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_document_without_its_hash_is_not_stored(http: httpx.AsyncClient) -> None:
    await post(http, {"query": QUERY})
    assert code(await post(http, by_hash(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"


async def test_malformed_extensions_are_a_bad_request(http: httpx.AsyncClient) -> None:
    wrong: tuple[Any, ...] = ("x", 5, [], {"persistedQuery": 5}, {"persistedQuery": {"version": 1}})
    for extensions in wrong:
        for send_by in (post, get):
            response = await send_by(http, {"query": QUERY, "extensions": extensions})
            assert (response.status_code, code(response)) == (400, "BAD_REQUEST"), extensions


async def test_a_mutation_by_its_hash_is_not_executed_by_get(http: httpx.AsyncClient) -> None:
    response = await get(http, {"query": MUTATION, **by_hash(MUTATION)})
    assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")


def test_documents_are_kept_in_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted_queries, "MAX_PERSISTED_QUERY_BYTES", 10_000)
    documents = RequestedDocuments(TrustedDocuments())

    def request(text: str, *, with_text: bool) -> GraphQLRequest:
        query = PersistedQuery(version=1, sha256=sha256(text))
        return GraphQLRequest(query=text if with_text else None, extensions=Extensions(query))

    texts = [f"{n:0500}" for n in range(100)]
    for text in texts:
        documents.remember(request(text, with_text=True))
        assert documents.find(request(texts[0], with_text=False)) == texts[0]
    assert documents.find(request(texts[99], with_text=False)) == texts[99]
    with pytest.raises(PersistedQueryNotFound):
        documents.find(request(texts[1], with_text=False))


async def test_the_response_to_a_hash_is_cached_like_any_other(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a")])
    document = '{ snapshot(priceList: "retail") { version size } }'
    whole = await api.http.post("/graphql", json={"query": document, **by_hash(document)})
    parameters = {"extensions": json.dumps(by_hash(document)["extensions"])}
    first, again = [await api.http.get("/graphql", params=parameters) for _ in range(2)]
    assert first.headers["etag"] == whole.headers["etag"]
    assert first.content == again.content == whole.content
    assert api.runtime.responses.hits == 1


# ---------------------------------------------------------------- trusted documents


async def test_a_trusted_document_is_found_by_its_id_or_its_hash(trusting: httpx.AsyncClient) -> None:
    for document_id in ("main", f"sha256:{sha256(QUERY)}"):
        for send_by in (post, get):
            response = await send_by(trusting, {"documentId": document_id, "variables": {"yes": True}})
            assert response.json() == {"data": {"__typename": "Query"}}
    assert (await post(trusting, by_hash(QUERY))).json() == {"data": {"__typename": "Query"}}


async def test_an_unknown_id_is_a_request_error(trusting: httpx.AsyncClient) -> None:
    for document_id in ("nope", f"sha256:{sha256(OTHER)}", sha256(QUERY)):
        response = await post(trusting, {"documentId": document_id})
        assert (response.status_code, code(response)) == (400, "DOCUMENT_NOT_FOUND")
        assert (await post(trusting, {"documentId": document_id}, "application/json")).status_code == 200


async def test_a_document_and_an_id_together_are_refused(trusting: httpx.AsyncClient) -> None:
    response = await post(trusting, {"query": QUERY, "documentId": "main"})
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_a_mutation_by_its_id_is_not_executed_by_get(trusting: httpx.AsyncClient) -> None:
    response = await get(trusting, {"documentId": "change"})
    assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")


async def test_without_an_enforced_list_any_document_is_executed(trusting: httpx.AsyncClient) -> None:
    assert (await post(trusting, {"query": OTHER})).json() == {"data": {"other": "Query"}}


async def test_an_enforced_list_excludes_other_documents(strict: httpx.AsyncClient) -> None:
    for body in ({"query": OTHER}, {"query": f"{QUERY} "}, {"query": "{"}, {"query": OTHER, **by_hash(OTHER)}):
        for send_by in (post, get):
            response = await send_by(strict, body)
            assert (response.status_code, code(response)) == (400, "DOCUMENT_NOT_TRUSTED"), body
    assert code(await post(strict, by_hash(OTHER))) == "PERSISTED_QUERY_NOT_FOUND"


async def test_an_enforced_list_admits_its_documents(strict: httpx.AsyncClient) -> None:
    for body in ({"query": QUERY}, {"documentId": "main"}, by_hash(QUERY), {"query": QUERY, **by_hash(QUERY)}):
        assert (await post(strict, body)).json() == {"data": {"__typename": "Query"}}, body


# ---------------------------------------------------------------- the list


def read(file: Path, text: str, *, only: bool = False) -> TrustedDocuments:
    file.write_text(text)
    return TrustedDocuments.from_settings(Settings(trusted_documents=file, trusted_documents_only=only))


def test_a_list_is_read_from_a_file(tmp_path: Path) -> None:
    documents = {"main": QUERY, f"sha256:{sha256(OTHER)}": OTHER, sha256(MUTATION): MUTATION, "x-relay:ab12": OTHER}
    trusted = read(tmp_path / "list.json", json.dumps(documents), only=True)
    assert trusted.only
    assert {document_id: trusted.find(document_id) for document_id in documents} == documents
    assert trusted.find(f"sha256:{sha256(MUTATION)}") == MUTATION


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not a JSON object"),
        ('["a"]', "is not a JSON object"),
        ('{"a": 5}', "is not a JSON object"),
        (json.dumps({f"sha256:{sha256(OTHER)}": QUERY}), "is not the SHA-256 of its document"),
        (json.dumps({sha256(OTHER): QUERY}), "is not the SHA-256 of its document"),
        (json.dumps({"md5:ab": QUERY}), "is not a valid id"),
        (json.dumps({"": QUERY}), "is not a valid id"),
        (json.dumps({"a b": QUERY}), "is not a valid id"),
    ],
)
def test_an_invalid_list_is_refused_at_start(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        read(tmp_path / "list.json", text)
    assert "PRICEBOOK_TRUSTED_DOCUMENTS: " in str(caught.value)


def test_a_missing_list_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        TrustedDocuments.from_settings(Settings(trusted_documents=tmp_path / "nope.json"))
    with pytest.raises(SettingsError, match="needs PRICEBOOK_TRUSTED_DOCUMENTS"):
        TrustedDocuments.from_settings(Settings(trusted_documents_only=True))
