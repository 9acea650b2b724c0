"""Unpublished means private: a version that was never current exists only for callers who work on its list."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from graphql import GraphQLObjectType, get_named_type
from msgspec.structs import replace
from starlette.types import ASGIApp

from graph import cursors
from graph.app import create_app
from graph.asgi.media_types import GRAPHQL_RESPONSE, JSON
from graph.cache.etags import ETags
from graph.documents.document import Documents
from graph.identity.callers import ANONYMOUS, Caller
from graph.identity.scopes import Grants
from graph.node_ids import price_id, snapshot_id
from graph.runtime import Runtime
from graph.schema.build import build_schema
from graph.settings import Settings
from tests.databases import Databases
from tests.graph.api import PUBLISH, Client, row, with_state
from tests.graph.sockets import connection
from tests.graph.transports import answer

SCHEMA = build_schema()._schema
ETAGS = ETags(SCHEMA)

PRIVATE = "private, no-store"
IMMUTABLE = "max-age=31536000, immutable"

HELD, WITHDRAWN, MISSING = 2, 4, 7
"""Versions of the list `shop`: one waits for a review, one was rejected, one does not exist. 3 is current."""

NUMBERED = """query ($v: Int!) { snapshot(priceList: "shop", version: $v) {
  version size price(sku: "a") { amount } prices { totalCount nodes { sku } } } }"""
ORDER = '{ snapshot(priceList: "shop") { prices(first: 1, orderBy: AMOUNT_ASC) { pageInfo { endCursor } } } }'
REVIEW = """mutation ($i: ReviewBatchInput!) { approveBatch(input: $i) {
  batch { state version } snapshot { publishedAt } userErrors { code } } }"""
CREATE_RELEASE = "mutation ($i: CreateReleaseInput!) { createRelease(input: $i) { release { id } } }"
REJECT = "mutation ($i: ReviewBatchInput!) { rejectBatch(input: $i) { batch { state version } userErrors { code } } }"


class Way(NamedTuple):
    """A query that reaches a version by `$v`, its number, or by a cursor of it; and the fields that it tries."""

    fields: frozenset[str]
    document: str


def way(document: str, *fields: str) -> Way:
    return Way(frozenset(fields), document)


WAYS = {
    "number": way(NUMBERED, "Query.snapshot"),
    "number and all fields": way(
        """query ($v: Int!) { snapshot(priceList: "shop", version: $v) {
          priceList version size state createdAt publishedAt label pricesBySku(skus: ["a"]) { amount }
          quote(lines: [{sku: "a", quantity: 1}]) { version total } } }""",
        "Query.snapshot",
    ),
    "number beside the current version": way(
        """query ($v: Int!) { now: snapshot(priceList: "shop") { size }
          that: snapshot(priceList: "shop", version: $v) { size } }""",
        "Query.snapshot",
    ),
    "history": way(
        """query ($v: Int!) { snapshot(priceList: "shop", version: $v) {
          price(sku: "a") { history { version publishedAt price { amount } } } } }""",
        "Price.history",
    ),
    "timeline": way(
        """query ($v: Int!) { snapshot(priceList: "shop", version: $v) {
          price(sku: "a") { timeline(since: "2026-01-01T00:00:00Z") { version price { amount } } } } }""",
        "Price.timeline",
    ),
    "lowest price": way(
        """query ($v: Int!) { snapshot(priceList: "shop", version: $v) {
          price(sku: "a") { lowest { version amount } } } }""",
        "Price.lowest",
    ),
    "history of a sku": way(
        """query ($v: Int!) { snapshot(priceList: "shop", version: $v) {
          history(sku: "a") { version publishedAt price { amount } } } }""",
        "Snapshot.history",
    ),
    "after a cursor": way(
        'query ($c: String!) { snapshot(priceList: "shop") { size prices(after: $c) { nodes { sku } } } }',
        "Query.snapshot",
    ),
    "before a cursor": way(
        'query ($c: String!) { snapshot(priceList: "shop") { prices(last: 1, before: $c) { nodes { sku } } } }',
        "Query.snapshot",
    ),
    "a cursor and the number": way(
        """query ($v: Int!, $c: String!) { snapshot(priceList: "shop", version: $v) {
          prices(after: $c) { nodes { sku } } } }""",
        "Query.snapshot",
    ),
    "a cursor of an order": way(
        """query ($o: String!) { snapshot(priceList: "shop") {
          prices(orderBy: AMOUNT_ASC, after: $o) { totalCount nodes { sku } } } }""",
        "Query.snapshot",
    ),
    "diff from": way(
        'query ($v: Int!) { priceList(name: "shop") { diff(from: $v, to: 1) { totalCount nodes { sku } } } }',
        "PriceList.diff",
    ),
    "diff to": way(
        """query ($v: Int!) { priceList(name: "shop") { diff(from: 1, to: $v) {
          summary { added } nodes { after { amount } } } } }""",
        "PriceList.diff",
    ),
    "diff with itself": way(
        'query ($v: Int!) { priceList(name: "shop") { diff(from: $v, to: $v) { totalCount } } }', "PriceList.diff"
    ),
    "diff after a cursor": way(
        """query ($v: Int!, $d: String!) { priceList(name: "shop") { diff(from: $v, to: 1, after: $d) {
          nodes { sku } } } }""",
        "PriceList.diff",
    ),
    "diff of each list": way(
        """query ($v: Int!, $n: String!) { priceLists(after: $n) { nodes {
          name diff(from: 1, to: $v) { totalCount } } } }""",
        "PriceList.diff",
    ),
    "a node": way("query ($i: ID!) { node(id: $i) { ... on Snapshot { version size } } }", "Query.node"),
    "a node of a price": way("query ($p: ID!) { node(id: $p) { ... on Price { amount } } }", "Query.node"),
}

LISTED = """query ($first: Int, $after: String) { priceList(name: "shop") {
  snapshots(first: $first, after: $after) {
    totalCount nodes { version } edges { node { size } } pageInfo { hasNextPage } } } }"""

INTERNAL = {
    "Query.node": "query ($b: ID!) { node(id: $b) { ... on Batch { version } } }",
    "Query.batch": "query ($b: ID!) { batch(id: $b) { version } }",
    "Query.batches": 'query { batches(priceList: "shop") { nodes { version } } }',
    "Query.events": 'query { events(priceList: "shop") { nodes { kind } } }',
    "PriceList.events": 'query { priceList(name: "shop") { events { nodes { kind } } } }',
    "Query.release": "query ($r: ID!) { release(id: $r) { name items { batch { version } } } }",
    "Query.releases": "query { releases { nodes { name items { batch { version } } } totalCount } }",
    "Release.items": """query ($r: ID!) { node(id: $r) {
      ... on Release { items { toVersion priceList { name } batch { version } } } } }""",
    "ReleaseItem.batch": """query { batches(state: HELD) { nodes {
      release { items { batch { version } } } } } }""",
    "Batch.release": "query ($b: ID!) { batch(id: $b) { version release { name served { by } } } }",
    "Event.batch": 'query { priceList(name: "shop") { events(first: 3) { nodes { batch { version } } } } }',
    "Snapshot.batch": 'query { snapshot(priceList: "shop") { batch { version } } }',
    "PriceList.heldByPin": 'query { priceList(name: "shop") { heldByPin { nodes { version } } } }',
    "PriceList.upcoming": 'query { priceList(name: "shop") { upcoming { nodes { version } } } }',
    "Batch.rebased": "query ($b: ID!) { batch(id: $b) { rebased { baseVersion } } }",
    "PriceList.exposures": 'query { priceList(name: "shop") { exposures(version: 3) { event { kind } } } }',
    "PriceList.pin": 'query { priceList(name: "shop") { pin { version } } }',
}
"""Queries of the internals of a list, which show versions in other ways."""

OTHERWISE = {
    # Always the current version, or events that made a version current.
    "PriceList.current",
    "Subscription.published",
    "Subscription.publications",
    # Tried in tests of their own.
    "PriceList.snapshots",
    "Subscription.batchProgress",
    # Of mutations, which need a scope for working on the list.
    "BatchPayload.batch",
    "GrantPreviewPayload.batch",
    "ReleasePayload.release",
    "BatchPayload.snapshot",
    "RetainPayload.retirements",
    "RetainPayload.kept",
}

VERSIONED = {
    "Node",
    "Snapshot",
    "SnapshotConnection",
    "PriceDiffConnection",
    "PriceVersion",
    "PricePeriod",
    "LowestPrice",
    "Exposure",
    "Publication",
    "Batch",
    "BatchConnection",
    "RebasedBatch",
    "EventConnection",
    "Pin",
    "Retirement",
    "KeptVersion",
    "Release",
    "ReleaseConnection",
    "ReleaseItem",
}
"""Types that show versions."""

OUTSIDERS: Mapping[str, Sequence[str] | None] = {
    "anonymous": None,
    "reader": ["prices:read"],
    "reader of the list": ["prices:read:shop"],
    "writer of another list": ["prices:read", "batches:write:other"],
    "operator of another list": ["prices:read", "snapshots:operate:other*"],
    "admin of another list": ["prices:read:sh*", "admin:other"],
}
WORKERS: Mapping[str, Sequence[str]] = {
    "writer": ["batches:write:shop"],
    "operator": ["snapshots:operate:sh*"],
    "admin": ["admin"],
}


class Service:
    """An application whose anonymous callers may read all lists, with the list `shop`."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime
        self.held = ""
        """The batch of the held version."""
        self.release = ""
        """The release that the batch waits in."""
        self.order = ""
        """A cursor of the prices of the current version by amount."""
        self._keys: dict[str, str] = {}

    async def credentials(self, grants: Sequence[str] | None) -> dict[str, str]:
        """Return the headers of a caller with these grants; none for an anonymous one."""
        if grants is None:
            return {}
        name = " ".join(grants)
        if name not in self._keys:
            _, self._keys[name] = await self.runtime.store.api_keys.create("ada", grants, "ops")
        return {"authorization": f"Bearer {self._keys[name]}"}

    @asynccontextmanager
    async def client(self, grants: Sequence[str] | None = ("admin",)) -> AsyncIterator[Client]:
        headers = await self.credentials(grants)
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as http:
            yield Client(http)

    async def send(
        self,
        grants: Sequence[str] | None,
        document: str,
        variables: Mapping[str, Any],
        method: str = "POST",
        **headers: str,
    ) -> httpx.Response:
        """Send a document; of the variables, those that it declares."""
        declared = {name: value for name, value in variables.items() if f"${name}:" in document}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client(grants) as client:
            if method == "POST":
                body = {"query": document, "variables": declared}
                return await client.http.post("/graphql", json=body, headers=named)
            params = {"query": document, "variables": json.dumps(declared)}
            return await client.http.get("/graphql", params=params, headers=named)


