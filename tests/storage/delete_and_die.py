"""Deletes a list with all it has, and dies at a point.

See `tests.storage.dying` for the points.
"""

from storage import Store
from tests.storage.dying import die_at


async def main(uri: str, database: str, point: str) -> None:
    store = await Store.open(uri, database)
    die_at(point)
    await store.deleter.delete("retail", by="ops", reason="test", force=True)
    await store.deleter.purge("retail")
