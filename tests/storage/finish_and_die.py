"""Takes over a batch in SEALING and dies at a point.

See `tests.storage.dying` for the points.
"""

from storage import Store
from tests.storage.dying import die_at


async def main(uri: str, database: str, batch_id: str, point: str) -> None:
    store = await Store.open(uri, database)
    batch = await store.lifecycle.take_over(batch_id)
    if batch is None:
        raise AssertionError("The lease of the batch has not expired.")
    die_at(point)
    await store.worker.finish(batch)
