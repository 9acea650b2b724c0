"""A load of point queries over kept-alive connections until its input ends; prints its latencies as JSON.

And how late it was itself after each of its pauses: so long it waited for a core, or for its other connections.

Every answer is checked: in version n of the list, every price is n.00.
"""

import asyncio
import json
import random
import re
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 8
QUERY = "query($list: ID!, $sku: ID!) { snapshot(priceList: $list) { version price(sku: $sku) { amount } } }"
HEAD = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"

_said = re.compile(rb'{"data":{"snapshot":{"version":(\d+),"price":{"amount":"(\d+).00"}}}}').fullmatch


async def _client(
    url: str,
    price_list: str,
    skus: int,
    pause: float,
    stopped: asyncio.Event,
    latencies: list[float],
    late: list[float],
) -> None:
    chance = random.Random()
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    while not stopped.is_set():
        variables = {"list": price_list, "sku": f"SKU-{chance.randrange(skus):08d}"}
        body = json.dumps({"query": QUERY, "variables": variables}).encode()
        head = f"{HEAD}content-length: {len(body)}"
        started = time.perf_counter()
        writer.write(f"{head}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        content = await reader.readexactly(length)
        latencies.append(time.perf_counter() - started)
        said = _said(content)
        if said is None or said[1] != said[2]:
            raise AssertionError(content)
        paused = time.perf_counter()
        await asyncio.sleep(pause)
        late.append(time.perf_counter() - paused - pause)
    writer.close()


async def _main(url: str, price_list: str, skus: int, pause: float) -> None:
    latencies: list[float] = []
    late: list[float] = []
    stopped = asyncio.Event()
    clients = [
        asyncio.create_task(_client(url, price_list, skus, pause, stopped, latencies, late)) for _ in range(CONNECTIONS)
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    stopped.set()
    await asyncio.gather(*clients)
    seen = {"p50": _at(50, latencies), "p99": _at(99, latencies), "late_p99": _at(99, late)}
    sys.stdout.write(json.dumps({"count": len(latencies), **seen}))


def _at(percent: int, seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * percent // 100]


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
