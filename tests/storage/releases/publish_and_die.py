"""Publishes a release and dies at a point.

See `tests.storage.dying` for the points.
"""

from storage import Store
from tests.storage.dying import die_at


async def main(uri: str, database: str, release: str, point: str) -> None:
    store = await Store.open(uri, database)
    die_at(point)
    await store.release_publisher.publish(release, by="ann")
