"""The progress of an import: rows, rows per second, time left."""

import io
import time

import pytest
from rich.console import Console

from cli.imports.parts import Part
from cli.imports.price_files import Format
from cli.imports.transfer import Transfer
from cli.progress import Progress


def part(number: int) -> Part:
    return Part(number, Format.NDJSON, b"", [b"{}\n"] * 1000, 250)


def test_progress_is_plain_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    output = io.StringIO()
    transfer = Transfer(1250)
    with Progress("sending", Console(file=output)) as progress:
        transfer.add_skipped(part(0))
        transfer.start()
        for number in range(1, 4):
            now += 3
            transfer.add_sent(part(number))
            progress.update(transfer.read_bytes, transfer.file_bytes, str(transfer))
        progress.wait_for("publishing")
        progress.wait_for("publishing")
    assert output.getvalue().splitlines() == ["  sending 3,000 rows, 333 rows/s, 0:00:06 left", "  publishing ..."]


def test_progress_is_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    output = io.StringIO()
    transfer = Transfer(1000)
    with Progress("sending", Console(file=output, force_terminal=True, width=120)) as progress:
        transfer.start()
        now += 4
        transfer.add_sent(part(0))
        progress.update(transfer.read_bytes, transfer.file_bytes, str(transfer))
        progress.note("connection failed")
    shown = output.getvalue()
    assert "━" in shown
    assert "1,000 rows, 250 rows/s, 0:00:12 left" in shown
    assert "connection failed" in shown
