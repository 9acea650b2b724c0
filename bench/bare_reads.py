"""A limit to compare with: PyMongo reads the same prices, one document each, and discards them. Prints JSON."""

import asyncio
import json
import random
import sys
import time

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from bench.bare_inserts import COLLECTION
from bench.drivers import CONNECTIONS
from bench.prices import sku
from bench.servers import DATABASE


async def _read(collection: AsyncCollection[dict[str, object]], skus: list[str], kind: str) -> None:
    if kind == "page1000":
        await collection.find().sort("_id", 1).limit(1000).to_list()
    elif kind == "multi100":
        await collection.find({"_id": {"$in": random.sample(skus, 100)}}).to_list()
    else:
        await collection.find_one({"_id": random.choice(skus)})


async def main(uri: str, kind: str, count: int, seconds: float) -> None:
    client = AsyncMongoClient[dict[str, object]](uri)
    collection = client[DATABASE][COLLECTION]
    skus = [sku(number) for number in range(100 if kind == "point-hot" else count)]
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def read_until_deadline() -> None:
        while (started := time.perf_counter()) < deadline:
            await _read(collection, skus, kind)
            latencies.append(time.perf_counter() - started)

    before = time.process_time()
    await asyncio.gather(*(read_until_deadline() for _ in range(CONNECTIONS)))
    cpu = time.process_time() - before
    latencies.sort()
    p50, p99 = (1000 * latencies[len(latencies) * percent // 100] for percent in (50, 99))
    sys.stdout.write(
        json.dumps({"rate": len(latencies) / seconds, "cpu": 1e6 * cpu / len(latencies), "p50": p50, "p99": p99})
    )
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
