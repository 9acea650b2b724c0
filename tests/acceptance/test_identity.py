"""Authentication and authorization by a real server: API keys, WebSockets, event streams."""

import asyncio
import itertools
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.acceptance.command import ROOT
from tests.acceptance.test_two_servers import server
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys
from tests.graph.transports import parse_events
from tests.waiting import DEADLINE_SECONDS, until

SIGNER = Signer("one")
PUBLISHED = 'subscription { published(priceList: "shop") { version } }'
READ = '{ snapshot(priceList: "shop") { version } }'
PUBLISH = """mutation { publishBatch(input: {
  priceList: "shop", mode: REPLACE, idempotencyKey: "1", prices: [{sku: "A", amount: "1", currency: "EUR"}]
}) { batch { state } } }"""
CREATE = 'mutation { createPriceList(input: {name: "shop"}) { userErrors { code } } }'

Keys = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def database(mongodb_uri: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    yield name
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(name)


@pytest.fixture(scope="module")
def url(mongodb_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that requires tokens."""
    folder = tmp_path_factory.mktemp("identity")
    environ = {
        "PRICEBOOK_ANONYMOUS": "",
        "PRICEBOOK_JWT_KEYS": str(write_keys(folder / "keys.json", SIGNER)),
        "PRICEBOOK_JWT_ISSUER": ISSUER,
        "PRICEBOOK_JWT_AUDIENCE": AUDIENCE,
        "PRICEBOOK_MAX_SUBSCRIPTIONS": "2",
        "PRICEBOOK_MAX_RATE": "50",
    }
    with server(mongodb_uri, database, folder / "server.log", **environ) as url:
        yield url


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server, which is ready and has a list with a version."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:

        async def is_ready() -> bool:
            try:
                return (await http.get("/readyz")).is_success
            except httpx.TransportError:
                return False

        await until(is_ready, "ready")
        for document in (CREATE, PUBLISH):
            assert (await post(http, document, SIGNER.token("admin"))).status_code == 200
        yield http


async def post(http: httpx.AsyncClient, document: str, token: str | None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await http.post("/graphql", json={"query": document}, headers=headers)


@pytest.fixture
def keys(mongodb_uri: str, database: str) -> Keys:
    """Runs `pricebook keys`."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli", "keys", *arguments],
            cwd=ROOT,
            env={"PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": database},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


async def test_an_api_key_grants_its_scopes_until_it_is_revoked(http: httpx.AsyncClient, keys: Keys) -> None:
    created = await asyncio.to_thread(keys, "create", "till-3", "--scope", "prices:read:shop", "--days", "30")
    assert created.returncode == 0, created.stderr
    key = created.stdout.strip()
    assert (await post(http, READ, key)).json()["data"]["snapshot"]["version"] == 1
    assert (await post(http, PUBLISH, key)).json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    listed = json.loads((await asyncio.to_thread(keys, "list", "--json")).stdout)
    assert [(each["name"], each["scopes"], each["revokedAt"]) for each in listed] == [
        ("till-3", ["prices:read:shop"], None)
    ]
    assert key.split("_", 2)[2] not in repr(listed)
    assert (await asyncio.to_thread(keys, "revoke", listed[0]["id"])).returncode == 0

    async def is_refused() -> bool:
        return (await post(http, READ, key)).status_code == 401

    await until(is_refused, "refused")
    again = await asyncio.to_thread(keys, "revoke", listed[0]["id"])
    assert (again.returncode, "API_KEY_NOT_FOUND" in again.stderr) == (1, True)


async def test_the_command_line_explains_how_to_set_credentials(http: httpx.AsyncClient) -> None:
    def run(**environ: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "cli", "lists", "--endpoint", f"{http.base_url}/graphql"]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    refused = await asyncio.to_thread(run)
    assert (refused.returncode, "PRICEBOOK_TOKEN" in refused.stderr) == (1, True)
    allowed = await asyncio.to_thread(run, PRICEBOOK_TOKEN=SIGNER.token("snapshots:operate"))
    assert (allowed.returncode, "shop" in allowed.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "x", "--scope", "prices:steal"], "is not a grant"),
        (["create", "x"], "Missing option '--scope'"),
        (["create", "anonymous", "--scope", "admin"], "cannot name a caller"),
    ],
)
def test_an_invalid_key_is_refused_with_a_message(keys: Keys, arguments: list[str], message: str) -> None:
    result = keys(*arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


async def test_a_refusal_reaches_a_client_that_is_still_sending(http: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    head = b"POST /graphql HTTP/1.1\r\nhost: p\r\nauthorization: x\r\ncontent-length: 100000\r\n\r\n"
    writer.write(head)
    await writer.drain()
    for _ in range(100):
        await asyncio.sleep(0.001)
        writer.write(b"x" * 1000)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"UNAUTHENTICATED" in answer


def websocket(http: httpx.AsyncClient, origin: str | None = None, token: str | None = None) -> connect:
    url = f"{http.base_url}/graphql".replace("http", "ws", 1)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return connect(
        url,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        origin=Origin(origin) if origin else None,
        additional_headers=headers,
    )


async def begin(ws: ClientConnection, token: str | None) -> dict[str, Any]:
    payload = {"Authorization": f"Bearer {token}"} if token else None
    await ws.send(
        json.dumps({"type": "connection_init", "payload": payload} if payload else {"type": "connection_init"})
    )
    answer: dict[str, Any] = json.loads(await ws.recv())
    return answer


async def follow(ws: ClientConnection, operation: str, document: str = PUBLISHED) -> dict[str, Any]:
    await ws.send(json.dumps({"id": operation, "type": "subscribe", "payload": {"query": document}}))
    answer: dict[str, Any] = json.loads(await ws.recv())
    return answer


async def test_a_websocket_accepts_credentials_in_its_payload_or_headers(http: httpx.AsyncClient) -> None:
    token = SIGNER.token("prices:read:shop")
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http) as ws:
        assert (await begin(ws, token))["type"] == "connection_ack"
        assert (await follow(ws, "1"))["payload"]["data"]["published"]["version"] == 1
        other = await follow(ws, "2", PUBLISHED.replace("shop", "secret"))
        assert other["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http, token=token) as ws:
        assert (await begin(ws, None))["type"] == "connection_ack"


@pytest.mark.parametrize("token", [None, "nonsense", SIGNER.token("admin", exp=1)])
async def test_a_websocket_without_valid_credentials_is_closed(http: httpx.AsyncClient, token: str | None) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http) as ws:
        with pytest.raises(ConnectionClosed) as caught:
            await begin(ws, token)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4403


async def test_a_websocket_with_invalid_credentials_in_its_headers_is_rejected(http: httpx.AsyncClient) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with websocket(http, token="nonsense"):
            raise AssertionError
    assert caught.value.response.status_code in (401, 403)


async def test_a_websocket_from_another_origin_is_rejected(http: httpx.AsyncClient) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with websocket(http, origin="https://evil.example"):
            raise AssertionError
    assert caught.value.response.status_code == 403
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http, origin=str(http.base_url).rstrip("/")) as ws:
        assert (await begin(ws, SIGNER.token("prices:read")))["type"] == "connection_ack"


