"""Behind nginx as a caching server, readers see a scheduled version within a second of its publication."""

import asyncio
import datetime
import json
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymongo import AsyncMongoClient

from tests.acceptance.command import OPEN
from tests.stack.clients import running
from tests.stack.connections import Connection
from tests.stack.edge import edge
from tests.stack.servers import servers
from tests.waiting import until

MAX_AGE = 60
"""How long caches keep a response unless a change is scheduled, in seconds."""

LEAD_SECONDS = 12
"""How far ahead the batch is scheduled: less than `MAX_AGE`, so that unbounded responses would outlive the change."""

READERS = 4
QUERIES = [
    f'query Q{number} {{ snapshot(priceList: "shop") {{ version price(sku: "sku-{number}") {{ amount }} }} }}'
    for number in range(20)
]

CREATE = 'mutation { createPriceList(input: {name: "shop"}) { userErrors { code } } }'
PUBLISH = """mutation ($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { state version } userErrors { code message } } }"""
EVENTS = '{ events(priceList: "shop") { nodes { kind at toVersion } } }'


@dataclass
class Reads:
    """When each response arrived, by its version, in seconds since the epoch; and what nginx says about its cache."""

    at: dict[int, list[float]] = field(default_factory=lambda: {1: [], 2: []})
    cached: Counter[tuple[int, str]] = field(default_factory=Counter)
    ages: Counter[tuple[int, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    async def has(self, version: int, count: int) -> bool:
        return len(self.at[version]) >= count


async def read(url: str, reads: Reads, first: int) -> None:
    """Read one price after the other, without a pause."""
    async with Connection(url, resends=True) as connection:
        for number in range(first, 1 << 30):
            try:
                response = await connection.get(f"/graphql?query={quote(QUERIES[number % len(QUERIES)])}")
                snapshot = response.json()["data"]["snapshot"]
                version = snapshot["version"]
                assert snapshot["price"] == {"amount": f"{version}.00"}
            except (OSError, EOFError, AssertionError, TypeError, KeyError, ValueError) as error:
                reads.failures.append(repr(error))
                await asyncio.sleep(0.05)
                continue
            reads.at[version].append(time.time())
            reads.cached[version, response.headers["x-cache"]] += 1
            reads.ages[version, response.headers["cache-control"]] += 1
            await asyncio.sleep(0.002)


async def ask(connection: Connection, document: str, **variables: Any) -> Any:
    body = (await connection.post({"query": document, "variables": variables})).json()
    assert "errors" not in body, body
    return body["data"]


def order(version: int, **more: str) -> dict[str, Any]:
    prices = [{"sku": f"sku-{number}", "amount": f"{version}.00", "currency": "EUR"} for number in range(500)]
    return {"priceList": "shop", "mode": "REPLACE", "idempotencyKey": secrets.token_hex(8), "prices": prices, **more}


async def published_at(connection: Connection) -> float | None:
    """Return when version 2 became current, by its event; None before."""
    for event in (await ask(connection, EVENTS))["events"]["nodes"]:
        if event["toVersion"] == 2 and event["kind"] == "PUBLISHED":
            return datetime.datetime.fromisoformat(event["at"]).timestamp()
    return None


async def test_no_answer_of_the_old_version_is_later_than_a_second_after_the_publication(
    mongodb_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = f"test_{secrets.token_hex(6)}"
    environ = OPEN | {
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_CACHE_MAX_AGE": str(MAX_AGE),
    }
    with servers(tmp_path / "servers", 2, environ) as started:
        urls, settings = [server.url for server in started], {"cacheMaxAge": MAX_AGE}
        with edge(tmp_path / "nginx", urls, settings, ratePerSecond=0) as proxy:
            reads, published = await read_over_the_due_moment(proxy.url, urls[0])
    async with AsyncMongoClient[dict[str, Any]](mongodb_uri) as client:
        for name in (database, f"{database}_layers"):
            await client.drop_database(name)
    late = max(reads.at[1]) - published
    with capsys.disabled():
        counts = f"{len(reads.at[1]):,} reads of the old version and {len(reads.at[2]):,} of the new one"
        sys.stdout.write(f"\n{counts}; the last of the old one {late:+.3f} s from the publication\n")
    assert reads.failures == []
    assert late <= 1.0
    assert min(reads.at[2]) >= published - 0.01
    for version in (1, 2):
        assert reads.cached[version, "HIT"] > 100, f"nginx has cached version {version}: {reads.cached}"
    assert reads.ages[2, f"public, max-age={MAX_AGE}, must-revalidate"] == len(reads.at[2])


async def read_over_the_due_moment(proxy: str, server: str) -> tuple[Reads, float]:
    """Schedule a version; return the reads before, during and after the moment it is due, and when it was published."""
    reads = Reads()
    async with Connection(server) as connection:
        await ask(connection, CREATE)
        assert (await ask(connection, PUBLISH, input=order(1)))["publishBatch"]["batch"]["version"] == 1
        due = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LEAD_SECONDS)
        scheduled = await ask(connection, PUBLISH, input=order(2, publishAt=due.isoformat()))
        assert scheduled["publishBatch"]["batch"] == {"state": "HELD", "version": 2}, json.dumps(scheduled)
        await asyncio.sleep(0.5)  # until each process knows of the schedule
        async with running(read(proxy, reads, number * 5) for number in range(READERS)):
            await until(lambda: reads.has(2, 1), "published", seconds=60)
            await asyncio.sleep(3)
            seen = len(reads.at[2])
            await until(lambda: reads.has(2, seen + 500), "read afterwards")
        published = await published_at(connection)
    assert published is not None
    assert published >= due.timestamp() - 0.001
    return reads, published
