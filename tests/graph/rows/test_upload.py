"""A batch can be uploaded as a file, from the request to the published version."""

import gzip
import json
from typing import Any

import pytest

from tests.graph.api import PUBLISH, Api

NDJSON = b'{"sku":"a","amount":"1.50","currency":"EUR"}\n{"sku":"b","amount":"2.00","currency":"EUR"}\n'
CSV = b"sku,amount,currency\na,1.50,EUR\nb,2.00,EUR\n"
AMOUNTS = {"a": "1.50", "b": "2.00"}

DOCUMENT = PUBLISH.replace("errors { index", "errors { index line")


@pytest.fixture
async def retail(api: Api) -> Api:
    """An empty list `retail`."""
    await api.create("retail")
    return api


async def send(api: Api, name: str, content: bytes, key: str = "k", **more: Any) -> dict[str, Any]:
    fields = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": key, "file": None, **more}
    response = await api.http.post(
        "/graphql",
        data={
            "operations": json.dumps({"query": DOCUMENT, "variables": {"input": fields}}),
            "map": json.dumps({"0": ["variables.input.file"]}),
        },
        files={"0": (name, content)},
    )
    body = response.json()
    assert "errors" not in body, body
    payload: dict[str, Any] = body["data"]["publishBatch"]
    return payload


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.ndjson", NDJSON),
        ("p.csv", CSV),
        ("p.jsonl.gz", gzip.compress(NDJSON, mtime=0)),
        ("P.CSV.GZ", gzip.compress(CSV, mtime=0)),
    ],
)
async def test_a_file_is_published(retail: Api, name: str, content: bytes) -> None:
    payload = await send(retail, name, content)
    assert payload["userErrors"] == []
    assert (payload["batch"]["state"], payload["snapshot"]["size"]) == ("PUBLISHED", 2)
    assert await retail.amounts("retail") == AMOUNTS


async def test_files_and_prices_have_the_same_checksum(retail: Api) -> None:
    prices = [json.loads(line) for line in NDJSON.splitlines()]
    payloads = [
        await send(retail, "p.ndjson", NDJSON, "k1"),
        await send(retail, "p.csv", CSV, "k2"),
        await retail.submit("retail", prices, "k3"),
    ]
    assert len({payload["batch"]["checksum"] for payload in payloads}) == 1


async def test_the_same_file_with_the_same_key_is_the_same_batch(retail: Api) -> None:
    first = await send(retail, "p.csv", CSV)
    again = await send(retail, "p.csv.gz", gzip.compress(CSV))
    assert again["userErrors"] == []
    assert again["batch"] == first["batch"]
    other = await send(retail, "p.csv", CSV.replace(b"1.50", b"1.51"))
    assert [error["code"] for error in other["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]


async def test_item_errors_have_their_line_in_the_file(retail: Api) -> None:
    payload = await send(retail, "p.csv", CSV + b"\nc,1,EUR\nd,x,EUR\n")
    assert [error["code"] for error in payload["userErrors"]] == ["BATCH_INVALID"]
    assert [(error["index"], error["line"], error["sku"]) for error in payload["batch"]["errors"]] == [(3, 6, "d")]
    assert await retail.amounts("retail") is None


async def test_a_file_that_cannot_be_read_changes_nothing(retail: Api) -> None:
    for number, (name, content, code) in enumerate(
        (
            ("p.xlsx", CSV, "UNKNOWN_ENCODING"),
            ("p.csv.gz", CSV, "WRONG_ENCODING"),
            ("p.csv.gz", gzip.compress(CSV, mtime=0)[:-1], "FILE_TRUNCATED"),
            ("p.csv.gz", gzip.compress(CSV, mtime=0)[:-1] + b"\1", "FILE_CORRUPT"),
        )
    ):
        payload = await send(retail, name, content, f"k{number}")
        assert [error["code"] for error in payload["userErrors"]] == [code]
    assert await retail.amounts("retail") is None


async def test_a_file_together_with_prices_is_rejected(retail: Api) -> None:
    payload = await send(retail, "p.csv", CSV, prices=[{"sku": "a", "amount": "1", "currency": "EUR"}])
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("PRICES_AND_FILE", ["input", "file"])
    ]
