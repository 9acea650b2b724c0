"""WebSockets: the protocol, its limits, and credentials that are revoked while a connection is open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from graph.http import websocket
from graph.identity import authenticator, jwks
from storage.catalog.price_list_editor import PriceListEditor
from tests.graph.api import Api, open_settings, row, serving
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys
from tests.graph.sockets import Closed, Socket, connection

PUBLISHED = 'subscription { published(priceList: "shop") { version } }'
UPDATE = 'mutation { updatePriceList(input: {name: "shop", description: "x"}) { priceList { description } } }'
TYPENAME = {"query": "{ __typename }"}


@pytest.fixture
async def shop(api: Api) -> Api:
    """An application with the list `shop`, which has a price."""
    await api.create("shop")
    await api.publish("shop", [row("a")])
    return api


@pytest.fixture
async def limited(mongodb_uri: str) -> AsyncIterator[Api]:
    """An application that allows each caller two requests per second."""
    async with serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database="limited", max_rate=2)) as api:
        yield api


MALFORMED = [
    "[]",
    "5",
    "null",
    '"x"',
    "{",
    "",
    "{}",
    "[" * 100_000,
    '{"type": []}',
    '{"type": "nope"}',
    '{"type": "%s"}' % ("\N{GRINNING FACE}" * 60),
    '{"type": "complete"}',
    '{"type": "complete", "id": "%s"}' % ("x" * 129),
    '{"type": "connection_init", "payload": []}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": {}, "payload": []}',
    '{"type": "subscribe", "id": "1", "payload": {]}',
]


@pytest.mark.parametrize("is_initialized", [False, True])
async def test_a_malformed_message_closes_the_connection(api: Api, is_initialized: bool) -> None:
    for text in MALFORMED:
        async with connection(api.app) as socket:
            if is_initialized:
                await socket.init()
            socket.send_text(text)
            assert await socket.closed() == 4400, text[:100]


async def test_a_binary_message_closes_the_connection(api: Api) -> None:
    async with connection(api.app) as socket:
        socket.to_server.put_nowait({"type": "websocket.receive", "bytes": b"{}"})
        assert await socket.closed() == 4400


async def test_a_client_must_initialize_the_connection_first(api: Api) -> None:
    async with connection(api.app) as socket:
        socket.send(id="1", type="subscribe", payload=TYPENAME)
        assert await socket.closed() == 4401


async def test_a_client_must_initialize_the_connection_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_TIMEOUT_SECONDS", 0.01)
    async with connection(api.app) as socket:
        assert await socket.closed() == 4408
    async with connection(api.app) as socket:
        await socket.init()
        assert await socket.execute(TYPENAME)


async def test_a_client_initializes_the_connection_once(api: Api) -> None:
    async with connection(api.app) as socket:
        await socket.init()
        socket.send(type="connection_init")
        assert await socket.closed() == 4429


async def test_another_subprotocol_is_refused(api: Api) -> None:
    async with connection(api.app, subprotocols=["graphql-ws"]) as socket:
        assert await socket.closed() == 4406


async def test_a_ping_is_answered(api: Api) -> None:
    async with connection(api.app) as socket:
        for payload in (None, {}, {"at": 1}):
            socket.send(type="ping", payload=payload)
            assert await socket.receive() == {"type": "pong"}
        socket.send(type="pong")
        await socket.init()


async def test_an_id_can_be_used_again_when_its_operation_is_complete(api: Api) -> None:
    async with connection(api.app) as socket:
        await socket.init()
        for _ in range(2):
            result, complete = await socket.execute(TYPENAME)
            assert result == {"type": "next", "id": "1", "payload": {"data": {"__typename": "Query"}}}
            assert complete == {"type": "complete", "id": "1"}


async def test_an_id_in_use_closes_the_connection(shop: Api) -> None:
    async with connection(shop.app) as socket:
        await socket.init()
        for _ in range(2):
            socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        assert await socket.closed() == 4409


async def test_a_client_ends_a_subscription(shop: Api) -> None:
    async with connection(shop.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        assert (await socket.receive())["payload"] == {"data": {"published": {"version": 1}}}
        socket.send(id="1", type="complete")
        socket.send(id="nope", type="complete")
        await shop.publish("shop", [row("b")])
        assert (await socket.execute(TYPENAME, id_="2"))[-1] == {"type": "complete", "id": "2"}
    assert not shop.runtime.requests.in_flight


async def test_each_event_of_a_subscription_is_a_message(shop: Api) -> None:
    async with connection(shop.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        for version in (1, 2, 3):
            assert (await socket.receive())["payload"]["data"] == {"published": {"version": version}}
            await shop.publish("shop", [row("a", f"{version}.50")])


async def test_a_subscription_that_fails_reports_its_error_with_its_path(api: Api) -> None:
    async with connection(api.app) as socket:
        await socket.init()
        result, complete = await socket.execute({"query": "subscription { p: published(priceList: 1) { version } }"})
        [error] = result["payload"]["errors"]
        assert (error["extensions"]["code"], error["path"]) == ("PRICE_LIST_NOT_FOUND", ["p"])
        assert complete["type"] == "complete"


async def test_draining_closes_the_connection_without_completing_its_subscriptions(shop: Api) -> None:
    async with connection(shop.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        assert (await socket.receive())["type"] == "next"
        shop.runtime.drain.begin()
        assert (await socket.execute(TYPENAME, id_="2"))[0]["type"] == "next"
        shop.runtime.drain.end_subscriptions()
        with pytest.raises(Closed) as closed:
            await socket.receive()
        assert closed.value.code == 1012
    async with connection(shop.app) as late:
        assert await late.closed() == 1012


async def test_draining_waits_for_a_mutation_and_starts_no_other_operation(
    shop: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_updating, may_update, update = asyncio.Event(), asyncio.Event(), PriceListEditor.update

    async def update_later(*given: Any, **named: Any) -> Any:
        is_updating.set()
        await may_update.wait()
        return await update(*given, **named)

    monkeypatch.setattr(PriceListEditor, "update", update_later)
    async with connection(shop.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": UPDATE})
        await is_updating.wait()
        shop.runtime.drain.end_subscriptions()
        socket.send(id="2", type="subscribe", payload=TYPENAME)
        socket.send(id="3", type="subscribe", payload={"query": PUBLISHED})
        socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        may_update.set()
        assert (await socket.receive())["payload"] == {"data": {"updatePriceList": {"priceList": {"description": "x"}}}}
        assert await socket.receive() == {"id": "1", "type": "complete"}
        with pytest.raises(Closed) as closed:
            await socket.receive()
        assert closed.value.code == 1012


async def test_pages_of_other_origins_cannot_connect(mongodb_uri: str) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database="origins", cors_origins="https://shop.example")
    async with serving(settings) as api:
        for origin in ("http://localhost", "https://shop.example"):
            async with connection(api.app, origin=origin) as socket:
                await socket.init()
        for origin in ("https://evil.example", "null", "http://localhost:81"):
            async with connection(api.app, origin=origin) as socket:
                assert await socket.closed() == 403


# ---------------------------------------------------------------- limits


async def test_the_connections_without_credentials_are_limited_by_address(
    api: Api,
) -> None:
    def connect(address: str) -> AbstractAsyncContextManager[Socket]:
        return connection(api.app, **{"x-forwarded-for": address})

    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(connect("192.0.2.1")) for _ in range(websocket.MAX_PENDING_PER_CALLER)
        ]
        async with connect("192.0.2.1") as socket:
            assert await socket.closed() == 429
        async with connect("192.0.2.2") as socket:
            await socket.init()
        await sockets[0].init()
        async with connect("192.0.2.1") as socket:
            await socket.init()


async def test_the_connections_of_a_caller_are_limited(api: Api) -> None:
    _, key = await api.runtime.store.api_keys.create("till-3", ["prices:read"], "ops")
    async with AsyncExitStack() as stack:
        for _ in range(websocket.MAX_CONNECTIONS_PER_CALLER):
            await (await stack.enter_async_context(connection(api.app))).init(key)
        async with connection(api.app) as socket:
            with pytest.raises(Closed) as closed:
                await socket.init(key)
            assert closed.value.code == 1013
        async with connection(api.app) as socket:
            await socket.init()


async def test_every_message_counts_against_the_rate(limited: Api) -> None:
    async with connection(limited.app) as socket:
        for _ in range(10):
            socket.send(type="ping")
        assert await socket.closed() == 1013


async def test_an_operation_over_the_rate_is_refused(limited: Api) -> None:
    async with connection(limited.app) as socket:
        await socket.init()
        answers = [(await socket.execute(TYPENAME, id_=str(number)))[0] for number in range(4)]
        assert answers[0]["type"] == "next"
        assert answers[-1]["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_the_operations_of_a_connection_are_limited(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_OPERATIONS", 3)
    async with connection(shop.app) as socket:
        await socket.init()
        for number in range(3):
            socket.send(id=str(number), type="subscribe", payload={"query": PUBLISHED})
            assert (await socket.receive())["type"] == "next"
        [refused] = await socket.execute(TYPENAME, id_="q")
        assert refused["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        socket.send(id="0", type="complete")
        while (answer := (await socket.execute(TYPENAME, id_="q"))[0])["type"] == "error":
            pass
        assert answer["payload"] == {"data": {"__typename": "Query"}}


async def test_queries_need_no_slot_of_subscriptions(mongodb_uri: str) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database="no_slots", max_subscriptions=0)
    async with serving(settings) as api, connection(api.app) as socket:
        await socket.init()
        assert (await socket.execute(TYPENAME))[0]["type"] == "next"
        [refused] = await socket.execute({"query": PUBLISHED}, id_="2")
        assert refused["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"


# ---------------------------------------------------------------- credentials


async def test_invalid_credentials_close_the_connection(api: Api) -> None:
    async with connection(api.app) as socket:
        socket.send(type="connection_init", payload={"Authorization": "Bearer nope"})
        assert await socket.closed() == 4403


async def test_a_caller_without_scopes_cannot_connect(mongodb_uri: str) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database="closed", anonymous="")
    async with serving(settings) as api, connection(api.app) as socket:
        socket.send(type="connection_init")
        assert await socket.closed() == 4403


@pytest.fixture
def _no_caller_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "API_KEY_CACHE_SECONDS", 0.0)


@pytest.mark.usefixtures("_no_caller_cache")
async def test_a_revoked_key_cannot_start_an_operation(shop: Api) -> None:
    made, key = await shop.runtime.store.api_keys.create("till-3", ["admin"], "ops")
    async with connection(shop.app) as socket:
        await socket.init(key)
        await shop.runtime.store.api_keys.revoke(made.id)
        socket.send(id="1", type="subscribe", payload={"query": UPDATE})
        with pytest.raises(Closed) as closed:
            await socket.receive()
        assert closed.value.code == 4403
    assert (await shop.data('{ priceList(name: "shop") { description } }'))["priceList"]["description"] is None


@pytest.mark.usefixtures("_no_caller_cache")
async def test_a_revoked_key_gets_no_more_events(shop: Api) -> None:
    made, key = await shop.runtime.store.api_keys.create("till-3", ["prices:read"], "ops")
    async with connection(shop.app) as socket:
        await socket.init(key)
        socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        assert (await socket.receive())["type"] == "next"
        await shop.runtime.store.api_keys.revoke(made.id)
        await shop.publish("shop", [row("b")])
        with pytest.raises(Closed) as closed:
            await socket.receive()
        assert closed.value.code == 4403


@pytest.mark.usefixtures("_no_caller_cache")
async def test_a_revoked_key_closes_a_silent_connection(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "RECHECK_INTERVAL_SECONDS", 0.05)
    made, key = await shop.runtime.store.api_keys.create("till-3", ["prices:read"], "ops")
    async with connection(shop.app) as socket:
        await socket.init(key)
        await shop.runtime.store.api_keys.revoke(made.id)
        assert await socket.closed() == 4403


async def test_a_token_whose_key_left_the_key_set_closes_the_connection(
    mongodb_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "RECHECK_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(authenticator, "TOKEN_CACHE_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MAX_AGE_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MIN_REFRESH_INTERVAL_SECONDS", 0.0)
    signer, keys = Signer("one"), tmp_path / "keys.json"
    write_keys(keys, signer)
    settings = open_settings(
        mongodb_uri=mongodb_uri,
        mongodb_database="key_set",
        jwt_keys=str(keys),
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )
    async with serving(settings) as api, connection(api.app) as socket:
        await socket.init(signer.token("prices:read"))
        assert await socket.execute(TYPENAME)
        write_keys(keys, Signer("two"))
        assert await socket.closed() == 4403
