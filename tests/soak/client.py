"""Clients of several server processes, and the record of what they received."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.stack.connections import Connection, Response

ANSWER_SECONDS = 150.0
"""How long a request may take, through an election and the takeover of a batch."""

RETRYABLE = frozenset(
    {"UNAVAILABLE", "LEASE_LOST", "LAYER_SEALED", "SERVER_BUSY", "QUERY_TIMEOUT", "VERSION_NOT_REACHED", "INTERRUPTED"}
)
"""Codes that ask to send the same request again."""

EXPECTED = RETRYABLE | {
    "ALREADY_CURRENT",
    "BATCH_HELD",
    "BATCH_INVALID",
    "BATCH_NOT_HELD",
    "BATCH_NOT_OPEN",
    "CONFLICT",
    "GATE_REJECTED",
    "NOT_PINNED",
    "NOT_RETIRED",
    "PINNED",
    "REJECTED",
    "SNAPSHOT_EXPIRED",
    "SNAPSHOT_NEVER_PUBLISHED",
    "SUPERSEDED",
    "TOO_MANY_HELD_BATCHES",
    "TOO_MANY_OPEN_BATCHES",
}
"""All codes that may be answered. CORRUPT and INTERNAL are not among them."""

LOST = "(connection lost)"
NO_VERSION = "(no version yet)"


class Refusal(Exception):
    """A request was refused with a code, or its connection was lost."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass
class Record:
    """The number of answers by kind, and of errors by kind and code; the wrong answers in words."""

    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    acknowledged: list[tuple[str, str, int]] = field(default_factory=list)
    has_failed: asyncio.Event = field(default_factory=asyncio.Event)

    def fail(self, problem: str) -> None:
        """Record a wrong answer."""
        self.wrong.append(problem)
        self.has_failed.set()

    def refuse(self, kind: str, refusal: Refusal) -> None:
        """Count a refusal; one with an unexpected code is a wrong answer."""
        self.errors[f"{kind} {refusal.code}"] += 1
        if refusal.code not in {LOST, NO_VERSION, *EXPECTED}:
            self.fail(f"{kind}: {refusal}")

    def report(self) -> str:
        """Return the counts."""
        return f"Answers:\n{_table(self.answers)}\nErrors:\n{_table(self.errors)}"


def _table(counts: Counter[str]) -> str:
    return "\n".join(f"{count:9,} {name}" for name, count in sorted(counts.items()))


class Client:
    """A client with a connection to each of several processes."""

    def __init__(self, urls: Sequence[str], random_numbers: random.Random) -> None:
        self.random = random_numbers
        self.server = 0
        self.waiting_for = ""
        self._connections = [Connection(url, resends=True) for url in urls]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for connection in self._connections:
            await self._stack.enter_async_context(connection)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def switch(self) -> int:
        """Choose the process of the next requests, and return its number."""
        self.server = self.random.randrange(len(self._connections))
        return self.server

    async def send(
        self, document: str, variables: dict[str, Any], file: tuple[str, bytes] | None = None, min_version: str = ""
    ) -> Any:
        """Send an operation, with a file in `input.file`, and return the value of its only field. Raises `Refusal`."""
        headers = {"Pricebook-Min-Version": min_version} if min_version else {}
        connection, body = self._connections[self.server], {"query": document, "variables": variables}
        self.waiting_for = f"process {self.server}: {document.split('(', maxsplit=1)[0]} {str(variables)[:200]}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if file is None:
                    response = await connection.post(body, **headers)
                else:
                    response = await connection.post_file(body, "variables.input.file", *file)
        except TimeoutError:
            raise Refusal("(no answer)", f"{document} {str(variables)[:300]} in {ANSWER_SECONDS:g} s") from None
        except (OSError, EOFError) as error:
            raise Refusal(LOST, repr(error)) from error
        finally:
            self.waiting_for = ""
        return _value(response)


def _value(response: Response) -> Any:
    body = response.json()
    if body.get("errors"):
        error = body["errors"][0]
        raise Refusal(error.get("extensions", {}).get("code", f"(HTTP {response.status})"), error["message"])
    [value] = body["data"].values()
    return value
