"""Publishes what is due and dies at a point: `python -m tests.storage.publish_and_die URI DATABASE LIST POINT`.

See `tests.storage.dying` for the points.
"""

import asyncio
import sys

from storage import Store
from tests.storage.dying import die_at


async def main(uri: str, database: str, price_list: str, point: str) -> None:
    store = await Store.open(uri, database)
    die_at(point)
    await store.due_publisher.publish_first_due(price_list)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
