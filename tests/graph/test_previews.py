"""A preview token reads one version that was never current, and nothing else; no cache keeps what it reads."""

import asyncio
import datetime
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
from graphql import GraphQLObjectType
from pymongo import AsyncMongoClient
from starlette.types import ASGIApp

from graph.app import create_app
from graph.asgi.media_types import GRAPHQL_RESPONSE
from graph.documents.cacheability import PURE
from graph.identity import authenticator
from graph.settings import Settings
from storage import Store
from storage.batches.previews import FIND_TIMEOUT_SECONDS
from storage.mongodb.transaction import instant
from tests.databases import Databases
from tests.graph.api import Client, row, with_state
from tests.graph.http.test_event_stream import subscribed
from tests.graph.identity.test_requires import has_resolver, requirement_of
from tests.graph.sockets import Closed, connection
from tests.graph.test_unpublished import INTERNAL, LISTED, NUMBERED, ORDER, SCHEMA, WAYS, hold, variables
from tests.graph.transports import EVENTS, parse_events

GRANT = """mutation ($i: GrantPreviewInput!) { grantPreview(input: $i) {
  token batch { id version } userErrors { code path } } }"""
REVOKE = "mutation ($i: RevokePreviewInput!) { revokePreview(input: $i) { batch { id } userErrors { code path } } }"
APPROVE = "mutation ($i: ReviewBatchInput!) { approveBatch(input: $i) { batch { version } userErrors { code } } }"
REJECT = "mutation ($i: ReviewBatchInput!) { rejectBatch(input: $i) { userErrors { code } } }"

PRIVATE = "private, no-store"
CURRENT, HELD, OTHER_HELD, WITHDRAWN = 3, 2, 5, 4

READ = {"version": HELD, "size": 2, "price": {"amount": "2.00"}}
"""What `NUMBERED` reads of the held version, besides its page."""


@dataclass
class Service:
    """An application with the list `shop`; without credentials nothing is served."""

    app: ASGIApp
    store: Store
    held: str = ""
    order: str = ""
    token: str = ""

    async def key(self, *grants: str) -> dict[str, str]:
        """Return the headers of a caller with these grants."""
        _, key = await self.store.api_keys.create("ada", grants, "ops")
        return {"authorization": f"Bearer {key}"}

    def http(self, headers: dict[str, str]) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost", headers=headers)

    async def send(
        self,
        document: str,
        values: dict[str, Any],
        *headers: tuple[str, str],
        method: str = "POST",
        token: str | None = "",
    ) -> httpx.Response:
        """Send a document with the token, or without if it is None; of the variables, those that it declares."""
        declared = {name: value for name, value in values.items() if f"${name}:" in document}
        body = {"query": document, "variables": declared}
        async with self.http({}) as http:
            named = [("accept", GRAPHQL_RESPONSE), *headers]
            if token is not None:
                named.append(("pricebook-preview", self.token))
            if method == "GET":
                return await http.get("/graphql", params={"query": document}, headers=named)
            return await http.post("/graphql", json=body, headers=named)

    async def data(self, document: str, **values: Any) -> dict[str, Any]:
        """Send a document as an admin and return its data."""
        async with self.http(await self.key("admin")) as http:
            return await Client(http).data(document, **values)

    async def grant(self, batch: str) -> str:
        expires_at = (instant() + datetime.timedelta(days=1)).isoformat()
        payload = await self.data(GRANT, i={"batch": batch, "expiresAt": expires_at, "reason": "for the shop"})
        assert payload["grantPreview"]["userErrors"] == []
        token: str = payload["grantPreview"]["token"]
        return token

    async def end(self, document: str) -> None:
        [payload] = (await self.data(document, i={"batch": self.held, "reason": "x"})).values()
        assert payload["userErrors"] == []

    async def expire(self) -> None:
        past = instant() - datetime.timedelta(seconds=1)
        await self.store.db["previews"].update_many({}, {"$set": {"expiresAt": past}})


@pytest.fixture
async def service(mongodb_uri: str, databases: Databases) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        name = await stack.enter_async_context(databases.empty())
        app = create_app(Settings(mongodb_uri=mongodb_uri, mongodb_database=name, max_rate=0))
        state = await stack.enter_async_context(app.router.lifespan_context(app))
        assert state is not None
        service = Service(with_state(app, state), state["runtime"].store)
        async with service.http(await service.key("admin")) as http:
            admin = Client(http)
            await admin.create("other", "shop")
            await admin.publish("shop", [row("a", "1.00")])
            service.held, held = await hold(admin, "shop", "2.00")
            await admin.publish("shop", [row("a", "3.00"), row("c")])
            rejected, withdrawn = await hold(admin, "shop", "4.00")
            await admin.data(REJECT, i={"batch": rejected, "reason": "wrong"})
            _, other = await hold(admin, "shop", "5.00")
            assert (held, withdrawn, other) == (HELD, WITHDRAWN, OTHER_HELD)
            service.order = (await admin.data(ORDER))["snapshot"]["prices"]["pageInfo"]["endCursor"]
        service.token = await service.grant(service.held)
        yield service


