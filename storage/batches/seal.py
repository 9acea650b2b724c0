"""Reading the layer of a sealed batch: to prove that it is complete, and to compare its rows with a version."""

from storage.batches.changes import Changes
from storage.batches.comparison import Comparison
from storage.catalog.snapshots import Snapshot
from storage.fair_yield import yield_to_loop
from storage.layers.reader import LayerReader
from storage.prices.checksum import Checksum, checksum


async def read_back(reader: LayerReader, layer: str, comparison: Comparison | None) -> Checksum:
    """Return the checksum of a layer as a majority has it, and add its rows to a comparison, if one is given."""
    stored = Checksum()
    async for run in reader.runs(layer):
        stored += checksum(run)
        if comparison:
            await comparison.add(run)
        await yield_to_loop()
    return stored


async def compare(reader: LayerReader, layer: str, base: Snapshot | None) -> Changes:
    """Return what the rows of a layer do to the version `base`."""
    comparison = Comparison(reader, base)
    async for run in reader.runs(layer):
        await comparison.add(run)
    return comparison.changes
