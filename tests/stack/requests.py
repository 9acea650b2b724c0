"""Clients that send requests without a pause over persistent connections, and record failures."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.stack.clients import running
from tests.stack.connections import Connection, Response

SendRequest = Callable[[Connection], Awaitable[Response]]


@dataclass
class RequestLog:
    """Counts of complete responses, of those that closed their connection, and of refused connections."""

    responses: int = 0
    closing: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    async def has(self, responses: int) -> bool:
        """Return whether there are this many responses, for `until`."""
        return self.responses >= responses


async def query_lists(connection: Connection) -> Response:
    return await connection.post({"query": "{ priceLists(first: 1) { nodes { name } } }"})


@asynccontextmanager
async def sending(url: str, clients: int, send: SendRequest = query_lists) -> AsyncIterator[RequestLog]:
    """Send requests while the body runs. A client ends when it can no longer connect."""
    log = RequestLog()
    async with running(_send(url, send, log) for _ in range(clients)):
        yield log


async def _send(url: str, send: SendRequest, log: RequestLog) -> None:
    async with Connection(url) as connection:
        while True:
            try:
                await connection.connect()
            except OSError:
                log.refused += 1
                return
            try:
                response = await send(connection)
            except (OSError, EOFError) as error:
                log.failures.append(repr(error))
                continue
            if response.status != 200 or b'"errors"' in response.body:
                log.failures.append(f"{response.status} {response.body[:200]!r}")
            log.responses += 1
            log.closing += response.is_last