def codes(response: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json().get("errors", [])]


def read(response: httpx.Response) -> dict[str, Any]:
    """Return what `NUMBERED` read, besides its page."""
    assert (response.status_code, codes(response)) == (200, [])
    return {name: value for name, value in response.json()["data"]["snapshot"].items() if name != "prices"}


# ---------------------------------------------------------------- what a token reads


async def test_a_token_alone_reads_the_version_by_its_number(service: Service) -> None:
    for name in ("number", "number and all fields", "a cursor and the number"):
        response = await service.send(WAYS[name].document, variables(HELD, service.order))
        assert (response.status_code, codes(response)) == (200, []), name
    assert read(await service.send(NUMBERED, {"v": HELD})) == READ


async def test_it_reads_no_other_version_whether_that_exists_or_not(service: Service) -> None:
    for version in (1, CURRENT, WITHDRAWN, OTHER_HELD, 9):
        response = await service.send(NUMBERED, {"v": version})
        assert (response.status_code, codes(response)) == (401, ["UNAUTHENTICATED"]), version
    own, missing = [await service.send(NUMBERED.replace("shop", name), {"v": HELD}) for name in ("other", "none")]
    assert (codes(own), own.text) == (["UNAUTHENTICATED"], missing.text)


async def test_it_reads_its_version_in_no_other_way(service: Service) -> None:
    ways = {name: way.document for name, way in WAYS.items() if name not in ("number", "number and all fields")}
    del ways["a cursor and the number"]
    documents = {**ways, **INTERNAL, "the list": '{ priceList(name: "shop") { name } }', "listed": LISTED}
    documents |= {"lists": "{ priceLists { totalCount } }", "current": '{ snapshot(priceList: "shop") { version } }'}
    documents["batch of it"] = 'query ($v: Int!) { snapshot(priceList: "shop", version: $v) { batch { id } } }'
    for name, document in documents.items():
        response = await service.send(document, {**variables(HELD, service.order), "b": service.held, "r": "f00"})
        assert set(codes(response)) == {"UNAUTHENTICATED"}, name
        assert "3.00" not in response.text, name


def test_what_a_version_shows_to_a_token_is_decided_field_by_field() -> None:
    shown = {
        f"{type_}.{name}"
        for type_ in ("Snapshot", "Price")
        for name, field in cast("GraphQLObjectType", SCHEMA.type_map[type_]).fields.items()
        if not (has_resolver(field) and (required := requirement_of(field)) and required.scopes)
    }
    pure = {f"{type_}.{name}" for type_ in ("Snapshot", "Price") for name in PURE[type_]}
    assert shown == pure | {"Snapshot.state", "Snapshot.publishedAt"}


async def test_a_cursor_of_another_version_does_not_lead_to_it(service: Service) -> None:
    values = {**variables(CURRENT, service.order), "v": HELD}
    response = await service.send(WAYS["a cursor and the number"].document, values)
    assert codes(response) == ["INVALID_ARGUMENT"]
    assert response.json()["data"] == {"snapshot": None}


async def test_it_changes_nothing(service: Service) -> None:
    for document, values in (
        (REJECT, {"i": {"batch": service.held, "reason": "x"}}),
        (REVOKE, {"i": {"batch": service.held, "reason": "x"}}),
    ):
        assert codes(await service.send(document, values)) == ["UNAUTHENTICATED"]
    assert read(await service.send(NUMBERED, {"v": HELD})) == READ


async def test_with_credentials_it_adds_the_version_to_what_they_read(service: Service) -> None:
    reader = await service.key("prices:read:shop")
    [authorization] = reader.items()
    ways = variables(HELD, service.order)
    for name, (_, document) in WAYS.items():
        if name == "diff of each list":  # it asks `other` for the version as well
            continue
        response = await service.send(document, ways, authorization)
        assert (response.status_code, codes(response)) == (200, []), name
    for version, code in ((OTHER_HELD, "SNAPSHOT_NOT_FOUND"), (WITHDRAWN, "SNAPSHOT_NOT_FOUND")):
        assert codes(await service.send(NUMBERED, {"v": version}, authorization)) == [code]
    assert read(await service.send(NUMBERED, {"v": CURRENT}, authorization))["version"] == CURRENT
    listed = (await service.send(LISTED, {}, authorization)).json()["data"]["priceList"]["snapshots"]
    assert listed["nodes"] == [{"version": 3}, {"version": 1}]
    [elsewhere] = (await service.key("prices:read:other")).items()
    assert read(await service.send(NUMBERED, {"v": HELD}, elsewhere)) == READ
    assert codes(await service.send(NUMBERED, {"v": CURRENT}, elsewhere)) == ["FORBIDDEN"]


