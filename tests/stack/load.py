"""Readers and an integrator that check every response.

Batch `n` gives every sku the amount `n`, and the version the label `n`, so a response that mixes two versions is
detected.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.stack.clients import running
from tests.stack.connections import Connection, Response

PRICE_LIST = "shop"
SKUS = [f"sku-{number:05}" for number in range(5000)]

READ = f"""query ($skus: [ID!]!) {{
  snapshot(priceList: "{PRICE_LIST}") {{ version label pricesBySku(skus: $skus) {{ sku amount }} }}
}}"""

CREATE = "mutation ($name: ID!) { createPriceList(input: {name: $name}) { userErrors { code } } }"

PUBLISH = """mutation ($input: PublishBatchInput!) {
  publishBatch(input: $input) {
    batch { id state version label }
    userErrors { code message }
  }
}"""

VERSIONS = f"""{{
  priceList(name: "{PRICE_LIST}") {{ snapshots(first: 500) {{ nodes {{ version label size state }} }} }}
}}"""


@dataclass
class ReadResults:
    """The responses that readers received; `labels` are the versions by label."""

    responses: int = 0
    failures: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    cached: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    async def has(self, count: int) -> bool:
        """Whether at least `count` responses were received, for `until`."""
        return self.responses >= count


@asynccontextmanager
async def reading(url: str, clients: int) -> AsyncIterator[ReadResults]:
    """Read during the body, half of the requests by GET."""
    reads = ReadResults()
    async with running(_read(url, reads, random.Random(number)) for number in range(clients)):
        yield reads


async def _read(url: str, reads: ReadResults, generator: random.Random) -> None:
    loop = asyncio.get_running_loop()
    async with Connection(url, resends=True) as connection:
        while True:
            started = loop.time()
            try:
                response = await _request(connection, generator)
            except (OSError, EOFError) as error:
                reads.failures.append(repr(error))
                await asyncio.sleep(0.05)
                continue
            reads.slowest = max(reads.slowest, loop.time() - started)
            reads.responses += 1
            reads.cached[response.headers.get("x-cache", "")] += 1
            _check(response, reads)


async def _request(connection: Connection, generator: random.Random) -> Response:
    skus = generator.sample(SKUS[:20], 3) if generator.random() < 0.5 else generator.sample(SKUS, 5)
    variables = {"skus": sorted(skus)}
    if generator.random() < 0.5:
        return await connection.get(f"/graphql?query={quote(READ)}&variables={quote(json.dumps(variables))}")
    return await connection.post({"query": READ, "variables": variables})


def _check(response: Response, reads: ReadResults) -> None:
    try:
        snapshot = response.json()["data"]["snapshot"]
        amounts = {price["amount"] for price in snapshot["pricesBySku"]}
        is_valid = response.status == 200 and amounts == {f"{snapshot['label']}.00"}
        is_valid &= reads.labels.setdefault(snapshot["label"], snapshot["version"]) == snapshot["version"]
    except (KeyError, TypeError, ValueError):
        is_valid = False
    if not is_valid:
        reads.failures.append(f"{response.status} {response.body[:300]!r}")


@dataclass
class BatchResults:
    """The batches that an integrator published, as versions by label, and the requests that failed."""

    published: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0

    async def has(self, count: int) -> bool:
        """Whether at least `count` batches were published, for `until`."""
        return len(self.published) >= count


async def create(url: str, price_list: str = PRICE_LIST) -> None:
    """Create a list with its first version."""
    first = BatchResults()
    async with Connection(url) as connection:
        created = await connection.post({"query": CREATE, "variables": {"name": price_list}})
        assert created.json() == {"data": {"createPriceList": {"userErrors": []}}}
        await publish(connection, 1, first, price_list)
    assert first.published == {"1": 1}, first.failures


def batch(number: int, price_list: str = PRICE_LIST) -> dict[str, Any]:
    """Return the request that publishes batch `number`."""
    prices = [{"sku": sku, "amount": f"{number}.00", "currency": "EUR"} for sku in SKUS]
    fields = {"priceList": price_list, "mode": "REPLACE", "idempotencyKey": f"batch {number}", "label": str(number)}
    return {"query": PUBLISH, "variables": {"input": {**fields, "prices": prices}}}


async def publish(connection: Connection, number: int, batches: BatchResults, price_list: str = PRICE_LIST) -> None:
    """Publish batch `number`; repeat the request, with the same key, until it succeeds."""
    request = batch(number, price_list)
    started = asyncio.get_running_loop().time()
    while str(number) not in batches.published:
        response: Response | None = None
        try:
            response = await connection.post(request)
            payload = response.json()["data"]["publishBatch"]
            if payload["batch"] and payload["batch"]["state"] == "PUBLISHED":
                batches.published[payload["batch"]["label"]] = payload["batch"]["version"]
                break
            batches.failures.append(f"{number}: {payload}")
        except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
            batches.failures.append(f"{number}: {response.body if response else error!r}")
        await asyncio.sleep(0.2)
    batches.longest = max(batches.longest, asyncio.get_running_loop().time() - started)


@asynccontextmanager
async def publishing(url: str, first: int, pause: float = 0.2) -> AsyncIterator[BatchResults]:
    """Publish one batch after another during the body; the last one is completed."""
    batches, stopping = BatchResults(), asyncio.Event()

    async def run() -> None:
        number = first
        async with Connection(url, resends=True) as connection:
            while not stopping.is_set():
                await publish(connection, number, batches)
                number += 1
                await asyncio.sleep(pause)

    task = asyncio.create_task(run())
    try:
        yield batches
    finally:
        stopping.set()
        await task


async def versions(url: str) -> list[dict[str, Any]]:
    """Return all versions of the list, read through the API."""
    async with Connection(url) as connection:
        response = await connection.post({"query": VERSIONS})
        nodes: list[dict[str, Any]] = response.json()["data"]["priceList"]["snapshots"]["nodes"]
        return nodes
