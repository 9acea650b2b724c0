"""A look into a single layer: its directory, and the rows of one of its blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.catalog.snapshots import SnapshotRepository
from storage.layers.block import BlockContent
from storage.layers.directory import Directory
from storage.layers.fetcher import BlockFetcher
from storage.layers.writer import LayerWriter


@dataclass(frozen=True, slots=True)
class InspectedLayer:
    """A layer: whether it is sealed, the (list, version) of the versions that name it, its checksum and directory."""

    id: str
    sealed: bool
    versions: Sequence[tuple[str, int]]
    checksum: str
    directory: Directory


class LayerInspector:
    """Reads layers as they are stored, without a cache."""

    def __init__(self, snapshots: SnapshotRepository, layer_writer: LayerWriter, fetcher: BlockFetcher) -> None:
        self._snapshots = snapshots
        self._layer_writer = layer_writer
        self._fetcher = fetcher

    async def inspect(self, layer_id: str) -> InspectedLayer | None:
        """Return a layer, or None if it does not exist.

        The directory is proved by a version that names the layer, if there is one. Raises `LayerGone` for a layer that
        has no directory yet, `Corrupt`, `UnknownFormat`.
        """
        sealed = await self._layer_writer.is_sealed(layer_id)
        if sealed is None:
            return None
        versions = await self._snapshots.versions_of_layer(layer_id)
        for key in versions[:1]:
            snapshot = await self._snapshots.get(*key)
            for layer in snapshot.layers if snapshot else ():
                if layer.id == layer_id:
                    directory = await self._fetcher.directory(layer_id, layer.checksum, layer.count)
                    return InspectedLayer(layer_id, sealed, versions, layer.checksum, directory)
        directory, checksum = await self._fetcher.unproved_directory(layer_id)
        return InspectedLayer(layer_id, sealed, versions, checksum, directory)

    async def block(self, layer: InspectedLayer, index: int) -> BlockContent:
        """Return a block, given by its index in the directory. Raises `Corrupt`, `UnknownFormat`."""
        directory = layer.directory
        [block] = await self._fetcher.fetch(layer.id, directory, [index])
        return block.content
