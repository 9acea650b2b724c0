"""Generated prices with realistic attributes, the same in every run."""

import json
import random
from collections.abc import Sequence
from typing import IO, Any

PUBLISH = """mutation($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { state } userErrors { code message } }
}"""


ROWS_PER_WRITE = 50_000


def prices(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return prices with consecutive skus."""
    generator = random.Random(first)
    return [
        {
            "sku": f"SKU-{number:08d}",
            "amount": f"{generator.randint(1, 99999)}.{generator.randint(0, 99):02d}",
            "currency": "EUR",
            "attributes": {"color": "red", "name": f"Item {number}", "size": number % 50},
        }
        for number in range(first, first + count)
    ]


def at_version(version: int, count: int) -> list[dict[str, Any]]:
    """Return prices whose amounts are the number of their version."""
    return [{**price, "amount": f"{version}.00"} for price in prices(count)]


def publish_body(price_list: str, key: str, rows: Sequence[dict[str, Any]], mode: str = "REPLACE") -> bytes:
    """Return the request that publishes a batch."""
    input_ = {"priceList": price_list, "mode": mode, "idempotencyKey": key, "prices": rows}
    return json.dumps({"query": PUBLISH, "variables": {"input": input_}}).encode()


def write_rows(file: IO[bytes], count: int, amounts: int = 0) -> None:
    """Write prices as NDJSON, and rewind the file. Another value of `amounts` changes all amounts."""
    for first in range(0, count, ROWS_PER_WRITE):
        for row in prices(min(ROWS_PER_WRITE, count - first), first):
            row["amount"] = f"{row['amount']}{amounts or ''}"
            file.write(json.dumps(row).encode() + b"\n")
    file.seek(0)
