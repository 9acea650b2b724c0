"""Clients that ask without a pause, over connections that they keep, and count what goes wrong."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.stack.clients import at_work
from tests.stack.connections import Answered, Connection

Ask = Callable[[Connection], Awaitable[Answered]]


@dataclass
class Asked:
    """What came of it: whole answers, those that closed their connection, and requests without an answer."""

    answers: int = 0
    closing: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    async def has(self, answers: int) -> bool:
        """Whether there are so many answers; to be waited for."""
        return self.answers >= answers


async def of_lists(connection: Connection) -> Answered:
    return await connection.post({"query": "{ priceLists(first: 1) { nodes { name } } }"})


@asynccontextmanager
async def asking(url: str, clients: int, ask: Ask = of_lists) -> AsyncIterator[Asked]:
    """Ask for as long as the body runs. A client ends when it can no longer connect."""
    asked = Asked()
    async with at_work(_ask(url, ask, asked) for _ in range(clients)):
        yield asked


async def _ask(url: str, ask: Ask, asked: Asked) -> None:
    async with Connection(url) as connection:
        while True:
            try:
                await connection.connect()
            except OSError:
                asked.refused += 1
                return
            try:
                answer = await ask(connection)
            except (OSError, EOFError) as error:
                asked.failures.append(repr(error))
                continue
            if answer.status != 200 or b'"errors"' in answer.body:
                asked.failures.append(f"{answer.status} {answer.body[:200]!r}")
            asked.answers += 1
            asked.closing += answer.is_last
