"""Damaged files: truncated, altered or wrongly compressed. Each is rejected as a whole."""

import gzip
import json
import sys
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.conftest import REQUESTS, Target

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PUBLISH = """mutation ($i: PublishBatchInput!) { publishBatch(input: $i) {
  batch { state errorCount errors { code line } } userErrors { code } } }"""

FUZZ = settings(
    max_examples=max(REQUESTS // 5, 30),
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

values = st.sampled_from(["a", "EUR", "1.5", "-1", "", "$where", "x" * 300, "\x00", "€", '"', "2026-13-01"]) | st.text(
    max_size=8
)
row = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("sku", "amount", "currency", "validFrom", "validUntil", "tiers", "$set"), values)
)
ndjson = st.lists(row, max_size=6).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
columns = st.lists(
    st.sampled_from(["sku", "amount", "currency", "tier.10", "tier.x", "attributes.a", "attributes.", "validFrom", ""]),
    max_size=5,
)
csv = st.tuples(columns, st.lists(st.lists(values, max_size=6), max_size=6)).map(
    lambda table: "\n".join(",".join(cells) for cells in [table[0], *table[1]]).encode("utf-8", "replace")
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return a file that is truncated, altered or extended in places."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 3))):
        offset = draw(st.integers(0, len(data)))
        damage = draw(st.sampled_from(["truncate", "flip", "insert"]))
        if damage == "truncate":
            del data[offset:]
        elif damage == "flip" and offset < len(data):
            data[offset] ^= draw(st.integers(1, 255))
        else:
            data[offset:offset] = draw(st.binary(max_size=5))
    return bytes(data)


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return a file with its name, which may not match its content."""
    kind, content = draw(st.sampled_from([("ndjson", ndjson), ("csv", csv), ("ndjson", st.binary(max_size=200))]))
    suffix = draw(st.sampled_from([*COMPRESSIONS]))
    compressed = COMPRESSIONS[suffix](draw(content))
    name = draw(st.sampled_from([f"p.{kind}{suffix}"] * 6 + ["p.csv.gz", "p.ndjson.zst", "p", "../p.csv", "p.exe"]))
    return name, draw(damaged(compressed))


def form(key: str) -> dict[str, str]:
    """Return the form fields before the file."""
    batch = {"priceList": "uploads", "mode": "REPLACE", "idempotencyKey": key, "file": None}
    return {
        "operations": json.dumps({"query": PUBLISH, "variables": {"i": batch}}),
        "map": '{"0": ["variables.i.file"]}',
    }


keys = st.integers(0, 2**64).map(str)


@given(file=files(), key=keys)
@FUZZ
def test_damaged_files(target: Target, file: tuple[str, bytes], key: str) -> None:
    response = target.send(data=form(key), files={"0": file}).json()
    if "errors" not in response:
        payload = response["data"]["publishBatch"]
        assert payload["userErrors"] or payload["batch"]["state"] in ("PUBLISHED", "FAILED"), response


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a damaged multipart body."""
    name, content = draw(files())
    parts = [
        *(
            f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in form(draw(keys)).items()
        ),
        f'--b\r\nContent-Disposition: form-data; name="0"; filename="{name}"\r\n\r\n',
    ]
    return draw(damaged("".join(parts).encode() + content + b"\r\n--b--\r\n"))


@given(body=bodies(), boundary=st.sampled_from(["b"] * 8 + ["", "c", "b" * 100, '"']))
@FUZZ
def test_damaged_multipart_bodies(target: Target, body: bytes, boundary: str) -> None:
    target.send(content=body, headers={"content-type": f"multipart/form-data; boundary={boundary}"})


def test_a_decompression_bomb_is_rejected(target: Target) -> None:
    bomb: Any = gzip.compress(b"\n" * (64 << 20))
    response = target.send(data=form("bomb"), files={"0": ("p.ndjson.gz", bomb)}).json()
    assert response.get("errors") or response["data"]["publishBatch"]["userErrors"]
