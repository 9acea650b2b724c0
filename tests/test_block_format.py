"""The worked example of docs/block-format.md is what the code writes, byte for byte."""

import datetime
import json
import re
from pathlib import Path
from typing import Any

from storage.layers.block import encode_block, hash_of, open_block
from storage.layers.cutting import CUT_MODULUS, MAX_BLOCK_BYTES, MAX_BLOCK_ROWS, MIN_BLOCK_ROWS
from storage.layers.directory import PAGE_BLOCKS, Directory, Root, encode_page
from storage.prices.price import TOMBSTONE, encode_row

PAGE = (Path(__file__).parents[1] / "docs" / "block-format.md").read_text(encoding="utf-8")


def example(name: str) -> str:
    [found] = re.findall(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def example_bytes(name: str) -> bytes:
    """Return the bytes of an example, without its comments."""
    return bytes.fromhex(re.sub(r"#.*", "", example(name)))


def encoded(price: dict[str, Any]) -> bytes:
    if "amount" not in price:
        return TOMBSTONE
    return encode_row(
        price["amount"],
        price["currency"],
        [(tier["minQuantity"], tier["amount"]) for tier in price.get("tiers", [])],
        datetime.date.fromisoformat(price["validFrom"]) if "validFrom" in price else None,
        None,
        price.get("attributes"),
    )


PRICES: list[dict[str, Any]] = json.loads(example("rows"))
BLOCK = encode_block([price["sku"] for price in PRICES], [encoded(price) for price in PRICES])


def test_the_content_of_the_block_is_that_of_the_page() -> None:
    content = example_bytes("block")
    assert hash_of(content) == BLOCK.entry.hash == example_bytes("hash")
    assert open_block(BLOCK.frame, hash_of(content)).rows() == [encoded(price) for price in PRICES]
    assert f"the `_id` `{BLOCK.entry.first}`, {len(content)} bytes" in PAGE


def test_the_page_of_the_directory_and_the_checksum_are_those_of_the_page() -> None:
    content = encode_page([BLOCK.entry])
    assert content == example_bytes("page")
    assert f"the `_id` 0, {len(content)} bytes" in PAGE
    root = Root()
    root.add(content)
    assert root.hex == example("checksum").strip()
    assert Directory([content]).entry(0) == BLOCK.entry


def test_the_cut_rule_of_the_page_has_the_limits_of_the_code() -> None:
    assert f"has {MIN_BLOCK_ROWS} rows or more" in PAGE
    assert f"modulo {CUT_MODULUS} |" in PAGE
    assert f"has {MAX_BLOCK_ROWS} rows |" in PAGE
    assert f"{MAX_BLOCK_BYTES:,} bytes or more" in PAGE
    assert f"pages of {PAGE_BLOCKS:,} blocks" in PAGE