async def test_once_approved_it_reads_the_version_by_its_new_number(service: Service) -> None:
    await service.end(APPROVE)
    approved = OTHER_HELD + 1
    assert read(await service.send(NUMBERED, {"v": approved}))["version"] == approved
    assert codes(await service.send(NUMBERED, {"v": HELD})) == ["UNAUTHENTICATED"]


# ---------------------------------------------------------------- caches


async def test_no_cache_keeps_a_response(service: Service) -> None:
    [reader] = (await service.key("prices:read")).items()
    literal = NUMBERED.replace("$v", str(CURRENT)).replace(f"query ({CURRENT}: Int!) ", "")
    for method in ("POST", "GET"):
        public = await service.send(literal, {}, reader, method=method, token=None)
        assert "Pricebook-Preview" in public.headers["vary"]
        again = await service.send(
            literal, {}, reader, ("if-none-match", public.headers["etag"]), method=method, token=None
        )
        assert again.status_code == 304
        for condition in ("*", public.headers["etag"]):
            response = await service.send(literal, {}, reader, ("if-none-match", condition), method=method)
            assert read(response)["version"] == CURRENT
            assert response.headers["cache-control"] == PRIVATE
            assert "etag" not in response.headers
    broken = await service.send("{", {})
    refused = await service.send(NUMBERED, {"v": CURRENT})
    assert {each.headers["cache-control"] for each in (broken, refused)} == {PRIVATE}


async def test_it_is_not_served_from_the_cache_after_it_was_revoked(service: Service) -> None:
    for _ in range(3):
        assert read(await service.send(NUMBERED, {"v": HELD})) == READ
    await service.end(REVOKE)
    response = await service.send(NUMBERED, {"v": HELD})
    assert (response.status_code, codes(response)) == (401, ["PREVIEW_INVALID"])


# ---------------------------------------------------------------- tokens that are refused


@pytest.mark.parametrize("token", ["", "x", "pbp_", f"pbp_{'x' * 43}", "x" * 9000, "é"])
async def test_an_invalid_token_is_refused_before_the_body_is_read(service: Service, token: str) -> None:
    for credentials in ({}, await service.key("admin")):
        async with service.http(credentials) as http:
            response = await http.post(
                "/graphql", content=b"{not json", headers={b"pricebook-preview": token.encode("latin-1")}
            )
        assert (response.status_code, codes(response)) == (401, ["PREVIEW_INVALID"])
        assert response.headers["cache-control"] == PRIVATE
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_repeated_headers_are_refused(service: Service) -> None:
    response = await service.send(NUMBERED, {"v": HELD}, ("pricebook-preview", service.token))
    assert (response.status_code, codes(response)) == (401, ["PREVIEW_INVALID"])


@pytest.mark.parametrize("end", ["expired", REVOKE, REJECT])
async def test_a_token_that_is_no_longer_valid_is_refused(service: Service, end: str) -> None:
    await (service.expire() if end == "expired" else service.end(end))
    response = await service.send(NUMBERED, {"v": HELD})
    assert (response.status_code, codes(response)) == (401, ["PREVIEW_INVALID"])


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_token_is_not_waited_for_if_mongodb_does_not_respond(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient("mongodb://127.0.0.1:1", timeoutMS=15_000)
    with monkeypatch.context() as patch:
        patch.setattr(service.store.previews, "_collection", client["stopped"]["previews"])
        async with client, asyncio.timeout(FIND_TIMEOUT_SECONDS + 3):
            response = await service.send(NUMBERED, {"v": HELD})
    assert (response.status_code, codes(response)) == (503, ["UNAVAILABLE"])
    del client
    gc.collect()  # the driver leaves the sockets of refused connections to the garbage collector


async def test_wrong_tokens_are_limited_by_address(mongodb_uri: str, service: Service) -> None:
    settings = Settings(mongodb_uri=mongodb_uri, mongodb_database=service.store.db.name, max_rate=1)
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        service.app, service.token = with_state(app, state), f"pbp_{'x' * 43}"
        answers = [(await service.send(NUMBERED, {"v": HELD})).status_code for _ in range(4)]
    assert answers == [401, 401, 429, 429]


async def test_the_token_is_neither_in_the_log_nor_in_an_event(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="pricebook")
    await service.send(NUMBERED, {"v": HELD})
    events = (await service.data('{ events(priceList: "shop") { nodes { kind by reason version } } }'))["events"]
    assert events["nodes"][0] == {
        "kind": "PREVIEW_GRANTED",
        "by": "ada",
        "reason": "for the shop",
        "version": HELD,
    }
    await service.end(REVOKE)
    await service.send(NUMBERED, {"v": HELD})
    assert service.token[4:] not in caplog.text


async def test_refusals_of_the_mutations_are_user_errors(service: Service) -> None:
    soon = (instant() + datetime.timedelta(hours=1)).isoformat()
    order = {"batch": service.held, "expiresAt": soon, "reason": "x"}
    for change, code, path in (
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "INVALID_ARGUMENT", ["input", "expiresAt"]),
        ({"reason": " "}, "INVALID_ARGUMENT", ["input", "reason"]),
        ({"batch": "none"}, "BATCH_NOT_FOUND", None),
    ):
        payload = (await service.data(GRANT, i={**order, **change}))["grantPreview"]
        assert payload == {"token": None, "batch": None, "userErrors": [{"code": code, "path": path}]}
    await service.end(REVOKE)
    payload = (await service.data(REVOKE, i={"batch": service.held, "reason": "x"}))["revokePreview"]
    assert payload["userErrors"] == [{"code": "PREVIEW_NOT_FOUND", "path": ["input", "batch"]}]


