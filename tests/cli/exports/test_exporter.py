"""An export is one complete version, even if others are published; importing it gives the same version."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from cli import main
from cli.atomic_file import write_atomically
from cli.client import Json
from cli.client.errors import ApiError
from cli.exports import exporter as module
from cli.exports.exporter import Exported, Exporter
from storage import FileRows, Gates, Store, Unavailable
from storage.files.price_file import MAX_FILE_BYTES
from tests.graph.api import Api, row
from tests.graph.conftest import api
from tests.storage.factories import create, order, published
from tests.storage.reading import arriving

__all__ = ["api"]

ROWS = [
    row("P-1", "12.50", tiers=[{"minQuantity": 10, "amount": "11.00"}, {"minQuantity": 2, "amount": "12.000"}]),
    row("P-2", "0.10", "USD", validFrom="2026-01-01", validUntil="2026-12-31"),
    row("P-3", "1234567890.1234567890", attributes={"note": 'one\n"two", é', "colour": "blue"}),
    row("Ü 4", "0"),
]
CHECKSUM = "query ($l: ID!) { snapshot(priceList: $l) { version size batch { checksum } } }"


def exporter(api: Api, version: int | None = None, after_page: Callable[[], Awaitable[Any]] | None = None) -> Exporter:
    async def execute(document: str, variables: Json) -> Json:
        data = await api.data(document, **variables)
        if after_page:
            await after_page()
        return data

    return Exporter(execute, "retail", version, lambda _rows, _total: None)


async def ndjson(export: Exporter) -> tuple[Exported, list[Json]]:
    out = io.BytesIO()
    return await export.ndjson(out), [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.fixture
async def retail(api: Api) -> Api:
    await api.create("retail")
    return api


@pytest.mark.parametrize("name", ["all.ndjson", "all.csv", "all.ndjson.gz", "all.csv.zst"])
async def test_an_import_of_an_export_is_the_same_version(retail: Api, tmp_path: Path, name: str) -> None:
    await retail.publish("retail", ROWS)
    before = (await retail.data(CHECKSUM, l="retail"))["snapshot"]
    export = exporter(retail)
    with write_atomically(tmp_path / name) as out:
        await (export.csv(out) if ".csv" in name else export.ndjson(out))

    store = retail.runtime.store
    await store.client.drop_database(store.db.name)
    await store.client.drop_database(store.layers_db.name)
    await retail.runtime.store.price_list_editor.create("again", None, Gates(), "ops")
    file = FileRows(name, arriving([(tmp_path / name).read_bytes()]), MAX_FILE_BYTES)
    batch = await store.submitter.submit(order("again"), file)
    assert (batch.stored, batch.checksum) == (before["size"], before["batch"]["checksum"])


async def test_a_version_with_several_layers_is_exported_merged(retail: Api) -> None:
    await retail.publish("retail", ROWS)
    merged = await retail.submit("retail", [row("P-2", "9.00"), row("P-9")], mode="MERGE", remove=["P-1"])
    assert merged["batch"]["state"] == "PUBLISHED"
    prices = [row("P-2", "9.00"), ROWS[2], row("P-9"), ROWS[3]]
    assert await ndjson(exporter(retail)) == (Exported("retail", 2, 4), prices)
    exported, earlier = await ndjson(exporter(retail, 1))
    assert (exported, earlier[1:]) == (Exported("retail", 1, 4), ROWS[1:])


async def test_versions_published_meanwhile_are_not_mixed_in(retail: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXPORT", module.EXPORT.replace("first: 1000", "first: 2"))
    rows = [row(f"P-{n}", "1.00") for n in range(7)]
    await retail.publish("retail", rows)

    async def publish() -> None:
        await retail.publish("retail", [row(f"Q-{n}", "2.00") for n in range(9)])

    assert await ndjson(exporter(retail, after_page=publish)) == (Exported("retail", 1, 7), rows)


async def test_an_empty_version_is_an_empty_file(retail: Api) -> None:
    await retail.publish("retail", [row("P-1")])
    assert (await retail.submit("retail", [], mode="MERGE", remove=["P-1"]))["batch"]["state"] == "PUBLISHED"
    assert await ndjson(exporter(retail)) == (Exported("retail", 2, 0), [])
    out = io.BytesIO()
    assert await exporter(retail).csv(out) == Exported("retail", 2, 0)
    assert out.getvalue() == b"sku,amount,currency\r\n"


async def test_a_list_without_a_version_cannot_be_exported(retail: Api) -> None:
    with pytest.raises(ApiError, match="no price list 'retail' with a current version"):
        await ndjson(exporter(retail))


# The file


def test_a_failed_write_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.ndjson"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), write_atomically(path) as out:
        out.writelines([b"half", None])  # type: ignore[list-item]
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("prices.ndjson", b"before")]


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "prices.ndjson"
    with write_atomically(path) as out:
        out.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(Exception, match="cannot be written: No such file or directory"),
        write_atomically(tmp_path / "a" / "b"),
    ):
        raise AssertionError("It was opened.")


# Directly on MongoDB


def export(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments, "--direct"], env=environment)


async def test_without_a_server_it_reads_mongodb_directly(store: Store, mongodb_uri: str) -> None:
    await create(store)
    await published(store, [*ROWS])
    environment = {"PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": store.db.name}
    result = await asyncio.to_thread(export, "retail", **environment)
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["sku"] for line in result.stdout.splitlines()] == [each["sku"] for each in ROWS]
    assert "Exported retail: version 1, 4 prices." in result.stderr
    assert await store.db["processes"].count_documents({}) == 0, "it is not a server"


def test_direct_requires_a_mongodb() -> None:
    result = export("retail", PRICEBOOK_MONGODB_URI="")
    assert (result.exit_code, "PRICEBOOK_MONGODB_URI" in result.stderr) == (2, True)


def test_a_mongodb_that_does_not_respond_is_an_error() -> None:
    with patch.object(Store, "open", side_effect=Unavailable("MongoDB does not answer: x")):
        result = export("retail", PRICEBOOK_MONGODB_URI="mongodb://127.0.0.1:1/")
    assert (result.exit_code, result.stderr) == (1, "Error: MongoDB does not answer: x\n")