async def hold(client: Client, price_list: str, amount: str, release: str | None = None) -> tuple[str, int]:
    """Send a batch that waits for a review, in a release or on its own. Return its id and its version."""
    payload = await client.submit(price_list, [row("a", amount), row("b")], publish="ON_APPROVAL", release=release)
    return payload["batch"]["id"], payload["batch"]["version"]


@pytest.fixture
async def service(mongodb_uri: str, databases: Databases) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        name = await stack.enter_async_context(databases.empty())
        app = create_app(Settings(mongodb_uri=mongodb_uri, mongodb_database=name, anonymous="prices:read", max_rate=0))
        state = await stack.enter_async_context(app.router.lifespan_context(app))
        assert state is not None
        service = Service(with_state(app, state), state["runtime"])
        async with service.client() as admin:
            await admin.create("other", "shop")
            assert await admin.publish("shop", [row("a", "1.00")]) == 1
            created = await admin.data(CREATE_RELEASE, i={"name": "spring", "idempotencyKey": "k"})
            service.release = created["createRelease"]["release"]["id"]
            service.held, held = await hold(admin, "shop", "2.00", service.release)
            assert await admin.publish("shop", [row("a", "3.00"), row("c")]) == 3
            rejected, withdrawn = await hold(admin, "shop", "4.00")
            await admin.data(REJECT, i={"batch": rejected, "reason": "wrong"})
            assert (held, withdrawn) == (HELD, WITHDRAWN)
            service.order = (await admin.data(ORDER))["snapshot"]["prices"]["pageInfo"]["endCursor"]
        service.runtime.responses._entries.clear()
        yield service


