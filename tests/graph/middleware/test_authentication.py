"""Authentication and authorization over HTTP: what each scope allows, and how everything else is refused."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.asgi.media_types import GRAPHQL_RESPONSE
from graph.cache.etags import ETags
from graph.identity import authenticator
from graph.identity.callers import Caller
from graph.identity.scopes import Grants
from graph.schema.build import build_schema
from graph.settings import Settings
from tests.databases import Databases
from tests.graph.api import Api, row, serving
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys
from tests.waiting import until

SIGNER = Signer("one")

PRICE = 'query ($l: ID!) { snapshot(priceList: $l) { version price(sku: "A") { amount } } }'
PUBLISH = """mutation ($i: PublishBatchInput!) {
  publishBatch(input: $i) { batch { id version submittedBy } userErrors { code } }
}"""
ROLLBACK = 'mutation { rollback(input: {priceList: "shop", toVersion: 1, reason: "x"}) { userErrors { code } } }'
CREATE = "mutation ($n: ID!) { createPriceList(input: {name: $n}) { userErrors { code } } }"
LISTS = "{ priceLists { totalCount nodes { name } } }"


@pytest.fixture
async def settings(mongodb_uri: str, databases: Databases, tmp_path: Path) -> AsyncIterator[Settings]:
    """A server that requires tokens; it has two lists of one price, `shop` and `secret`."""
    async with databases.empty() as name:
        settings = Settings(
            mongodb_uri=mongodb_uri,
            mongodb_database=name,
            jwt_keys=str(write_keys(tmp_path / "keys.json", SIGNER)),
            jwt_issuer=ISSUER,
            jwt_audience=AUDIENCE,
        )
        async with serving(replace(settings, anonymous="admin")) as api:
            for price_list in ("shop", "secret"):
                await api.create(price_list)
                await api.publish(price_list, [row("A")])
        yield settings


@pytest.fixture
async def closed(settings: Settings) -> AsyncIterator[Api]:
    async with serving(settings) as api:
        yield api


async def send(api: Api, document: str, *scopes: str, token: str | None = None, **variables: Any) -> httpx.Response:
    """Send a document with a token of these scopes; without credentials if there are none."""
    headers = {"accept": GRAPHQL_RESPONSE}
    if scopes or token:
        headers["authorization"] = f"Bearer {token or SIGNER.token(*scopes)}"
    return await api.http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)


def code(response: httpx.Response) -> str | None:
    errors = response.json().get("errors")
    first: str | None = errors[0]["extensions"]["code"] if errors else None
    return first


async def was_used(api: Api) -> bool:
    return (await api.runtime.store.api_keys.all())[0].last_used_at is not None


async def is_refused(api: Api, key: str) -> bool:
    response = await send(api, PRICE, token=key, l="shop")
    return (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


def order(price_list: str) -> dict[str, Any]:
    return {"priceList": price_list, "mode": "MERGE", "idempotencyKey": secrets.token_hex(4), "prices": [row("B")]}


@pytest.mark.parametrize(
    "document", [PRICE, LISTS, "{ __typename }", "{ __schema { queryType { name } } }", ROLLBACK, "{"]
)
async def test_without_credentials_nothing_is_served_not_even_introspection(closed: Api, document: str) -> None:
    response = await send(closed, document, l="shop")
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer x", "Basic YTpi", "x", "Bearer pbk_a_b", "Bearer " + "x" * 9000]
)
async def test_invalid_credentials_are_refused_before_the_body_is_read(closed: Api, header: str) -> None:
    response = await closed.http.post("/graphql", content=b"{not json", headers={"authorization": header})
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


async def test_two_authorization_headers_are_refused(closed: Api) -> None:
    headers = [("authorization", f"Bearer {SIGNER.token('admin')}")] * 2
    response = await closed.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert response.status_code == 401


async def test_a_scope_for_a_list_allows_reading_only_that_list(closed: Api) -> None:
    response = await send(closed, PRICE, "prices:read:shop", l="shop")
    assert response.json()["data"]["snapshot"]["price"] == {"amount": "1.00"}
    refused = await send(closed, PRICE, "prices:read:shop", l="secret")
    assert (refused.status_code, code(refused)) == (403, "FORBIDDEN")


async def test_a_refusal_does_not_reveal_whether_something_exists(closed: Api) -> None:
    existing, missing = [await send(closed, PRICE, "prices:read:shop", l=name) for name in ("secret", "missing")]
    assert existing.json() == missing.json()
    batch = "query ($id: ID!) { batch(id: $id) { id } }"
    published = await send(closed, PUBLISH, "admin", i=order("secret"))
    batch_id = published.json()["data"]["publishBatch"]["batch"]["id"]
    of_another_list = await send(closed, batch, "batches:write:shop", id=batch_id)
    unknown = await send(closed, batch, "batches:write:shop", id="0" * len(batch_id))
    assert of_another_list.json() == unknown.json() == {"data": {"batch": None}}
    commit = "mutation ($id: ID!) { commitBatch(input: {batch: $id, parts: 1, size: 1}) { userErrors { code } } }"
    responses = [await send(closed, commit, "batches:write:shop", id=each) for each in (batch_id, "0" * len(batch_id))]
    assert responses[0].json() == responses[1].json()
    assert responses[0].json()["data"]["commitBatch"]["userErrors"] == [{"code": "BATCH_NOT_FOUND"}]


async def test_lists_and_batches_out_of_scope_are_neither_shown_nor_counted(closed: Api) -> None:
    everything = (await send(closed, LISTS, "prices:read")).json()["data"]["priceLists"]
    assert everything == {"totalCount": 2, "nodes": [{"name": "secret"}, {"name": "shop"}]}
    some = (await send(closed, LISTS, "prices:read:sh*")).json()["data"]["priceLists"]
    assert some == {"totalCount": 1, "nodes": [{"name": "shop"}]}
    batches = "{ batches { totalCount nodes { priceList } } }"
    assert (await send(closed, batches, "batches:write")).json()["data"]["batches"]["totalCount"] == 2
    own = (await send(closed, batches, "batches:write:shop")).json()["data"]["batches"]
    assert own == {"totalCount": 1, "nodes": [{"priceList": "shop"}]}
    assert (
        code(await send(closed, '{ batches(priceList: "secret") { totalCount } }', "batches:write:shop")) == "FORBIDDEN"
    )


@pytest.mark.parametrize(
    ("document", "scope"), [(PUBLISH, "batches:write"), (ROLLBACK, "snapshots:operate"), (CREATE, "admin")]
)
async def test_a_mutation_needs_its_scope_for_the_list(closed: Api, document: str, scope: str) -> None:
    variables = {"i": order("shop"), "n": "shop"}
    given: dict[str, Any] = {name: value for name, value in variables.items() if f"${name}" in document}
    for other in {"prices:read", "batches:write", "snapshots:operate", f"{scope}:secret"} - {scope}:
        refused = await send(closed, document, other, **given)
        assert (refused.status_code, code(refused)) == (403, "FORBIDDEN"), other
    assert (await send(closed, document, f"{scope}:shop", **given)).status_code == 200


async def test_operational_fields_need_more_than_read_access(closed: Api) -> None:
    for field in ("pin { by }", "gates { minSize }", "retention { versions }", "events { totalCount }"):
        document = f'{{ priceList(name: "shop") {{ name {field} }} }}'
        assert code(await send(closed, document, "prices:read")) == "FORBIDDEN", field
        assert code(await send(closed, document, "batches:write:shop")) is None, field
    assert code(await send(closed, '{ snapshot(priceList: "shop") { batch { id } } }', "prices:read")) == "FORBIDDEN"


async def test_events_name_the_caller(closed: Api) -> None:
    published = await send(closed, PUBLISH, token=SIGNER.token("batches:write", sub="supplier-7"), i=order("shop"))
    assert published.json()["data"]["publishBatch"]["batch"]["submittedBy"] == "supplier-7"
    events = (await send(closed, '{ priceList(name: "shop") { events(first: 1) { nodes { by } } } }', "admin")).json()
    assert events["data"]["priceList"]["events"]["nodes"] == [{"by": "supplier-7"}]


async def test_a_partly_refused_response_keeps_its_data(closed: Api) -> None:
    document = '{ a: snapshot(priceList: "shop") { version } b: snapshot(priceList: "secret") { version } }'
    response = await send(closed, document, "prices:read:shop")
    assert response.status_code == 200
    assert response.json()["data"] == {"a": {"version": 1}, "b": None}
    assert response.json()["errors"][0]["path"] == ["b"]


async def test_in_the_legacy_media_type_a_refused_field_is_200(closed: Api) -> None:
    headers = {"authorization": f"Bearer {SIGNER.token('prices:read:shop')}"}
    body = {"query": PRICE, "variables": {"l": "secret"}}
    response = await closed.http.post("/graphql", json=body, headers=headers)
    assert (response.status_code, code(response)) == (200, "FORBIDDEN")


async def test_cached_responses_are_shared_only_between_callers_with_the_same_access(closed: Api) -> None:
    first = await send(closed, PRICE, "prices:read:shop", l="shop")
    again = await send(closed, PRICE, token=SIGNER.token("prices:read:shop", sub="bob"), l="shop")
    assert first.headers["etag"] == again.headers["etag"]
    assert "private" in first.headers["cache-control"]
    hits = closed.runtime.responses.hits
    for scopes in (["prices:read:secret"], ["openid"]):
        assert code(await send(closed, PRICE, *scopes, l="shop")) in ("FORBIDDEN", "UNAUTHENTICATED")
    assert (await send(closed, PRICE, l="shop")).status_code == 401
    assert closed.runtime.responses.hits == hits
    wider = await send(closed, PRICE, "prices:read", l="shop")
    assert wider.headers["etag"] != first.headers["etag"]


async def test_responses_that_anyone_may_read_are_public(settings: Settings) -> None:
    async with serving(replace(settings, anonymous="prices:read:shop")) as api:
        response = await send(api, PRICE, l="shop")
        assert response.headers["cache-control"].startswith("public")
        refused = await send(api, PRICE, l="secret")
        assert (refused.status_code, code(refused)) == (401, "UNAUTHENTICATED")
        assert code(await send(api, PUBLISH, i=order("shop"))) == "UNAUTHENTICATED"


async def test_an_api_key_works_like_a_token_until_it_is_revoked(closed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "API_KEY_CACHE_SECONDS", 0.05)
    made, key = await closed.runtime.store.api_keys.create("till-3", ["prices:read:shop"], "ops")
    assert (await send(closed, PRICE, token=key, l="shop")).status_code == 200
    assert code(await send(closed, PRICE, token=key, l="secret")) == "FORBIDDEN"
    await until(lambda: was_used(closed), "recorded as used")
    await closed.runtime.store.api_keys.revoke(made.id)
    await until(lambda: is_refused(closed, key), "refused")


async def test_a_key_is_looked_up_once_for_many_requests(closed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key = await closed.runtime.store.api_keys.create("till-3", ["prices:read"], "ops")
    lookups, find = [], closed.runtime.store.api_keys.find

    async def counted(text: str) -> Any:
        lookups.append(text)
        return await find(text)

    monkeypatch.setattr(closed.runtime.store.api_keys, "find", counted)
    responses = await asyncio.gather(*(send(closed, PRICE, token=key, l="shop") for _ in range(20)))
    assert [response.status_code for response in responses] == [200] * 20
    assert len(lookups) == 1


async def test_a_caller_over_the_rate_limit_gets_retry_after(settings: Settings) -> None:
    async with serving(replace(settings, max_rate=1)) as api:
        token = SIGNER.token("prices:read")
        responses = [await send(api, PRICE, token=token, l="shop") for _ in range(10)]
    assert responses[0].status_code == 200
    refused = next(response for response in responses if response.status_code == 429)
    assert code(refused) == "RATE_LIMITED"
    assert int(refused.headers["retry-after"]) >= 1


async def test_anonymous_callers_with_more_than_read_access_must_use_a_loopback_name(settings: Settings) -> None:
    async with serving(replace(settings, anonymous="admin")) as api:
        for host, status in (("localhost", 200), ("evil.example", 421)):
            headers = {"host": host, "accept": GRAPHQL_RESPONSE}
            response = await api.http.post("/graphql", json={"query": LISTS}, headers=headers)
            assert response.status_code == status
    async with serving(replace(settings, anonymous="prices:read")) as api:
        response = await api.http.post("/graphql", json={"query": LISTS}, headers={"host": "prices.example"})
        assert response.status_code == 200


async def test_credentials_appear_neither_in_responses_nor_in_logs(
    closed: Api, caplog: pytest.LogCaptureFixture
) -> None:
    token = SIGNER.token("admin", exp=1)
    response = await send(closed, PRICE, token=token, l="shop")
    assert token not in response.text + caplog.text + repr(response.headers)


async def test_only_configured_origins_may_call_cross_origin(settings: Settings) -> None:
    preflight = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    async with serving(settings) as api:
        assert "access-control-allow-origin" not in (await api.http.options("/graphql", headers=preflight)).headers
    async with serving(replace(settings, cors_origins="https://shop.example")) as api:
        allowed = await api.http.options("/graphql", headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        other = await api.http.options("/graphql", headers={**preflight, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_a_configured_origin_may_send_any_header_and_read_those_that_explain_a_response(
    settings: Settings,
) -> None:
    sent = (
        "authorization,content-type,if-none-match,pricebook-min-version,pricebook-preview,x-pricebook-preflight,"
        "apollo-require-preflight,apollographql-client-name,apollographql-client-version,graphql-preflight,traceparent,tracestate,baggage,"
        "sentry-trace,x-request-id"
    )
    origin = {"origin": "https://shop.example"}
    async with serving(replace(settings, cors_origins="https://shop.example")) as api:
        preflight = {**origin, "access-control-request-method": "POST", "access-control-request-headers": sent}
        allowed = await api.http.options("/graphql", headers=preflight)
        assert allowed.status_code == 200
        assert set(allowed.headers["access-control-allow-headers"].split(",")) == set(sent.split(","))
        response = await api.http.post("/graphql", json={"query": "{ __typename }"}, headers=origin)
        assert response.headers["access-control-expose-headers"] == "ETag, Retry-After, X-Request-ID"


async def test_browsers_get_the_ide_if_it_is_enabled(settings: Settings) -> None:
    page = {"accept": "text/html"}
    async with serving(settings) as api:
        assert (await api.http.get("/graphql", headers=page)).status_code == 401
    async with serving(replace(settings, ide=True)) as api:
        assert (await api.http.get("/graphql", headers=page)).headers["content-type"].startswith("text/html")


async def test_a_computed_etag_reveals_nothing_about_a_list_out_of_scope(closed: Api) -> None:
    assert (await send(closed, PRICE, "prices:read", l="secret")).json()["data"]["snapshot"]["version"] == 1
    view = Caller("x", Grants.parse(["prices:read:shop"])).view
    digest = hashlib.blake2b(PRICE.encode(), digest_size=16).hexdigest()
    etags = ETags(build_schema()._schema)
    computed = [
        etags.etag(view, GRAPHQL_RESPONSE, digest, None, {"l": "secret"}, {"secret": version}).decode()
        for version in range(3)
    ]
    token = SIGNER.token("prices:read:shop")
    headers = {"accept": GRAPHQL_RESPONSE, "authorization": f"Bearer {token}", "if-none-match": ", ".join(computed)}
    response = await closed.http.post("/graphql", json={"query": PRICE, "variables": {"l": "secret"}}, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
