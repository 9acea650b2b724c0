"""`pricebook import --dry-run`: it exits as the real import would, and changes nothing."""

from typing import Any

import pytest

from tests.cli.imports.batch_server import BatchServer, error
from tests.cli.imports.conftest import Run


@pytest.mark.parametrize(
    ("severities", "user_errors", "code"),
    [([], [], 0), (["INFO"], [], 0), (["HOLD"], [], 3), (["HOLD", "REJECT"], [], 1), ([], [error("IDLE")], 1)],
)
def test_a_dry_run_exits_as_the_real_one_would(
    run: Run, server: BatchServer, prices: str, severities: list[str], user_errors: list[Any], code: int
) -> None:
    findings = [
        {"gate": "minSize", "severity": severity, "message": "It is small.", "observed": None, "limit": None}
        for severity in severities
    ]
    server.outcome = {"state": "ABORTED", "findings": findings}
    server.user_errors = user_errors
    result = run(prices, "--dry-run")
    assert server.batch.request["publish"] == "DRY_RUN"
    assert result.exit_code == code
    assert "nothing is published" in result.stdout
    verdict = {0: "would be published", 3: "would be held", 1: "would be rejected"}[code]
    assert (verdict in result.stdout) == (not user_errors)


def test_a_repeated_dry_run_does_not_try_the_keys_of_all_earlier_ones(
    run: Run, server: BatchServer, prices: str
) -> None:
    server.outcome = {"state": "ABORTED"}
    for number in range(1, 5):
        server.requests.clear()
        assert run(prices, "--dry-run").exit_code == 0
        assert (server.requests["open"], len(server.batches)) == (min(number, 2), number)


def test_a_dry_run_creates_no_list(run: Run, server: BatchServer, prices: str) -> None:
    server.lists.clear()
    result = run(prices, "--create", "--dry-run")
    assert result.exit_code == 1
    assert "There is no price list 'eu'. A dry run creates nothing" in result.stderr
    assert server.lists == set()
