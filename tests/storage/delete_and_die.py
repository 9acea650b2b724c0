"""Deletes a list with all it has, and dies at a point: `python -m tests.storage.delete_and_die URI DATABASE POINT`.

See `tests.storage.dying` for the points.
"""

import asyncio
import sys

from storage import Store
from tests.storage.dying import die_at


async def main(uri: str, database: str, point: str) -> None:
    store = await Store.open(uri, database)
    die_at(point)
    await store.deleter.delete("retail", by="ops", reason="test", force=True)
    await store.deleter.purge("retail")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