@pytest.mark.parametrize("scope", ["prices:read", "batches:write", "snapshots:operate:other"])
async def test_only_an_operator_of_the_list_grants_and_revokes(service: Service, scope: str) -> None:
    soon = (instant() + datetime.timedelta(hours=1)).isoformat()
    async with service.http(await service.key(scope)) as http:
        for document, more in ((GRANT, {"expiresAt": soon}), (REVOKE, {})):
            body = await Client(http).execute(document, i={"batch": service.held, "reason": "x", **more})
            payload = next(iter((body["data"] or {"": None}).values()))
            refusals = [*body.get("errors", []), *(payload["userErrors"] if payload else [])]
            found = {each.get("code") or each["extensions"]["code"] for each in refusals}
            assert found <= {"FORBIDDEN", "BATCH_NOT_FOUND"}
            assert found
    assert read(await service.send(NUMBERED, {"v": HELD})) == READ


# ---------------------------------------------------------------- other transports


async def test_an_event_stream_reads_by_it(service: Service) -> None:
    [accept] = EVENTS.items()
    async with service.http({"pricebook-preview": service.token, accept[0]: accept[1]}) as http:
        response = await http.post("/graphql", json={"query": NUMBERED, "variables": {"v": HELD}})
        [body] = parse_events(response.text)
        assert body["data"]["snapshot"]["version"] == HELD
        assert response.headers["cache-control"] == PRIVATE
        await service.end(REVOKE)
        assert (await http.post("/graphql", json={"query": NUMBERED, "variables": {"v": HELD}})).status_code == 401


async def test_an_event_stream_ends_when_the_token_is_revoked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "RECHECK_INTERVAL_SECONDS", 0.05)
    [key] = (await service.key("prices:read")).values()
    async with subscribed(service.app, authorization=key, **{"pricebook-preview": service.token}) as stream:
        await stream.start()
        assert b'"version":3' in await stream.event()
        await service.end(REVOKE)
        async with asyncio.timeout(10):
            assert b"PREVIEW_INVALID" in await stream.event()
        assert await stream.body() == b"event: complete\ndata: \n\n"


REQUEST = {"query": NUMBERED, "variables": {"v": HELD}}


@pytest.mark.parametrize("place", ["handshake", "connection_init"])
async def test_a_websocket_reads_by_it_until_it_is_revoked(service: Service, place: str) -> None:
    by_header = place == "handshake"
    headers = {"pricebook-preview": service.token} if by_header else {}
    async with connection(service.app, **headers) as socket:
        socket.send(type="connection_init", payload=None if by_header else {"Pricebook-Preview": service.token})
        assert (await socket.receive())["type"] == "connection_ack"
        [result, complete] = await socket.execute(REQUEST)
        assert result["payload"]["data"]["snapshot"]["version"] == HELD
        assert complete["type"] == "complete"
        refused = await socket.execute({"query": NUMBERED, "variables": {"v": CURRENT}}, "2")
        assert refused[0]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await service.end(REVOKE)
        socket.send(id="3", type="subscribe", payload=REQUEST)
        assert await socket.closed() == 4403


async def test_a_websocket_with_an_invalid_token_is_refused(service: Service) -> None:
    async with connection(service.app, **{"pricebook-preview": "x"}) as socket:
        with pytest.raises(Closed) as refused:
            await socket.receive()
        assert refused.value.code == 401
    async with connection(service.app) as socket:
        socket.send(type="connection_init", payload={"Pricebook-Preview": "x"})
        with pytest.raises(Closed) as refused:
            await socket.receive()
        assert refused.value.code == 4403
        assert refused.value.reason.endswith("Ask for a new one, or send none.")
