"""A load of point queries over kept-alive connections until its input ends; prints latencies in seconds as JSON.

It also measures how late it resumed after each pause, which is how long it waited for a core or for its other
connections. It checks every response: in version n of the list, every price is n.00.
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
REQUEST_HEADERS = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"

_match = re.compile(rb'{"data":{"snapshot":{"version":(\d+),"price":{"amount":"(\d+).00"}}}}').fullmatch


async def _client(
    url: str,
    price_list: str,
    skus: int,
    pause: float,
    stopped: asyncio.Event,
    latencies: list[float],
    late: list[float],
) -> None:
    generator = random.Random()
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    is_running = True
    while is_running:  # at least once
        variables = {"list": price_list, "sku": f"SKU-{generator.randrange(skus):08d}"}
        body = json.dumps({"query": QUERY, "variables": variables}).encode()
        request_headers = f"{REQUEST_HEADERS}content-length: {len(body)}"
        started = time.perf_counter()
        writer.write(f"{request_headers}\r\n\r\n".encode() + body)
        headers = await reader.readuntil(b"\r\n\r\n")
        length = int(headers.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        content = await reader.readexactly(length)
        latencies.append(time.perf_counter() - started)
        found = _match(content)
        if found is None or found[1] != found[2]:
            raise AssertionError(content)
        paused = time.perf_counter()
        await asyncio.sleep(pause)
        late.append(time.perf_counter() - paused - pause)
        is_running = not stopped.is_set()
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
    percentiles = {
        "p50": _percentile(50, latencies),
        "p99": _percentile(99, latencies),
        "late_p99": _percentile(99, late),
    }
    sys.stdout.write(json.dumps({"count": len(latencies), **percentiles}))


def _percentile(percent: int, seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * percent // 100]


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