async def test_an_event_stream_requires_credentials(http: httpx.AsyncClient) -> None:
    answer = await http.post("/graphql", json={"query": PUBLISHED}, headers={"accept": "text/event-stream"})
    assert answer.status_code == 401


async def test_a_connection_is_closed_when_its_credentials_expire(http: httpx.AsyncClient) -> None:
    # Expired, but within the leeway for clock skew: valid for some more seconds.
    token = SIGNER.token("prices:read", exp=int(time.time()) - 24)
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http) as ws:
        assert (await begin(ws, token))["type"] == "connection_ack"
        assert (await follow(ws, "1"))["type"] == "next"
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


async def test_a_subscription_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    token = SIGNER.token("prices:read")
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http) as ws:
        await begin(ws, token)
        assert [(await follow(ws, str(number)))["type"] for number in range(2)] == ["next", "next"]
        refused = await follow(ws, "3")
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
        answer = await http.post("/graphql", json={"query": PUBLISHED}, headers=headers)
        assert answer.status_code == 429


async def test_the_operations_of_a_websocket_count_as_requests(http: httpx.AsyncClient) -> None:
    token = SIGNER.token("prices:read", sub="eager")
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http) as ws:
        await begin(ws, token)

        async def send_queries() -> None:
            for number in itertools.count():
                payload = {"query": "{ __typename }"}
                await ws.send(json.dumps({"id": str(number), "type": "subscribe", "payload": payload}))
                await asyncio.sleep(0)

        sender = asyncio.create_task(send_queries())
        codes = set()
        while "RATE_LIMITED" not in codes:
            answer = json.loads(await ws.recv())
            if answer["type"] == "error":
                codes.add(answer["payload"][0]["extensions"]["code"])
        sender.cancel()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{" + "a{" * 30 + "b" + "}" * 30 + "}", "QUERY_TOO_DEEP"),
        ("{" + " ".join(f"a{n}: __typename" for n in range(200)) + "}", "TOO_MANY_ALIASES"),
        (
            '{ snapshot(priceList: "shop") { prices(first: 1000) { nodes { history(first: 1000) { version } } } } }',
            "QUERY_TOO_COSTLY",
        ),
    ],
)
async def test_limits_apply_to_every_protocol(http: httpx.AsyncClient, document: str, code: str) -> None:
    token = SIGNER.token("admin")
    assert (await post(http, document, token)).json()["errors"][0]["extensions"]["code"] == code
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
    by_events = await http.post("/graphql", json={"query": document}, headers=headers)
    [result] = parse_events(by_events.text)
    assert result["errors"][0]["extensions"]["code"] == code
    async with asyncio.timeout(DEADLINE_SECONDS), websocket(http) as ws:
        await begin(ws, token)
        assert (await follow(ws, "1", document))["payload"][0]["extensions"]["code"] == code