def variables(version: int, order: str) -> dict[str, Any]:
    """Return the variables by which a version can be reached; `order` is a cursor of prices by amount."""
    cursor = cursors.decode_price(order, "after")
    assert cursor is not None
    return {
        "v": version,
        "c": cursors.encode(cursors.PriceCursor(version, "a")),
        "o": cursors.encode(replace(cursor, version=version)),
        "d": cursors.encode(cursors.DiffCursor(version, 1, "")),
        "n": cursors.encode(cursors.NameCursor("other")),
        "i": snapshot_id("shop", version),
        "p": price_id("shop", version, "a"),
    }


def codes(response: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json().get("errors", [])]


def observed(response: httpx.Response) -> tuple[int, dict[str, str], str]:
    """Return everything that a caller observes of a response, but for the number of the version that it asked for."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    return response.status_code, headers, re.sub(r"has no version \d\b", "has no version N", response.text)


# ---------------------------------------------------------------- every way to a version


def test_every_field_that_shows_versions_is_tried() -> None:
    connections = re.compile(r"\w+(Connection|Edge)")
    showing = {
        f"{type_.name}.{name}"
        for type_ in SCHEMA.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not connections.fullmatch(type_.name)
        for name, field in type_.fields.items()
        if get_named_type(field.type).name in VERSIONED
    }
    tried = {field for each in WAYS.values() for field in each.fields}
    assert showing == tried | INTERNAL.keys() | OTHERWISE


@pytest.mark.parametrize("caller", OUTSIDERS)
async def test_for_others_an_unpublished_version_is_like_one_that_does_not_exist(service: Service, caller: str) -> None:
    grants = OUTSIDERS[caller]
    for name, (_, document) in WAYS.items():
        for method, media_type in (("POST", JSON), ("POST", GRAPHQL_RESPONSE), ("GET", GRAPHQL_RESPONSE)):
            held, withdrawn, missing = [
                await service.send(grants, document, variables(version, service.order), method, accept=media_type)
                for version in (HELD, WITHDRAWN, MISSING)
            ]
            assert "SNAPSHOT_NOT_FOUND" in codes(missing) or missing.json()["data"] == {"node": None}, name
            assert observed(held) == observed(withdrawn) == observed(missing), name
            assert missing.headers["cache-control"] == "no-store"
    assert len(service.runtime.responses) == 0


@pytest.mark.parametrize("caller", WORKERS)
async def test_those_who_work_on_the_list_read_it_and_no_cache_keeps_it(service: Service, caller: str) -> None:
    grants = WORKERS[caller]
    for name, (_, document) in WAYS.items():
        for method in ("POST", "GET"):
            for condition in ("*", computed_etags(grants, document, variables(HELD, service.order))):
                response = await service.send(
                    grants, document, variables(HELD, service.order), method, if_none_match=condition
                )
                assert (response.status_code, codes(response)) == (200, []), name
                assert response.headers["cache-control"] == PRIVATE, name
                assert "etag" not in response.headers
        withdrawn = await service.send(grants, document, variables(WITHDRAWN, service.order))
        assert "SNAPSHOT_EXPIRED" in codes(withdrawn), name
        assert withdrawn.headers["cache-control"] == PRIVATE
    assert (len(service.runtime.responses), service.runtime.responses.hits) == (0, 0)


def computed_etags(grants: Sequence[str], document: str, values: Mapping[str, Any]) -> str:
    """Return all ETags that a client could compute for a response, as if it was cached."""
    digest = Documents(SCHEMA).get(document).digest
    declared = {name: value for name, value in values.items() if f"${name}:" in document}
    tags = [
        ETAGS.etag(view, media_type, digest, None, declared, versions)
        for view in (ANONYMOUS, Caller("ada", Grants.parse(grants)).view)
        for media_type in (JSON, GRAPHQL_RESPONSE)
        for versions in ({}, {"shop": 3})
    ]
    return ", ".join(tag.decode() for tag in tags)


async def test_a_list_of_versions_has_them_only_for_those_who_work_on_it(service: Service) -> None:
    for caller, grants in {**OUTSIDERS, **WORKERS}.items():
        is_worker = caller in WORKERS
        for first, after, seen in ((None, None, [3, HELD, 1]), (1, 3, [HELD, 1]), (1, HELD, [1]), (1, 1, [])):
            visible = seen if is_worker else [version for version in seen if version != HELD]
            cursor = after and cursors.encode(cursors.NumberCursor(after))
            response = await service.send(grants, LISTED, {"first": first, "after": cursor})
            assert response.json()["data"]["priceList"]["snapshots"] == {
                "totalCount": 3 if is_worker else 2,
                "nodes": [{"version": version} for version in visible[:first]],
                "edges": [{"node": {"size": 1 if version == 1 else 2}} for version in visible[:first]],
                "pageInfo": {"hasNextPage": bool(first and len(visible) > first)},
            }
            assert response.headers["cache-control"] == (PRIVATE if is_worker else "no-store")


async def test_the_internals_of_a_list_are_shown_to_none_but_those_and_no_cache_keeps_them(service: Service) -> None:
    unknown = "0" * len(service.held)
    for field, document in INTERNAL.items():
        for grants in WORKERS.values():
            response = await service.send(grants, document, {"b": service.held, "r": service.release})
            assert (codes(response), response.headers["cache-control"]) == ([], PRIVATE), field
        for caller, outside in OUTSIDERS.items():
            held = await service.send(outside, document, {"b": service.held, "r": service.release})
            missing = await service.send(outside, document, {"b": unknown, "r": unknown})
            assert observed(held) == observed(missing), (field, caller)
            assert str(HELD) not in re.sub(r'"(locations|path)":[^]]+]', "", held.text), (field, caller)


async def test_histories_and_current_versions_skip_it_for_everyone(service: Service) -> None:
    document = """query ($v: Int) { snapshot(priceList: "shop", version: $v) {
      version price(sku: "a") { amount history { version } } } }"""
    for grants in (None, *WORKERS.values()):
        for values in ({}, {"v": 3}):
            snapshot = (await service.send(grants, document, values)).json()["data"]["snapshot"]
            assert snapshot == {
                "version": 3,
                "price": {"amount": "3.00", "history": [{"version": 3}, {"version": 1}]},
            }


async def test_a_minimum_version_is_not_reached_by_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.pointer_cache.MIN_VERSION_TIMEOUT_SECONDS", 0.01)
    document = '{ snapshot(priceList: "shop") { version } }'
    allotted, missing = [
        await service.send(None, document, {}, pricebook_min_version=str(version)) for version in (WITHDRAWN, MISSING)
    ]
    assert codes(missing) == ["VERSION_NOT_REACHED"]
    assert allotted.text.replace(f"Version {WITHDRAWN}", "") == missing.text.replace(f"Version {MISSING}", "")


# ---------------------------------------------------------------- caches


async def test_callers_who_read_the_same_lists_do_not_share_it_through_the_cache(service: Service) -> None:
    reader, writer = ["prices:read:shop"], ["batches:write:shop"]
    for grants in (writer, reader, writer, None):
        response = await service.send(grants, NUMBERED, {"v": HELD})
        assert codes(response) == ([] if grants is writer else ["SNAPSHOT_NOT_FOUND"])
    assert Caller("ada", Grants.parse(reader)).view != Caller("ada", Grants.parse(writer)).view
    for grants in (writer, reader):
        first, again = [await service.send(grants, NUMBERED, {"v": 3}) for _ in range(2)]
        assert (first.text, first.headers["etag"]) == (again.text, again.headers["etag"])
    assert (len(service.runtime.responses), service.runtime.responses.hits) == (2, 2)


async def test_a_published_version_is_kept_by_caches_as_ever(service: Service) -> None:
    async with service.client() as admin:
        await admin.data(REJECT, i={"batch": service.held, "reason": "wrong"})
        batch, version = await hold(admin, "shop", "5.00")
        document, values = NUMBERED, {"v": version}
        before = await service.send(["batches:write"], document, values)
        assert before.headers["cache-control"] == PRIVATE
        assert codes(await service.send(None, document, values)) == ["SNAPSHOT_NOT_FOUND"]
        review = {"query": REVIEW, "variables": {"i": {"batch": batch, "reason": "right"}}}
        approved = (await admin.http.post("/graphql", json=review)).json()["data"]["approveBatch"]
        assert approved["batch"] == {"state": "PUBLISHED", "version": version}
    for grants, visibility in ((None, "public"), (["prices:read"], "private"), (["batches:write"], "private")):
        published = await service.send(grants, document, values)
        assert published.text == before.text
        assert published.headers["cache-control"] == f"{visibility}, {IMMUTABLE}"
        again = await service.send(grants, document, values, if_none_match=published.headers["etag"])
        assert again.status_code == 304
    assert (len(service.runtime.responses), service.runtime.responses.hits) == (3, 3)


async def test_a_rejected_version_is_left_in_no_cache(service: Service) -> None:
    worker = ["batches:write:shop", "snapshots:operate:shop"]
    for _, document in WAYS.values():
        await service.send(worker, document, variables(HELD, service.order))
    rejected = await service.send(worker, REJECT, {"i": {"batch": service.held, "reason": "wrong"}})
    assert rejected.headers["cache-control"] == PRIVATE
    for _, document in WAYS.values():
        held = await service.send(worker, document, variables(HELD, service.order))
        assert "SNAPSHOT_EXPIRED" in codes(held)
        assert held.headers["cache-control"] == PRIVATE
    assert len(service.runtime.responses) == 0


async def test_a_partial_response_with_errors_is_private(service: Service) -> None:
    document = """query ($v: Int!) { that: snapshot(priceList: "shop", version: $v) { size }
      none: snapshot(priceList: "shop", version: 7) { size } }"""
    response = await service.send(["batches:write"], document, {"v": HELD})
    assert response.json()["data"] == {"that": {"size": 2}, "none": None}
    assert response.headers["cache-control"] == PRIVATE


async def test_the_payload_of_a_held_batch_shows_its_version_privately(service: Service) -> None:
    order = {
        "priceList": "shop",
        "mode": "REPLACE",
        "idempotencyKey": "k",
        "prices": [row("a")],
        "publish": "ON_APPROVAL",
    }
    for _ in ("sent", "repeated"):
        response = await service.send(["batches:write:shop"], PUBLISH, {"input": order})
        payload = response.json()["data"]["publishBatch"]
        assert (payload["batch"]["state"], payload["snapshot"]) == ("HELD", {"version": 5, "size": 1})
        assert response.headers["cache-control"] == PRIVATE


async def test_a_dry_run_allots_no_version(service: Service) -> None:
    async with service.client(["batches:write:shop"]) as writer:
        payload = await writer.submit("shop", [row("a")], publish="DRY_RUN")
        assert (payload["batch"]["state"], payload["batch"]["version"]) == ("ABORTED", None)
        assert await writer.publish("shop", [row("a")]) == 5


# ---------------------------------------------------------------- event streams and WebSockets


def key_of(credentials: Mapping[str, str]) -> str | None:
    return credentials["authorization"].removeprefix("Bearer ") if credentials else None


@pytest.mark.parametrize("transport", ["events", "websocket"])
@pytest.mark.parametrize("caller", [*OUTSIDERS, *WORKERS])
async def test_it_exists_for_the_same_callers_by_each_transport(service: Service, caller: str, transport: str) -> None:
    grants = {**OUTSIDERS, **WORKERS}[caller]
    key = key_of(await service.credentials(grants))
    for name, (_, document) in WAYS.items():
        for version in (HELD, MISSING):
            values = variables(version, service.order)
            body = (await service.send(grants, document, values)).json()
            answered = await answer(service.app, transport, {"query": document, "variables": values}, key)
            errors = body.get("errors", [])
            assert answered.data == body.get("data"), name
            assert answered.codes == [error["extensions"]["code"] for error in errors], name
            assert answered.messages == [error["message"] for error in errors], name


async def test_subscriptions_show_it_only_to_those_who_work_on_the_list(service: Service) -> None:
    published = 'subscription { published(priceList: "shop") { version previousVersion } }'
    progress = "subscription ($b: ID!) { batchProgress(id: $b) { version state } }"
    async with (
        connection(service.app) as reader,
        connection(service.app) as writer,
        service.client() as admin,
    ):
        await reader.init(key_of(await service.credentials(["prices:read"])))
        await writer.init(key_of(await service.credentials(["batches:write:shop"])))
        reader.send(id="1", type="subscribe", payload={"query": published})
        assert (await reader.receive())["payload"]["data"]["published"] == {"version": 3, "previousVersion": 1}
        writer.send(id="1", type="subscribe", payload={"query": progress, "variables": {"b": service.held}})
        assert (await writer.receive())["payload"]["data"]["batchProgress"] == {"version": HELD, "state": "HELD"}
        await hold(admin, "shop", "6.00")
        assert await admin.publish("shop", [row("a", "7.00")]) == 6
        assert (await reader.receive())["payload"]["data"]["published"] == {"version": 6, "previousVersion": 3}
        refused = [
            (await reader.execute({"query": progress, "variables": {"b": batch}}, id_="2"))[0]
            for batch in (service.held, "0" * len(service.held))
        ]
        assert refused[0] == refused[1]
        assert refused[0]["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
