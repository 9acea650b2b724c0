"""A flood of connections and bodies, most without credentials: a reader does not notice it."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys
from tests.stack.connections import Connection, Response
from tests.stack.flood import Flood, run_flood
from tests.stack.requests import sending
from tests.stack.responsiveness import observing, percentile
from tests.stack.servers import Server, servers
from tests.waiting import until

MAX_GROWTH_BYTES = 100 << 20
MAX_LAG_SECONDS = 0.1

SIGNER = Signer("one")
CREATE = 'mutation { createPriceList(input: {name: "shop"}) { userErrors { code } } }'
PUBLISH = """mutation ($prices: [PriceInput!]!) { publishBatch(input: {
  priceList: "shop", mode: REPLACE, idempotencyKey: "1", prices: $prices
}) { batch { state } userErrors { code } } }"""
READ = '{ snapshot(priceList: "shop") { version price(sku: "sku-00001") { amount } } }'
PAGE = """query ($n: Int) { snapshot(priceList: "shop") { prices(first: $n) { nodes {
  sku amount currency validFrom validUntil attributes tiers { minQuantity amount }
} } } }"""
SKUS = [f"sku-{number:05}" for number in range(100)]

LONG = Flood(
    half_open=200,
    silent_sockets=200,
    fragments=100,
    frames=4,
    header_megabytes=40,
    slow_bodies=100,
    unfinished_bodies=20,
    slow_readers=100,
)
SHORT = Flood(
    half_open=100,
    silent_sockets=100,
    fragments=30,
    frames=1,
    header_megabytes=10,
    slow_bodies=50,
    unfinished_bodies=5,
    slow_readers=40,
)


def token(*scopes: str, name: str) -> str:
    return SIGNER.token(*scopes, sub=name, exp=int(time.time()) + 3600)


@pytest.fixture
def server(mongodb_uri: str, tmp_path: Path) -> Iterator[Server]:
    """A server with the default limits."""
    database = f"test_{secrets.token_hex(6)}"
    environ = {
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_JWT_KEYS": str(write_keys(tmp_path / "keys.json", SIGNER)),
        "PRICEBOOK_JWT_ISSUER": ISSUER,
        "PRICEBOOK_JWT_AUDIENCE": AUDIENCE,
        "PRICEBOOK_RESPONSE_CACHE_BYTES": "8MiB",
    }
    with servers(tmp_path / "servers", 1, environ) as [server]:
        yield server
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)


async def publish(server: Server) -> None:
    """Create the list that readers and attackers read."""
    authorization = f"Bearer {token('admin', name='admin')}"
    prices = [{"sku": sku, "amount": "1.00", "currency": "EUR", "attributes": {"text": "x" * 2000}} for sku in SKUS]
    async with Connection(server.url) as connection:
        for document, variables in ((CREATE, {}), (PUBLISH, {"prices": prices})):
            response = await connection.post({"query": document, "variables": variables}, authorization=authorization)
            assert '"userErrors":[]' in response.body.decode(), response.body


async def endure(server: Server, flood: Flood, seconds: float) -> Counter[str]:
    """Flood a server while clients read, check both, and return the counts of the flood."""
    await publish(server)
    authorization = f"Bearer {token('prices:read', name='reader')}"

    async def read(connection: Connection) -> Response:
        await asyncio.sleep(0.02)
        return await connection.post({"query": READ}, authorization=authorization)

    async def read_over_new_connection(connection: Connection) -> Response:
        connection.close()
        return await read(connection)

    attackers = Flood(**{**vars(flood), "token": token("prices:read", name="attacker"), "query": PAGE})
    async with (
        sending(server.url, 2, read) as kept,
        sending(server.url, 1, read_over_new_connection) as renewed,
    ):
        await until(lambda: kept.has(100), "warm")
        before, responses = server.resident_bytes, kept.responses + renewed.responses
        server.reset_peak()
        with observing(server) as seen:
            counts = await run_flood(server.url, seconds, attackers)
        responses = kept.responses + renewed.responses - responses
    growth, lag = server.peak_bytes - before, percentile(seen.lags, 99)
    figures = {
        "growth in MiB": growth >> 20,
        "99 % of lags in ms": round(lag * 1000),
        "longest lag in ms": round(max(seen.lags) * 1000),
        "99 % of delays in ms": round(percentile(seen.delays, 99) * 1000),
        "reads": responses,
        "read failures": len(kept.failures) + len(renewed.failures),
        "refused readers": kept.refused + renewed.refused,
        "health failures": len(seen.failures),
    }
    print(figures, dict(counts))  # noqa: T201 - shown by pytest -s and with a failure
    assert not [*kept.failures, *renewed.failures, *seen.failures], figures
    assert kept.refused + renewed.refused == 0
    assert responses > seconds
    assert growth < MAX_GROWTH_BYTES, figures
    assert lag < MAX_LAG_SECONDS, figures
    assert "Traceback" not in server.log.read_text()
    return counts


async def test_a_short_flood_takes_little_memory_and_no_query_fails(server: Server) -> None:
    await endure(server, SHORT, 6)


@pytest.mark.soak
async def test_a_flood_of_a_minute_takes_little_memory_and_every_attacker_is_cut_off(server: Server) -> None:
    counts = await endure(server, LONG, 60)
    attacks = {name: number for name, number in vars(LONG).items() if isinstance(number, int)}
    assert [name for name, number in attacks.items() if counts[f"{name} begun"] <= number] == [], counts
