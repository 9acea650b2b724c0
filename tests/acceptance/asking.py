"""Clients that ask without a pause, over connections that they keep, and count what goes wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

QUERY = json.dumps({"query": "{ priceLists(first: 1) { nodes { name } } }"}).encode()


@dataclass
class Asked:
    """What came of it: answers, those that closed their connection, and each request without a whole answer."""

    answers: int = 0
    closing: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


@asynccontextmanager
async def asking(url: str, clients: int, body: bytes = QUERY) -> AsyncIterator[Asked]:
    """Ask a server for as long as the body runs. A client ends when it can no longer connect."""
    asked = Asked()
    tasks = [asyncio.create_task(_ask(url, body, asked)) for _ in range(clients)]
    try:
        yield asked
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(url: str, body: bytes, asked: Asked) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    )
    request = head.encode() + b"\r\n" + body
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            asked.refused += 1
            return
        try:
            while await _answered(reader, writer, request, asked):
                pass
        except (OSError, EOFError) as error:
            asked.failures.append(repr(error))
        finally:
            writer.close()


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, asked: Asked) -> bool:
    """Send a request, and return whether the next one may use the same connection."""
    writer.write(request)
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line)
    answer = await reader.readexactly(int(headers["content-length"]))
    if " 200 " not in f"{start} " or b'"errors"' in answer:
        asked.failures.append(f"{start} {answer[:200]!r}")
    asked.answers += 1
    is_last = headers.get("connection") == "close"
    asked.closing += is_last
    return not is_last
