"""Awaitables that are no longer needed after an error in a sibling field: they run to completion in the background."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from graphql import GraphQLResolveInfoHelpers
from graphql.pyutils import gather_with_cancel, is_awaitable

_running: set[asyncio.Future[Any]] = set()


def run_in_background(awaitables: Sequence[Awaitable[Any]]) -> None:
    """Run awaitables to completion, and ignore their results and errors."""
    if not awaitables:
        return
    future = asyncio.gather(*awaitables, return_exceptions=True)
    _running.add(future)
    future.add_done_callback(_running.discard)


def _track(values: Sequence[Any]) -> None:
    run_in_background([value for value in values if is_awaitable(value)])


def _gather(values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*values)


HELPERS = GraphQLResolveInfoHelpers(_gather, _track)
"""The helpers of graphql-core for resolvers that create awaitables themselves."""
