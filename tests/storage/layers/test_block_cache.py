"""The block cache frees what it drops, and counts what it keeps."""

import gc
import weakref
from sys import getsizeof

from storage.layers.block import encode_block, reopen_block
from storage.layers.block_cache import BlockCache, DecodedBlock
from storage.layers.directory import Directory, encode_page
from storage.prices.price import encode_row

BLOCK = encode_block(["a"], [encode_row("1.00", "EUR")])


class Watched(Directory):
    """A directory that can be observed to be freed."""

    __slots__ = ("__weakref__",)


def test_a_dropped_layer_is_freed_although_nothing_was_evicted() -> None:
    cache = BlockCache()
    directory = Watched([encode_page([BLOCK.entry])])
    freed = weakref.ref(directory)
    layer = cache.add_layer("x", directory)
    cache.add(layer, 0, BLOCK.frame)
    cache.add_decoded(layer, 0, DecodedBlock(reopen_block(BLOCK.frame)))
    cache.drop("x")
    del layer, directory
    gc.collect()
    assert freed() is None
    assert cache.bytes == 0


def test_skus_of_any_script_are_counted_as_they_are() -> None:
    latin, chinese = (
        Directory([encode_page([encode_block([sku], [encode_row("1.00", "EUR")]).entry])]) for sku in ("tea", "お茶だ")
    )
    more = getsizeof(chinese.firsts[0]) - getsizeof(latin.firsts[0])
    assert chinese.memory_bytes - latin.memory_bytes == more > 20
