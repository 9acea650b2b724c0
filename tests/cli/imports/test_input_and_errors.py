"""`pricebook import -` reads standard input; `--errors-to` writes all errors to a file."""

import csv
import gzip
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cli import exit_codes
from cli.imports import batch_api, command, standard_input
from cli.imports.parts import Part
from tests.cli.imports.batch_server import BatchServer, invalid
from tests.cli.imports.conftest import Run
from tests.waiting import DEADLINE_SECONDS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize(
    ("sent", "name", "header"),
    [
        (b'\n  {"sku": "S0"}\n{"sku": "S1"}\n', "0.ndjson.gz", b""),
        (b'\xef\xbb\xbf{"sku": "S0"}\n{"sku": "S1"}\n', "0.ndjson.gz", b""),
        (b"sku,amount\nS0,1\nS1,1\n", "0.csv.gz", b"sku,amount\n"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress])
def test_the_format_of_standard_input_is_recognised(
    run: Run, server: BatchServer, sent: bytes, name: str, header: bytes, compress: Callable[[bytes], bytes]
) -> None:
    assert run("-", stdin=compress(sent)).exit_code == 0
    assert server.batch.names == {0: name}
    part = server.batch.parts[0]
    assert isinstance(part, bytes)
    assert part.startswith(header)
    assert server.batch.committed == {"batch": "b1", "parts": 1, "size": 2}


def test_standard_input_is_stored_for_the_import_in_a_file_without_a_name(
    run: Run, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    append = batch_api.BatchApi.append
    stored: list[Path] = []

    def look(api: batch_api.BatchApi, batch_id: str, part: Part) -> Awaitable[str | None]:
        stored.extend(tmp_path.iterdir())
        return append(api, batch_id, part)

    monkeypatch.setattr(batch_api.BatchApi, "append", look)
    rows = b"".join(b'{"sku": "S%d"}\n' % number for number in range(10))
    server.interrupt_after = 2
    assert run("-", stdin=rows).exit_code == 130
    assert run("-", stdin=rows).exit_code == 0
    assert sorted(server.appended) == list(range(5)), "the same bytes resume the same batch"
    assert len(server.batches) == 1
    assert stored == [], "whatever ends the process, nothing is left on disk"


def test_the_errors_of_standard_input_have_lines(run: Run, server: BatchServer) -> None:
    server.outcome = {"state": "FAILED", "errorCount": 1}
    server.errors = [invalid(1)]
    result = run("-", "--errors-to", "-", stdin=gzip.compress(b"sku,amount\nA,1\n\nS1,-1\n"))
    assert "4,1,S1,amount,AMOUNT_NEGATIVE,-1 is negative.\n" in result.stdout


@pytest.mark.parametrize("arguments", [["-"], ["--mode", "merge", "--remove", "-"]])
def test_a_closed_standard_input_is_a_usage_error(arguments: list[str]) -> None:
    script = 'exec "$0" -m cli import --list eu "$@" <&-'
    done = subprocess.run(["sh", "-c", script, sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, "Standard input is closed" in done.stderr) == (exit_codes.USAGE_ERROR, True), done.stderr


def test_skus_to_remove_may_come_from_standard_input(run: Run, server: BatchServer) -> None:
    assert run("--mode", "merge", "--remove", "-", stdin=b"A\nB\n").exit_code == 0
    assert server.batch.parts == {0: ["A", "B"]}


def test_too_much_standard_input_is_refused(
    run: Run, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(standard_input, "MAX_INPUT_BYTES", 10)
    result = run("-", stdin=b"sku,amount\nA,1\n")
    assert result.exit_code == 1
    assert "Save it to a file and import that." in result.stderr
    assert (server.batches, list(tmp_path.iterdir())) == ({}, [])


def test_standard_input_that_cannot_be_stored_is_refused(
    run: Run, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(standard_input, "TemporaryFile", lambda **_: full)
        result = run("-", stdin=b"sku,amount\nA,1\n")
    assert (result.exit_code, server.batches) == (exit_codes.FAILURE, {})
    assert "Standard input cannot be stored" in result.stderr
    assert "No space left on device. Set TMPDIR" in result.stderr


def test_damaged_standard_input_is_named(run: Run, server: BatchServer) -> None:
    result = run("-", stdin=gzip.compress(b"sku,amount\nA,1\n" * 1000)[:-20])
    assert result.exit_code == 1
    assert "standard input cannot be decompressed" in result.stderr
    assert server.batch.committed is None


def test_all_errors_are_written_to_a_file(
    run: Run, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, bad = tmp_path / "prices.ndjson", tmp_path / "bad.csv"
    file.write_text("\n".join(f'{{"sku": "S{number}"}}' for number in range(250)))
    server.outcome = {"state": "FAILED", "errorCount": 250}
    server.errors = [invalid(number, message='Say "no", then,\nstop.') for number in range(250)]
    monkeypatch.setattr(batch_api, "ERRORS_PER_PAGE", 100)
    bad.write_text("of an earlier run")
    bad.chmod(0o600)
    result = run(str(file), "--errors-to", str(bad))
    assert result.exit_code == 1
    assert server.requests["errors"] == 3
    with bad.open(encoding="utf-8", newline="") as table:
        found = list(csv.DictReader(table))
    assert list(found[0]) == ["line", "index", "sku", "field", "code", "message"]
    assert [(row["line"], row["index"], row["sku"]) for row in found] == [
        (str(number + 1), str(number), f"S{number}") for number in range(250)
    ]
    assert {row["message"] for row in found} == {'Say "no", then,\nstop.'}
    assert stat.S_IMODE(bad.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bad.csv", "prices.ndjson"]


@pytest.mark.parametrize("count", [1, 24_000])
def test_a_file_that_has_not_all_errors_says_so(
    run: Run, server: BatchServer, prices: str, tmp_path: Path, count: int
) -> None:
    server.outcome = {"state": "FAILED", "errorCount": count}
    server.errors = [invalid(3), invalid(3, field="currency")]
    shown = run(prices, "--errors-to", str(tmp_path / "bad.csv")).stderr
    note = "Only the errors of the first 1 of 24,000 invalid items are written: the server does not keep the others.\n"
    assert (note in shown) == (count > 1)


def test_without_errors_the_file_of_errors_has_only_a_header(
    run: Run, server: BatchServer, prices: str, tmp_path: Path
) -> None:
    assert run(prices, "--errors-to", str(tmp_path / "bad.csv")).exit_code == 0
    assert (tmp_path / "bad.csv").read_text() == "line,index,sku,field,code,message\n"


def test_errors_on_standard_output_leave_the_report_to_standard_error(
    run: Run, server: BatchServer, prices: str
) -> None:
    server.outcome = {"state": "FAILED", "errorCount": 1}
    server.errors = [invalid(3)]
    result = run(prices, "--errors-to", "-")
    assert result.stdout.splitlines() == [
        "line,index,sku,field,code,message",
        "4,3,S3,amount,AMOUNT_NEGATIVE,-1 is negative.",
    ]
    assert "Batch b1 of eu is FAILED" in result.stderr


def test_a_file_of_errors_that_cannot_be_written_is_named_before_anything_is_sent(
    run: Run, server: BatchServer, prices: str, tmp_path: Path
) -> None:
    result = run(prices, "--errors-to", str(tmp_path / "missing" / "bad.csv"))
    assert (result.exit_code, server.batches) == (exit_codes.USAGE_ERROR, {})
    assert "bad.csv cannot be written" in result.stderr


def test_errors_that_cannot_be_written_after_the_import_leave_its_result(
    run: Run, server: BatchServer, prices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(command, "exit_code", lambda *_: exit_codes.HELD)
    with_errors = batch_api.BatchApi.with_errors

    async def remove_folder(api: batch_api.BatchApi, outcome: batch_api.Outcome) -> batch_api.Outcome:
        shutil.rmtree(folder)
        return await with_errors(api, outcome)

    monkeypatch.setattr(batch_api.BatchApi, "with_errors", remove_folder)
    result = run(prices, "--errors-to", str(folder / "bad.csv"))
    assert (result.exit_code, result.stdout) == (exit_codes.HELD, "Published eu: version 7, 50,000 prices.\n")
    assert "Warning: " in result.stderr
    assert "bad.csv cannot be written: No such file or directory." in result.stderr


@pytest.mark.parametrize("fails", ["a file that is no price file", "no list", "interrupted"])
def test_the_errors_of_an_earlier_run_do_not_outlast_one_that_fails(
    run: Run, server: BatchServer, prices: str, tmp_path: Path, fails: str
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("of an earlier run")
    if fails == "no list":
        server.lists.clear()
    elif fails == "interrupted":
        server.interrupt_after = 2
    else:
        prices = str(Path(prices).rename(tmp_path / "prices.pdf"))
    assert run(prices, "--errors-to", str(bad)).exit_code in (exit_codes.FAILURE, exit_codes.INTERRUPTED)
    assert bad.read_text() == "line,index,sku,field,code,message\n"


def test_a_pipe_receives_the_errors_once(run: Run, server: BatchServer, prices: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    server.outcome = {"state": "FAILED", "errorCount": 1}
    server.errors = [invalid(3)]
    assert run(prices, "--errors-to", str(pipe)).exit_code == exit_codes.FAILURE
    reader.join(DEADLINE_SECONDS)
    assert received == ["line,index,sku,field,code,message\n4,3,S3,amount,AMOUNT_NEGATIVE,-1 is negative.\n"]


@pytest.mark.parametrize("option", ["FILE", "--remove"])
def test_the_errors_do_not_replace_what_is_imported(
    run: Run, server: BatchServer, prices: str, tmp_path: Path, option: str
) -> None:
    before = Path(prices).read_bytes()
    (tmp_path / "link").symlink_to(prices)
    files = [prices] if option == "FILE" else ["--mode", "merge", "--remove", prices]
    result = run(*files, "--errors-to", str(tmp_path / "link"))
    assert (result.exit_code, server.batches) == (exit_codes.USAGE_ERROR, {})
    assert Path(prices).read_bytes() == before
