"""`pricebook export` against a real server: an import of the file has the same checksum."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command import ROOT, Command
from tests.acceptance.test_import import Server, server

__all__ = ["server"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

ROWS = 2_345


@pytest.fixture
def shop(server: Server, tmp_path: Path) -> str:
    """The name of a new list with several pages of prices."""
    name = f"shop-{secrets.token_hex(4)}"
    prices = tmp_path / "sent.ndjson"
    rows = (
        {"sku": f"S{n}", "amount": f"{n}.50", "currency": "EUR", "attributes": {"colour": f'no. {n}, "light"\n'}}
        for n in range(ROWS)
    )
    prices.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, output = server.run(tmp_path, str(prices), "--list", name, "--create")
    assert code == 0, output
    return name


def export(server: Server, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    with (command := Command(tmp_path, "export", *arguments, PRICEBOOK_ENDPOINT=server.url)).process:
        return command.wait(), command.output


def checksum(server: Server, price_list: str) -> str:
    [batch] = server.ask(f'{{ batches(priceList: "{price_list}", first: 1) {{ nodes {{ checksum }} }} }}')["batches"][
        "nodes"
    ]
    return str(batch["checksum"])


@pytest.mark.parametrize("name", ["back.ndjson", "back.csv.gz"])
def test_an_import_of_an_export_has_the_same_prices(server: Server, tmp_path: Path, shop: str, name: str) -> None:
    file = tmp_path / name
    code, output = export(server, tmp_path, shop, "-o", str(file))
    assert code == 0, output
    assert f"Exported {shop}: version 1, 2,345 prices to {file}." in output
    again = f"{shop}-{name[5]}"
    assert server.run(tmp_path, str(file), "--list", again, "--create")[0] == 0
    assert checksum(server, again) == checksum(server, shop)


def test_without_a_file_the_export_is_written_to_standard_output(server: Server, tmp_path: Path, shop: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cli", "export", shop, "--version", "1", "--format", "csv"],
        cwd=ROOT,
        env={**os.environ, "PRICEBOOK_ENDPOINT": server.url},
        capture_output=True,
        check=True,
    )
    assert run.stdout.startswith(b"sku,amount,currency,attributes.colour\r\nS0,0.50,EUR,")
    assert run.stdout.count(b"\r\n") == ROWS + 1


def test_a_missing_version_leaves_the_file_unchanged(server: Server, tmp_path: Path, shop: str) -> None:
    file = tmp_path / "kept.ndjson"
    file.write_text("kept")
    code, output = export(server, tmp_path, shop, "--version", "7", "-o", str(file))
    assert code == 1
    assert "SNAPSHOT_NOT_FOUND" in output
    assert file.read_text() == "kept"


def test_a_name_without_a_known_format_is_an_error(server: Server, tmp_path: Path) -> None:
    code, output = export(server, tmp_path, "shop", "-o", str(tmp_path / "prices.txt"))
    assert code == 2
    assert "--format" in output
