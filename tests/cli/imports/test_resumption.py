"""The same command again resumes an import: it sends no part twice."""

from pathlib import Path

import pytest

from tests.cli.imports.batch_server import BatchServer, invalid
from tests.cli.imports.conftest import Run


def test_after_ctrl_c_the_same_command_sends_only_missing_parts(run: Run, server: BatchServer, prices: str) -> None:
    server.interrupt_after = 2
    first = run(prices, "--parallel", "1")
    assert first.exit_code == 130
    assert "of batch b1 are stored; run the same command again to resume." in first.stderr
    assert first.stdout == ""
    assert server.batch.committed is None
    stored = set(server.batch.parts)
    assert stored < set(range(5))
    server.appended.clear()
    second = run(prices)
    assert second.exit_code == 0
    assert f"Resuming batch b1: {len(stored)} of its parts are already stored." in second.stderr
    assert sorted(server.appended) == sorted(set(range(5)) - stored)
    assert server.batch.skus == [f"S{number}" for number in range(10)]
    assert server.batch.committed == {"batch": "b1", "parts": 5, "size": 10}


def test_ctrl_c_during_publication_does_not_stop_it(run: Run, server: BatchServer, prices: str) -> None:
    server.sealing_polls, server.interrupt_on_status = 3, True
    first = run(prices)
    assert first.exit_code == 130
    assert "Batch b1 is being published; run the same command again" in first.stderr
    server.interrupt_on_status = False
    server.appended.clear()
    second = run(prices)
    assert second.exit_code == 0
    assert server.appended == []
    assert "Published eu: version 7" in second.stdout


def test_a_published_file_is_not_sent_again(run: Run, server: BatchServer, prices: str) -> None:
    run(prices)
    server.appended.clear()
    again = run(prices, "--parallel", "2")
    assert again.exit_code == 0
    assert server.appended == []
    assert len(server.batches) == 1
    assert "An earlier run sent batch b1; nothing is sent again." in again.stderr


def test_other_content_or_options_are_another_batch(run: Run, server: BatchServer, prices: str, tmp_path: Path) -> None:
    run(prices)
    run(prices, "--part-rows", "3")
    run(prices, "--mode", "merge")
    run(prices, "--label", "Mon")
    (tmp_path / "gone.txt").write_text("A\n")
    run(prices, "--mode", "merge", "--remove", str(tmp_path / "gone.txt"))
    (tmp_path / "gone.txt").write_text("B\n")
    run(prices, "--mode", "merge", "--remove", str(tmp_path / "gone.txt"))
    with Path(prices).open("a") as file:
        file.write('{"sku": "S10"}\n')
    run(prices)
    assert len(server.batches) == 7


@pytest.mark.parametrize("state", ["ABORTED", "REJECTED", "FAILED"])
def test_a_failed_batch_is_replaced_by_a_new_one(run: Run, server: BatchServer, prices: str, state: str) -> None:
    server.outcome = {"state": state}
    assert run(prices).exit_code == 1
    server.outcome = {"state": "PUBLISHED"}
    assert run(prices).exit_code == 0
    first, second = server.batches
    assert second == f"{first}-2"
    assert server.batches[second].skus == [f"S{number}" for number in range(10)]


def test_invalid_items_are_shown_again_and_not_sent_again(run: Run, server: BatchServer, prices: str) -> None:
    server.outcome = {"state": "FAILED", "errorCount": 1}
    server.errors = [invalid(3)]
    assert run(prices).exit_code == 1
    server.appended.clear()
    again = run(prices)
    assert again.exit_code == 1
    assert server.appended == []
    assert "AMOUNT_NEGATIVE" in again.stdout


def test_under_the_users_key_a_failed_batch_is_not_replaced(run: Run, server: BatchServer, prices: str) -> None:
    server.outcome = {"state": "ABORTED"}
    run(prices, "--key", "mine")
    assert run(prices, "--key", "mine").exit_code == 1
    assert list(server.batches) == ["mine"]


def test_under_the_users_key_the_server_compares_stored_parts(run: Run, server: BatchServer, prices: str) -> None:
    server.interrupt_after = 2
    assert run(prices, "--key", "mine", "--parallel", "1").exit_code == 130
    server.appended.clear()
    Path(prices).write_text('{"sku": "X"}\n' * 10)
    result = run(prices, "--key", "mine", "--parallel", "1")
    assert result.exit_code == 1
    assert "SEQUENCE_REUSED" in result.stderr
    assert server.batch.committed is None
