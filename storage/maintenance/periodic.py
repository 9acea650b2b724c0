"""Work that a process repeats until it stops, and the log of its failures."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pymongo.errors import PyMongoError

from storage.errors import PricebookError
from storage.mongodb.deadlines import is_cancelled

log = logging.getLogger("pricebook.maintenance")


async def repeat(name: str, seconds: float, act: Callable[[], Awaitable[object]], stopping: asyncio.Event) -> None:
    """Run `act` about every `seconds`, until `stopping` is set. Errors are logged, and it is tried again."""
    while not (await is_set_within(seconds, stopping) or is_cancelled()):
        try:
            await act()
        except Exception as error:
            log_failure(log, f"Task {name!r} failed and will be retried", error)


async def is_set_within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event for at most about `seconds`; return whether it is set.

    A task that stops here interrupts no operation of the driver, which may leave a socket open then.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds * random.uniform(0.8, 1.0)):  # noqa: S311 - jitter, no secret
            await event.wait()
    return event.is_set()


def log_failure(log: logging.Logger, message: str, error: Exception) -> None:
    """Log an error after which the work goes on: an expected one without its traceback, any other with it."""
    expected = isinstance(error, PricebookError | PyMongoError)
    log.warning("%s: %s: %s", message, type(error).__name__, error, exc_info=None if expected else error)
