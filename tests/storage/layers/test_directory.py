"""The directory of a layer."""

from sys import getsizeof

from storage.layers.block import encode_block
from storage.layers.directory import Directory, encode_page
from storage.prices.price import encode_row


def test_skus_of_any_script_are_counted_as_they_are() -> None:
    latin, chinese = (
        Directory([encode_page([encode_block([sku], [encode_row("1.00", "EUR")]).entry])]) for sku in ("tea", "お茶だ")
    )
    more = getsizeof(chinese.firsts[0]) - getsizeof(latin.firsts[0])
    assert chinese.memory_bytes - latin.memory_bytes == more > 20
