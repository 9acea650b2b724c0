"""The check of a layer, and the number of prices of a stack of layers. Each layer, and each stack, is read once.

A layer is proved by its root, against its manifest; each of its blocks by its hash and by what the directory has about
it. The size of a version is counted from its oldest layer upwards: a layer adds its prices, and hides those of its skus
that the layers below have. So the cost depends on the layers alone, not on the number of versions that share them.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeVar

from pymongo.errors import AutoReconnect

from storage.catalog.snapshots import Layer
from storage.errors import Corrupt, LayerGone, UnknownFormat
from storage.integrity.findings import FindingCode
from storage.layers.block import encode_block
from storage.layers.block_cache import BlockCache
from storage.layers.directory import Directory
from storage.layers.fetcher import BlockFetcher
from storage.layers.proof import Damage, LayerProver, ProvedBlock
from storage.layers.reader import LayerReader
from storage.layers.writer import LayerWriter
from storage.mongodb.connection import Database
from storage.prices.price import TOMBSTONE

BLOCKS_PER_LOOKUP = 16
"""Blocks whose rows are looked up at once in the layers below: some 1,200 rows."""

CACHE_BYTES = 32 << 20
"""Bytes of the check's own block cache."""

MAX_NAMED_BLOCKS = 100
"""Number of problems of a layer that are reported one by one; further ones are counted."""

MAX_READ_ATTEMPTS = 5
"""Attempts to read a layer. A primary election interrupts a read."""

T = TypeVar("T")

Problem = tuple[FindingCode, str]
"""A kind of finding, and what is wrong with the layer."""


@dataclass(slots=True)
class LayerResult:
    """The problems of a layer, and whether it is sealed."""

    sealed: bool = True
    problems: list[Problem] = field(default_factory=list)


class LayerCheck:
    """Proves layers, and keeps the results in memory. `on_read` is called with the number of rows as they are read."""

    def __init__(self, layers_db: Database, layer_writer: LayerWriter, on_read: Callable[[int], None]) -> None:
        self._fetcher = BlockFetcher(layers_db)
        cache = BlockCache(CACHE_BYTES)
        self._prover = LayerProver(layers_db, self._fetcher, cache)
        self._reader = LayerReader(self._fetcher, cache)
        self._layer_writer = layer_writer
        self._on_read = on_read
        self._results: dict[Layer, LayerResult] = {}
        self._sizes: dict[tuple[Layer, ...], int] = {}

    async def check(self, layer: Layer) -> LayerResult:
        """Return the result for a layer."""
        if layer not in self._results:
            sealed = await self._layer_writer.is_sealed(layer.id)
            problems = await _with_retries(partial(self._problems, layer))
            self._results[layer] = LayerResult(bool(sealed) or sealed is None, problems)
        return self._results[layer]

    async def _problems(self, layer: Layer) -> list[Problem]:
        try:
            directory = await self._fetcher.directory(layer.id, layer.checksum, layer.count)
        except LayerGone:
            return [(FindingCode.LAYER_MISSING, "It does not exist.")]
        except UnknownFormat as error:
            return [(FindingCode.FORMAT_UNKNOWN, error.message)]
        except Corrupt as error:
            return [(FindingCode.LAYER_CHANGED, error.message)]
        problems, count = list[Problem](), 0
        async with aclosing(self._prover.read_back(layer.id, directory)) as results:
            async for result in results:
                if isinstance(result, ProvedBlock):
                    self._on_read(len(result.content.skus))
                problem = _problem(directory, result)
                if problem:
                    count += 1
                    problems += [problem] if count <= MAX_NAMED_BLOCKS else []
        if count > MAX_NAMED_BLOCKS:
            problems.append((FindingCode.BLOCK_DAMAGED, f"{count - MAX_NAMED_BLOCKS:,} more blocks are not sound."))
        return problems

    async def size(self, layers: Sequence[Layer]) -> int:
        """Return the number of prices of a stack of layers, newest first, which are proved. Raises `LayerGone`."""
        size = 0
        for depth in reversed(range(len(layers))):
            stack = tuple(layers[depth:])
            if stack not in self._sizes:
                self._sizes[stack] = size + await _with_retries(partial(self._gain, stack[0], stack[1:]))
            size = self._sizes[stack]
        return size

    async def _gain(self, newest: Layer, below: Sequence[Layer]) -> int:
        """Return how many prices more a stack of layers has with a layer on it."""
        layer = await self._reader.layer(newest)
        gain = layer.directory.count - sum(layer.directory.tombstones)
        for start in range(0, len(layer.directory), BLOCKS_PER_LOOKUP) if below else ():
            indexes = range(start, min(start + BLOCKS_PER_LOOKUP, len(layer.directory)))
            contents = await self._reader.contents(layer, indexes)
            skus = list(chain.from_iterable(content.skus for content in contents))
            hidden = await self._reader.find_rows(below, skus)
            gain -= sum(row != TOMBSTONE for row in hidden.values())
        return gain


def _problem(directory: Directory, result: ProvedBlock | Damage) -> Problem | None:
    if isinstance(result, Damage):
        return FindingCode(result.kind), result.text
    deviation = _deviation(directory, result)
    first = directory.firsts[result.index]
    return (FindingCode.BLOCK_DAMAGED, f"The block {first!r} {deviation}.") if deviation else None


def _deviation(directory: Directory, block: ProvedBlock) -> str | None:
    """Return how the rows of a block, whose bytes are sound, contradict the directory; None if they agree.

    Wrong stats would hide prices from scans, and wrong order from look-ups.
    """
    skus, following = block.content.skus, block.index + 1
    if skus != sorted(set(skus)) or (following < len(directory) and skus[-1] >= directory.firsts[following]):
        return "is not in the order of its skus"
    actual, described = encode_block(skus, block.content.rows()).entry, directory.entry(block.index)
    wrong = [name for name in actual._fields if getattr(actual, name) != getattr(described, name)]
    return f"is not what its directory describes: {', '.join(wrong)}" if wrong else None


async def _with_retries(read: Callable[[], Awaitable[T]]) -> T:
    for _ in range(MAX_READ_ATTEMPTS - 1):
        try:
            return await read()
        except AutoReconnect:
            continue
    return await read()
