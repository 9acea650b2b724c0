"""Prices to measure with: made up, the same in every run, with attributes as real ones have."""

import json
import random
from collections.abc import Sequence
from typing import IO, Any

PUBLISH = """mutation($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { state } userErrors { code message } }
}"""


STEP = 50_000


def prices(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return prices with consecutive skus."""
    chance = random.Random(first)
    return [
        {
            "sku": f"SKU-{number:08d}",
            "amount": f"{chance.randint(1, 99999)}.{chance.randint(0, 99):02d}",
            "currency": "EUR",
            "attributes": {"color": "red", "name": f"Item {number}", "size": number % 50},
        }
        for number in range(first, first + count)
    ]


def at_version(version: int, count: int) -> list[dict[str, Any]]:
    """Return prices that all say which version they are of."""
    return [{**price, "amount": f"{version}.00"} for price in prices(count)]


def publish_body(price_list: str, key: str, rows: Sequence[dict[str, Any]], mode: str = "REPLACE") -> bytes:
    """Return the request that publishes a batch."""
    given = {"priceList": price_list, "mode": mode, "idempotencyKey": key, "prices": rows}
    return json.dumps({"query": PUBLISH, "variables": {"input": given}}).encode()


def write_rows(file: IO[bytes], count: int, amounts: int = 0) -> None:
    """Write prices as NDJSON, so many at once, and go back to the beginning; of other `amounts` all are others."""
    for first in range(0, count, STEP):
        for row in prices(min(STEP, count - first), first):
            row["amount"] = f"{row['amount']}{amounts or ''}"
            file.write(json.dumps(row).encode() + b"\n")
    file.seek(0)
