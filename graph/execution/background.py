"""Awaitables that nobody waits for any more, after an error beside them: they are run to their end all the same."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from graphql import GraphQLResolveInfoHelpers
from graphql.pyutils import gather_with_cancel, is_awaitable

_settling: set[asyncio.Future[Any]] = set()


def settle(awaitables: Sequence[Awaitable[Any]]) -> None:
    """Let awaitables come to their end; what they return or raise is not looked at."""
    if not awaitables:
        return
    future = asyncio.gather(*awaitables, return_exceptions=True)
    _settling.add(future)
    future.add_done_callback(_settling.discard)


def _track(values: Sequence[Any]) -> None:
    settle([value for value in values if is_awaitable(value)])


def _gather(values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*values)


HELPERS = GraphQLResolveInfoHelpers(_gather, _track)
"""What graphql-core offers to resolvers that start work of their own."""
