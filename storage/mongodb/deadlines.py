"""Deadlines of operations, and cancellations that the driver may swallow."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager

import pymongo
from pymongo.asynchronous.cursor import AsyncCursor

from storage.mongodb.connection import Client, Document


def deadline(client: Client) -> AbstractContextManager[None]:
    """Return a context in which all operations together have the time that `timeoutMS` gives to one."""
    return pymongo.timeout(client.options.timeout)


async def read_without_deadline(cursor: AsyncCursor[Document]) -> AsyncGenerator[Document, None]:
    """Yield the documents of a cursor whose reading may take longer than `timeoutMS`.

    MongoDB counts the time limit of a find for all batches of its cursor together. Here each further batch has it.
    """
    with pymongo.timeout(0):  # no limit
        document = await anext(cursor, None)
    while document is not None:
        yield document
        document = await anext(cursor, None)


def is_cancelled() -> bool:
    """Whether the current task was cancelled. A task that works until it is cancelled asks this after each operation.

    The driver sends with `asyncio.wait_for`, which in Python 3.11 may swallow a cancellation.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
