"""A load of point queries over kept-alive connections until its input ends; prints its latencies as JSON."""

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 8
QUERY = 'query($sku: ID!) { snapshot(priceList: "bench-reads") { version price(sku: $sku) { sku amount } } }'


async def _client(url: str, skus: int, stopped: asyncio.Event, latencies: list[float], pause: float) -> None:
    chance = random.Random()
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    while not stopped.is_set():
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


async def _main(url: str, skus: int) -> None:
    latencies: list[float] = []
    stopped = asyncio.Event()
    # A moderate, steady load: the question is how long one waits, not how many there are.
    clients = [asyncio.create_task(_client(url, skus, stopped, latencies, 0.02)) for _ in range(CONNECTIONS)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    stopped.set()
    await asyncio.gather(*clients)
    latencies.sort()
    sys.stdout.write(
        json.dumps({"count": len(latencies), **{f"p{p}": latencies[len(latencies) * p // 100] for p in (50, 99)}})
    )


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
