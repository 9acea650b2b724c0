"""Submits a batch and dies at a point.

The batch is `good` or `bad`, in one request; or `staged`, the good one in five runs; or `parts`, in two parts; or
`aborted`, in two parts that are aborted when they are stored.

See `tests.storage.dying` for the points.
"""

from storage import Batch, BatchState, Store
from storage.batches import runs
from storage.layers import durable_inserts
from storage.prices import row_decoder
from tests.storage.dying import die_at
from tests.storage.factories import Row, order, row, rows, source

SLICE_ROWS = 100
BATCHES: dict[str, list[Row]] = {
    "good": rows(5 * SLICE_ROWS, "2.00"),
    "bad": [*rows(5 * SLICE_ROWS, "2.00"), row("bad", "-1")],
}

BATCHES["staged"] = BATCHES["good"]


async def main(uri: str, database: str, key: str, batch: str, point: str) -> None:
    store = await Store.open(uri, database)
    row_decoder.SLICE_ROWS = SLICE_ROWS
    durable_inserts.MAX_INSERT_BYTES = 1000
    if batch == "staged":
        runs.MAX_RUN_ROWS = SLICE_ROWS
    die_at(point)
    if batch in BATCHES:
        await store.submitter.submit(order(key=key), await source(BATCHES[batch]))
    else:
        await in_parts(store, key, is_aborted=batch == "aborted")


async def in_parts(store: Store, key: str, *, is_aborted: bool = False) -> Batch:
    """Send the good batch in two parts, as far as they are missing, and finish it."""
    batch = await store.multipart.open(order(key=key))
    if batch.state is BatchState.OPEN:
        for sequence, prices in enumerate((BATCHES["good"][:200], BATCHES["good"][200:])):
            await store.multipart.append(batch.id, sequence, await source(prices), ())
    if is_aborted:
        return await store.multipart.abort(batch.id, by="integrator", reason=None)
    batch, must_finish = await store.multipart.commit(batch.id, 2, len(BATCHES["good"]))
    return await store.worker.finish(batch) if must_finish else batch
