"""A load of point queries over kept-alive connections, from a process of its own; prints its latencies as JSON."""

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 8
QUERY = 'query($sku: ID!) { snapshot(priceList: "bench-reads") { version price(sku: $sku) { sku amount } } }'


async def _client(url: str, skus: int, until: float, latencies: list[float], pause: float) -> None:
    chance = random.Random()
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    while time.perf_counter() < until:
        variables = {"sku": f"SKU-{chance.randrange(skus):08d}"}
        body = json.dumps({"query": QUERY, "variables": variables}).encode()
        head = f"POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        started = time.perf_counter()
        writer.write(f"{head}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        content = await reader.readexactly(length)
        latencies.append(time.perf_counter() - started)
        if b'"amount"' not in content:
            raise AssertionError(content)
        await asyncio.sleep(pause)
    writer.close()


async def _main(url: str, skus: int, seconds: float) -> None:
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    # A moderate, steady load: the question is how long one waits, not how many there are.
    await asyncio.gather(*(_client(url, skus, until, latencies, 0.02) for _ in range(CONNECTIONS)))
    latencies.sort()
    sys.stdout.write(
        json.dumps({"count": len(latencies), **{f"p{p}": latencies[len(latencies) * p // 100] for p in (50, 99)}})
    )


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
