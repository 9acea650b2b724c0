"""The memory of cached layers is as it is counted: against `sys.getsizeof` of every object, and resident memory."""

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage.layers.block_cache import BlockCache
from storage.layers.cached_layer import CachedBlock, CachedLayer, DecodedBlock
from storage.layers.directory import Directory
from storage.prices.price import Price, Tier, encode_row
from tests.storage.layers import resident_memory
from tests.storage.layers.memory_layers import MemoryLayer

ROWS = 10_000


def plain(number: int) -> bytes:
    return encode_row(f"{number * 7919 % 100_000 / 100:.2f}", "EUR")


def rich(number: int) -> bytes:
    day = datetime.date(2026, 1, 1 + number % 28)
    attributes = {"colour": f"c{number % 7}", "weight": number / 7, "supplier": {"id": number, "tags": ["a", "bc"]}}
    tiers = [(10, "9.50"), (1000, "8.25")] if number % 3 else []
    return encode_row(f"{number % 1000}.95", "EUR", tiers, day if number % 2 else None, None, attributes)


def names_of_its_own(number: int) -> bytes:
    return encode_row("1.00", "EUR", attributes={f"attribute {number} {place}": number for place in range(5)})


KINDS: dict[str, Callable[[int], bytes]] = {"plain": plain, "rich": rich, "names of its own": names_of_its_own}


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest) -> MemoryLayer:
    """A layer of many rows of a kind."""
    return MemoryLayer("a", {f"sku-{number:08}": KINDS[request.param](number) for number in range(ROWS)})


def size_of(value: Any, seen: set[int]) -> int:
    """The memory of an object and all that it holds, each object once."""
    if id(value) in seen or value is None or isinstance(value, type):
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        return size + sum(size_of(part, seen) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return size + sum(size_of(part, seen) for part in value)
    if isinstance(value, Price | Tier):
        return size + sum(size_of(getattr(value, name), seen) for name in value.__struct_fields__)
    if isinstance(value, CachedLayer | CachedBlock | DecodedBlock | Directory):
        return size + sum(size_of(getattr(value, name), seen) for name in value.__slots__)
    return size


def fill(cache: BlockCache, source: MemoryLayer, *, decoded: bool) -> CachedLayer:
    layer = cache.add_layer(source.layer.id, source.directory)
    for index, block in enumerate(source.blocks):
        if decoded:
            cache.add_decoded(layer, index, DecodedBlock(source.content(index)))
        else:
            cache.add(layer, index, block.frame)
    return layer


@pytest.mark.parametrize("decoded", [False, True])
def test_it_counts_the_memory_of_all_its_objects(source: MemoryLayer, decoded: bool) -> None:
    cache = BlockCache(1 << 30)
    layer = fill(cache, source, decoded=decoded)
    assert cache.total_bytes == pytest.approx(size_of(layer, set()), rel=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("kind", "times"), [("frames", 60), ("decoded", 6)])
def test_it_counts_the_resident_memory(source: MemoryLayer, tmp_path: Path, kind: str, times: int) -> None:
    path = tmp_path / "layer"
    path.write_bytes(msgspec.msgpack.encode([source.page, [block.frame for block in source.blocks]]))
    command = [sys.executable, "-m", resident_memory.__name__, str(path), kind, str(times)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()  # noqa: S603
    resident, counted = map(int, printed)
    assert counted == pytest.approx(resident, rel=0.15)
