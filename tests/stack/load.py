"""Readers and an integrator who check every answer.

Batch `n` gives every sku the amount `n` and the label `n`: an answer that mixes two versions shows.
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

from tests.stack.clients import at_work
from tests.stack.connections import Answered, Connection

PRICE_LIST = "shop"
SKUS = [f"sku-{number:05}" for number in range(5000)]

READ = f'{{ snapshot(priceList: "{PRICE_LIST}") {{ version label pricesBySku(skus: [%s]) {{ sku amount }} }} }}'

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
class ReadMarks:
    """What readers saw; `labels` are the versions by their labels, as answers showed them."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    cached: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    async def has(self, answers: int) -> bool:
        """Whether so many answers came; to be waited for."""
        return self.answers >= answers


@asynccontextmanager
async def reading(url: str, clients: int) -> AsyncIterator[ReadMarks]:
    """Read for as long as the body runs, half of it by GET."""
    reads = ReadMarks()
    async with at_work(_read(url, reads, random.Random(number)) for number in range(clients)):
        yield reads


async def _read(url: str, reads: ReadMarks, chance: random.Random) -> None:
    loop = asyncio.get_running_loop()
    async with Connection(url, resends=True) as connection:
        while True:
            begun = loop.time()
            try:
                answer = await _ask(connection, chance)
            except (OSError, EOFError) as error:
                reads.failures.append(repr(error))
                await asyncio.sleep(0.05)
                continue
            reads.slowest = max(reads.slowest, loop.time() - begun)
            reads.answers += 1
            reads.cached[answer.headers.get("x-cache", "")] += 1
            _check(answer, reads)


async def _ask(connection: Connection, chance: random.Random) -> Answered:
    skus = chance.sample(SKUS[:20], 3) if chance.random() < 0.5 else chance.sample(SKUS, 5)
    query = READ % ", ".join(json.dumps(sku) for sku in sorted(skus))
    if chance.random() < 0.5:
        return await connection.get(f"/graphql?query={quote(query)}")
    return await connection.post({"query": query})


def _check(answer: Answered, reads: ReadMarks) -> None:
    try:
        snapshot = answer.json()["data"]["snapshot"]
        amounts = {price["amount"] for price in snapshot["pricesBySku"]}
        whole = answer.status == 200 and amounts == {f"{snapshot['label']}.00"}
        same = reads.labels.setdefault(snapshot["label"], snapshot["version"]) == snapshot["version"]
    except (KeyError, TypeError, ValueError):
        whole = same = False
    if not (whole and same):
        reads.failures.append(f"{answer.status} {answer.body[:300]!r}")


@dataclass
class BatchRepository:
    """What an integrator sent and was told: versions by labels, and each answer that was none."""

    published: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0

    async def has(self, batches: int) -> bool:
        """Whether so many were published; to be waited for."""
        return len(self.published) >= batches


async def create(url: str, price_list: str = PRICE_LIST) -> None:
    """Make the list, with its first version."""
    first = BatchRepository()
    async with Connection(url) as connection:
        created = await connection.post({"query": CREATE, "variables": {"name": price_list}})
        assert created.json() == {"data": {"createPriceList": {"userErrors": []}}}
        await publish(connection, 1, first, price_list)
    assert first.published == {"1": 1}, first.failures


def batch(number: int, price_list: str = PRICE_LIST) -> dict[str, Any]:
    """The request that publishes batch `number`."""
    prices = [{"sku": sku, "amount": f"{number}.00", "currency": "EUR"} for sku in SKUS]
    order = {"priceList": price_list, "mode": "REPLACE", "idempotencyKey": f"batch {number}", "label": str(number)}
    return {"query": PUBLISH, "variables": {"input": {**order, "prices": prices}}}


async def publish(connection: Connection, number: int, batches: BatchRepository, price_list: str = PRICE_LIST) -> None:
    """Publish batch `number`, sent as often as it takes, with one key."""
    request = batch(number, price_list)
    begun = asyncio.get_running_loop().time()
    while str(number) not in batches.published:
        answer: Answered | None = None
        try:
            answer = await connection.post(request)
            said = answer.json()["data"]["publishBatch"]
            if said["batch"] and said["batch"]["state"] == "PUBLISHED":
                batches.published[said["batch"]["label"]] = said["batch"]["version"]
                break
            batches.failures.append(f"{number}: {said}")
        except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
            batches.failures.append(f"{number}: {answer.body if answer else error!r}")
        await asyncio.sleep(0.2)
    batches.longest = max(batches.longest, asyncio.get_running_loop().time() - begun)


@asynccontextmanager
async def publishing(url: str, first: int, pause: float = 0.2) -> AsyncIterator[BatchRepository]:
    """Publish one batch after the other for as long as the body runs; the last one is finished."""
    batches, ended = BatchRepository(), asyncio.Event()

    async def run() -> None:
        number = first
        async with Connection(url, resends=True) as connection:
            while not ended.is_set():
                await publish(connection, number, batches)
                number += 1
                await asyncio.sleep(pause)

    task = asyncio.create_task(run())
    try:
        yield batches
    finally:
        ended.set()
        await task


async def versions(url: str) -> list[dict[str, Any]]:
    """All versions of the list, as the API tells them."""
    async with Connection(url) as connection:
        answer = await connection.post({"query": VERSIONS})
        nodes: list[dict[str, Any]] = answer.json()["data"]["priceList"]["snapshots"]["nodes"]
        return nodes
