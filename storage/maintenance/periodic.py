"""Work that a process repeats until it stops."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from pymongo.errors import PyMongoError

from storage.errors import PricebookError
from storage.mongodb.deadlines import is_cancelled

log = logging.getLogger("pricebook.worker")


async def repeat(name: str, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
    """Run `act` about every `seconds`, until cancelled. Errors are logged, and it is tried again."""
    while not is_cancelled():
        await asyncio.sleep(seconds * random.uniform(0.8, 1.0))  # noqa: S311 - jitter, no secret
        try:
            await act()
        except (PricebookError, PyMongoError) as error:
            log.warning("Task %r failed and will be retried: %s: %s", name, type(error).__name__, error)
        except Exception:
            log.exception("Task %r failed and will be retried.", name)
