"""Leads the maintenance of a database until it is killed: `python -m tests.storage.maintenance.lead URI DATABASE`."""

import asyncio
import sys

from storage import Store


async def main(uri: str, database: str) -> None:
    store = await Store.open(uri, database)
    await store.watcher.start()
    store.worker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
