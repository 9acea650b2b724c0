"""`pricebook layer`: the directory of a layer and the rows of a block, for people and as JSON; and what is wrong."""

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import main
from storage import BatchMode, BatchOrder, Snapshot, Store
from storage.layers.block import collection_of
from tests.storage.factories import create, published, row, rows, source


@pytest.fixture
async def snapshot(store: Store) -> Snapshot:
    """A version of 300 prices."""
    await create(store)
    tea = row(
        "tea", "12.50", tiers=[{"minQuantity": 10, "amount": "11.90"}], validFrom="2026-01-01", attributes={"tax": 7}
    )
    await published(store, [*rows(299, "7.00"), tea])
    found = await store.snapshots.get("retail", 1)
    assert found is not None
    return found


@pytest.fixture
def layer(snapshot: Snapshot) -> str:
    return snapshot.layers[0].id


async def run(store: Store, uri: str, *arguments: str) -> Result:
    environment = {"PRICEBOOK_MONGODB_URI": uri, "PRICEBOOK_MONGODB_DATABASE": store.db.name}
    return await asyncio.to_thread(CliRunner().invoke, main, ["layer", *arguments], env=environment)


async def printed(store: Store, uri: str, *arguments: str) -> dict[str, Any]:
    result = await run(store, uri, *arguments, "--json")
    assert result.exit_code == 0, result.output
    record: dict[str, Any] = json.loads(result.stdout)
    return record


async def test_it_prints_the_directory(store: Store, mongodb_uri: str, snapshot: Snapshot, layer: str) -> None:
    result = await run(store, mongodb_uri, layer)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"Layer {layer}, sealed, checksum {snapshot.layers[0].checksum}."
    assert lines[1] == "Versions: retail 1."
    assert lines[2].startswith("300 rows, 0 of them tombstones, in ")
    assert lines[3].split() == [
        "FIRST",
        "SKU",
        "ROWS",
        "TOMBSTONES",
        "BYTES",
        "LEAST",
        "GREATEST",
        "CURRENCIES",
        "FROM",
        "UNTIL",
    ]
    assert lines[4].split()[0] == "sku-000000"
    assert lines[-1].split()[-5:] == ["7.00", "12.50", "EUR", "-", "-"]
    assert sum(int(line.split()[1]) for line in lines[4:]) == 300


async def test_a_long_directory_is_cut_and_says_so(store: Store, mongodb_uri: str, layer: str) -> None:
    result = await run(store, mongodb_uri, layer, "--limit", "1")
    assert "The first 1 follow; `--limit 0` shows all." in result.stdout
    assert len(result.stdout.splitlines()) == 5
    everything = await printed(store, mongodb_uri, layer, "--limit", "0")
    assert len(everything["blocks"]) == everything["blockCount"] > 1


async def test_json_has_the_same(store: Store, mongodb_uri: str, snapshot: Snapshot, layer: str) -> None:
    record = await printed(store, mongodb_uri, layer)
    [block, *_] = record.pop("blocks")
    assert record.pop("blockCount") > 1
    assert record == {
        "layer": layer,
        "checksum": snapshot.layers[0].checksum,
        "count": 300,
        "sealed": True,
        "versions": [{"priceList": "retail", "version": 1}],
    }
    assert len(bytes.fromhex(block.pop("hash"))) == 32
    assert block == {
        "first": "sku-000000",
        "rows": block["rows"],
        "tombstones": 0,
        "rowBytes": 10 * block["rows"],
        "least": "7.00",
        "greatest": "7.00",
        "currencies": ["EUR"],
        "validFrom": None,
        "validUntil": None,
    }


async def test_it_prints_the_rows_of_a_block(store: Store, mongodb_uri: str, layer: str) -> None:
    result = await run(store, mongodb_uri, layer, "--block", "tea")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["SKU", "AMOUNT", "CURRENCY", "FROM", "UNTIL", "TIERS", "ATTRIBUTES"]
    assert lines[-1].split() == ["tea", "12.50", "EUR", "2026-01-01", "-", "10:11.90", '{"tax":7}']
    [*_, tea] = (await printed(store, mongodb_uri, layer, "--block", "tea"))["rows"]
    assert tea == {
        "sku": "tea",
        "amount": "12.50",
        "currency": "EUR",
        "tiers": [{"minQuantity": 10, "amount": "11.90"}],
        "validFrom": "2026-01-01",
        "validUntil": None,
        "attributes": {"tax": 7},
    }


async def test_it_prints_the_block_that_would_have_a_sku(store: Store, mongodb_uri: str, layer: str) -> None:
    result = await run(store, mongodb_uri, layer, "--block", "sku-000000x")
    assert "It has no row of 'sku-000000x'." in result.stdout
    assert "sku-000001" in result.stdout


async def test_a_tombstone_is_shown_as_removed(store: Store, mongodb_uri: str, layer: str) -> None:
    merge = BatchOrder("retail", BatchMode.MERGE, "merge", "integrator")
    await store.submitter.submit(merge, await source([row("cup")]), ["tea"])
    newest = await store.snapshots.get("retail", 2)
    assert newest is not None
    result = await run(store, mongodb_uri, newest.layers[0].id, "--block", "tea")
    assert result.stdout.splitlines()[-1].split() == ["tea", "removed", "-", "-", "-", "-", "-"]
    record = await printed(store, mongodb_uri, newest.layers[0].id, "--block", "tea")
    assert record["rows"][-1] == {"sku": "tea", "removed": True}


async def test_a_layer_without_a_version_is_shown(store: Store, mongodb_uri: str, layer: str) -> None:
    await store.db["snapshots"].delete_many({})
    result = await run(store, mongodb_uri, layer)
    assert "Versions: none." in result.stdout
    assert result.exit_code == 0


async def test_a_missing_layer_is_an_error(store: Store, mongodb_uri: str) -> None:
    result = await run(store, mongodb_uri, "no$such")
    assert result.exit_code == 1
    assert f"There is no layer 'no$such' in '{store.layers_db.name}'." in result.stderr


async def test_a_layer_that_is_still_written_is_an_error(store: Store, mongodb_uri: str) -> None:
    await store.layer_writer.create("new")
    result = await run(store, mongodb_uri, "new")
    assert result.exit_code == 1
    assert "Layer new has no directory: it is still being written" in result.stderr


async def test_a_sku_before_the_first_block_is_an_error(store: Store, mongodb_uri: str, layer: str) -> None:
    result = await run(store, mongodb_uri, layer, "--block", "a")
    assert result.exit_code == 1
    assert "can have 'a': the first block begins with 'sku-000000'." in result.stderr


async def test_a_damaged_block_is_named(store: Store, mongodb_uri: str, layer: str) -> None:
    collection = store.layers_db[collection_of(layer)]
    await collection.database.command({"collMod": collection.name, "validator": {}})
    await collection.update_one({"_id": "sku-000000"}, {"$set": {"data": b"damaged"}})
    result = await run(store, mongodb_uri, layer, "--block", "sku-000000")
    assert result.exit_code == 1
    assert f"The block 'sku-000000' of layer {layer} is damaged." in result.stderr
    assert (await run(store, mongodb_uri, layer)).stdout.startswith(f"Layer {layer}, NOT SEALED, ")
