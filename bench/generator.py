"""A load generator for machines without wrk; prints its result as JSON. It needs more CPU than wrk."""

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


class Result:
    """Latencies and failures of all connections of a run."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.failed = 0


async def connection(url: str, requests: Iterator[bytes], deadline: float, result: Result) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        writer.write(next(requests))
        headers = await reader.readuntil(b"\r\n\r\n")
        length = headers.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length or 0))
        result.latencies.append(time.perf_counter() - started)
        result.failed += headers[9:10] not in (b"2", b"3")
    writer.close()


def request(line: bytes, url: str, token: str | None) -> bytes:
    etag, _, body = line.rstrip(b"\n").partition(b"\t")
    headers = f"POST {urlsplit(url).path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    headers += f"authorization: Bearer {token}\r\n" if token else ""
    condition = b"" if etag == b"-" else b"if-none-match: " + etag + b"\r\n"
    return headers.encode() + condition + b"content-length: %d\r\n\r\n" % len(body) + body


async def main(
    url: str, lines: list[bytes], seconds: float, connections: int, in_order: bool, token: str | None
) -> None:
    encoded = [request(line, url, token) for line in lines]
    requests = itertools.cycle(encoded) if in_order else iter(lambda: random.choice(encoded), None)
    result, started = Result(), time.perf_counter()
    await asyncio.gather(*(connection(url, requests, started + seconds, result) for _ in range(connections)))
    seconds_taken, latencies = time.perf_counter() - started, sorted(result.latencies)
    p50, p99 = (1000 * latencies[len(latencies) * percent // 100] for percent in (50, 99))
    sys.stdout.write(
        json.dumps(
            {"responses": len(latencies), "seconds": seconds_taken, "p50": p50, "p99": p99, "failed": result.failed}
        )
    )


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1],
            Path(sys.argv[2]).read_bytes().splitlines(),
            float(sys.argv[3]),
            int(sys.argv[4]),
            sys.argv[5] == "in-order",
            sys.argv[6] if len(sys.argv) > 6 else None,
        )
    )
