"""`pricebook import` against a real server: all formats; interrupted, resumed, refused and held imports."""

import csv
import gzip
import json
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx
import pytest

from tests.acceptance.command import Command, running

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

READY = "Application startup complete."


@dataclass(frozen=True)
class Server:
    data_dir: Path
    url: str

    def ask(self, query: str) -> dict[str, Any]:
        with httpx.Client(trust_env=False, timeout=30) as client:
            body = client.post(self.url, json={"query": query}).json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    def prices(self, price_list: str, *skus: str) -> tuple[int, list[dict[str, Any] | None]]:
        """The size of the current version and some of its prices."""
        fields = f"size pricesBySku(skus: {json.dumps(skus)}) {{ sku amount attributes }}"
        snapshot = self.ask(f'{{ snapshot(priceList: "{price_list}") {{ {fields} }} }}')["snapshot"]
        return snapshot["size"], snapshot["pricesBySku"]

    def command(self, tmp_path: Path, *arguments: str) -> Command:
        return Command(tmp_path, "import", *arguments, PRICEBOOK_ENDPOINT=self.url)

    def run(self, tmp_path: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
        """Run an import and return its exit code and output."""
        return self.pricebook(tmp_path, "import", *arguments, stdin=stdin)

    def pricebook(self, tmp_path: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
        """Run a command and return its exit code and output."""
        with TemporaryFile() as file:
            file.write(stdin)
            file.seek(0)
            command = Command(tmp_path, *arguments, stdin=file, PRICEBOOK_ENDPOINT=self.url)
            with command.process:
                return command.wait(), command.output


def url_of(run: Command) -> str:
    run.read_until(READY)
    match = re.search(r"Listening on (\S+/graphql)", run.output)
    assert match is not None
    return match[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("server")
    with running(data_dir, "serve", PRICEBOOK_PORT="0") as run:
        yield Server(data_dir, url_of(run))


def ndjson(numbers: range, **changes: str) -> bytes:
    rows = ({"sku": f"S{number}", "amount": f"{number}.50", "currency": "EUR", **changes} for number in numbers)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_a_csv_with_line_ends_in_its_values_becomes_a_version(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv.gz"
    with gzip.open(file, "wt", encoding="utf-8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["sku", "amount", "currency", "attributes.note"])
        writer.writerows([f"S{number}", f"{number}.50", "EUR", f'one\n"two" é {number}'] for number in range(5_000))
    code, output = server.run(tmp_path, str(file), "--list", "csv", "--create", "--wait", "--part-rows", "700")
    assert code == 0, output
    assert "Published csv: version 1, 5,000 prices; 1 of 1 servers serve it." in output
    assert server.prices("csv", "S4999") == (
        5_000,
        [{"sku": "S4999", "amount": "4999.50", "attributes": {"note": 'one\n"two" é 4999'}}],
    )


def test_a_merge_changes_and_removes(server: Server, tmp_path: Path) -> None:
    file, changes, gone = tmp_path / "all.ndjson", tmp_path / "changes.ndjson.zst", tmp_path / "gone.txt"
    file.write_bytes(ndjson(range(3_000)))
    changes.write_bytes(zstd.compress(ndjson(range(100), amount="0.01")))
    gone.write_text("".join(f"S{number}\n" for number in range(2_000, 3_000)))
    assert server.run(tmp_path, str(file), "--list", "merge", "--create")[0] == 0
    code, output = server.run(
        tmp_path, str(changes), "--list", "merge", "--mode", "merge", "--remove", str(gone), "--part-rows", "300"
    )
    assert code == 0, output
    assert "0 added, 1,000 removed, 100 changed, 1,900 unchanged" in output
    size, (changed, unchanged, removed) = server.prices("merge", "S99", "S100", "S2000")
    assert size == 2_000
    assert changed is not None
    assert changed["amount"] == "0.01"
    assert unchanged is not None
    assert unchanged["amount"] == "100.50"
    assert removed is None


def test_after_ctrl_c_the_same_command_resumes(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "prices.ndjson"
    file.write_bytes(ndjson(range(10_000)))
    command = [str(file), "--list", "broken", "--create", "--part-rows", "100", "--parallel", "1"]
    with (first := server.command(tmp_path, *command)).process:
        wait_for_parts(server, "broken", 3)
        assert first.stop(signal.SIGINT) == 130, first.output
    assert "are stored; run the same command again to resume." in first.output
    code, output = server.run(tmp_path, *command)
    assert code == 0, output
    assert "of its parts are already stored" in output
    assert server.prices("broken", "S9999")[0] == 10_000
    code, output = server.run(tmp_path, *command)
    assert code == 0
    assert "An earlier run sent batch" in output
    assert server.ask('{ batches(priceList: "broken") { totalCount } }')["batches"]["totalCount"] == 1


def wait_for_parts(server: Server, price_list: str, count: int) -> None:
    query = f'{{ batches(priceList: "{price_list}", state: OPEN) {{ nodes {{ sequences }} }} }}'
    while not any(len(batch["sequences"]) >= count for batch in server.ask(query)["batches"]["nodes"]):
        pass


def test_an_import_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    file = tmp_path / "prices.ndjson"
    file.write_bytes(ndjson(range(10_000)))
    with running(tmp_path / "server", "serve", PRICEBOOK_PORT="0") as run:
        server = Server(run.data_dir, url_of(run))
        command = server.command(
            tmp_path, str(file), "--list", "restart", "--create", "--part-rows", "100", "--parallel", "1"
        )
        wait_for_parts(server, "restart", 3)
    with command.process:
        command.read_until("trying again in")
        port = re.findall(r":(\d+)/", server.url)[0]
        with running(tmp_path / "server", "serve", PRICEBOOK_PORT=port) as run:
            run.read_until(READY)
            assert command.wait() == 0, command.output
            assert server.prices("restart", "S9999")[0] == 10_000


def test_an_invalid_header_is_reported_once(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("sku,price,currency\n" + "A,1,EUR\n" * 1_000)
    code, output = server.run(tmp_path, str(file), "--list", "header", "--create", "--part-rows", "300")
    assert code == 1, output
    assert output.count("line 1  COLUMN_UNKNOWN  price") == 1, output


def printed_commands(output: str) -> list[list[str]]:
    """The arguments of the `pricebook` commands in an output."""
    lines = [line.strip() for line in output.splitlines() if line.startswith("  pricebook ")]
    return [shlex.split(line)[1:] for line in lines]


def test_a_held_batch_is_published_by_the_printed_command(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "prices.ndjson"
    file.write_bytes(ndjson(range(10)))
    command = [str(file), "--list", "held", "--create", "--publish", "on-approval"]
    code, output = server.run(tmp_path, *command)
    assert code == 3, output
    approve, reject = printed_commands(output)
    assert [approve[0], reject[0]] == ["approve", "reject"]
    assert server.pricebook(tmp_path, *approve, "--yes")[0] == 0
    assert server.run(tmp_path, *command)[0] == 0
    assert server.prices("held")[0] == 10


def test_a_batch_that_a_pin_holds_is_published_by_the_printed_command(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "prices.ndjson"
    file.write_bytes(ndjson(range(10)))
    command = [str(file), "--list", "pinned", "--create"]
    code, output = server.run(tmp_path, *command)
    assert code == 0, output
    assert not re.search(r"\b0 of [1-9]", output), "the server that answered serves it"
    assert server.pricebook(tmp_path, "pin", "pinned", "1", "--reason", "audit", "--yes")[0] == 0
    file.write_bytes(ndjson(range(20)))
    code, output = server.run(tmp_path, *command)
    assert code == 3, output
    [unpin] = printed_commands(output)
    code, output = server.pricebook(tmp_path, *unpin, "--yes")
    assert code == 0, output
    assert server.prices("pinned")[0] == 20


def test_a_dry_run_prints_the_changes_and_changes_nothing(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "prices.ndjson"
    file.write_bytes(ndjson(range(10)))
    arguments = [str(file), "--list", "dry", "--create"]
    code, output = server.run(tmp_path, *arguments, "--dry-run")
    assert code == 1, output
    assert "There is no price list 'dry'." in output
    assert server.ask('{ priceList(name: "dry") { name } }') == {"priceList": None}
    assert server.run(tmp_path, *arguments)[0] == 0
    file.write_bytes(ndjson(range(5, 12)))
    for _ in range(2):
        code, output = server.run(tmp_path, *arguments, "--dry-run")
        assert code == 0, output
        assert "2 added, 5 removed, 0 changed, 5 unchanged" in output
        assert "nothing is published: the batch would be published." in output
    assert server.ask('{ priceList(name: "dry") { currentVersion } }')["priceList"]["currentVersion"] == 1


def test_prices_come_through_a_pipe_and_all_errors_go_to_a_file(server: Server, tmp_path: Path) -> None:
    rows = ndjson(range(2_000)).replace(b'"EUR"', b'"EURO"').splitlines(keepends=True)
    good = ndjson(range(2_000)).splitlines(keepends=True)
    sent = b"".join(bad if number % 2 else well for number, (bad, well) in enumerate(zip(rows, good, strict=True)))
    bad = tmp_path / "bad.csv"
    arguments = ["-", "--list", "piped", "--create", "--part-rows", "300", "--errors-to", str(bad)]
    for _ in range(2):
        code, output = server.run(tmp_path, *arguments, stdin=gzip.compress(sent, mtime=0))
        assert code == 1, output
        with bad.open(encoding="utf-8", newline="") as table:
            found = [(row["line"], row["index"], row["sku"], row["code"]) for row in csv.DictReader(table)]
        assert found == [(f"{n + 1}", f"{n}", f"S{n}", "CURRENCY_UNKNOWN") for n in range(1, 2_000, 2)]
        bad.unlink()
    assert server.run(tmp_path, *arguments, stdin=b"".join(good))[0] == 0
    assert server.prices("piped")[0] == 2_000
