"""A process that fills a block cache with layers from a file, and prints the memory that it took, and what was told.

Arguments: the file of a `MemoryLayer`, "frames" or "decoded", and the number of times to keep the layer.
"""

import gc
import sys
from pathlib import Path

import msgspec

from storage.layers.block import reopen_block
from storage.layers.block_cache import BlockCache
from storage.layers.cached_layer import DecodedBlock
from storage.layers.directory import Directory


def resident_bytes() -> int:
    """The resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(path: str, kind: str, times: str) -> None:
    """Fill a cache, and print the resident bytes and the cache's own figure."""
    cache = BlockCache(4 << 30)
    contents = Path(path).read_bytes()
    gc.collect()
    before = resident_bytes()
    for number in range(int(times)):
        page, frames = msgspec.msgpack.decode(contents, type=tuple[bytes, list[bytes]])
        layer = cache.add_layer(str(number), Directory([page]))
        for index, frame in enumerate(frames):
            if kind == "frames":
                cache.add(layer, index, frame)
            else:
                cache.add_decoded(layer, index, DecodedBlock(reopen_block(frame)))
        del page, frames, frame
    gc.collect()
    print(resident_bytes() - before, cache.total_bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
