"""The result of an import that is held, and the next commands that it names."""

import shlex

import click
import pytest

from cli import main
from tests.cli.imports.batch_server import BatchServer
from tests.cli.imports.conftest import Run


def test_a_held_batch_is_reported_with_its_findings_and_how_to_approve_it(
    run: Run, server: BatchServer, prices: str
) -> None:
    finding = {
        "gate": "maxShrinkPercent",
        "severity": "HOLD",
        "message": "It would shrink.",
        "observed": "60",
        "limit": "10",
    }
    summary = {"added": 1, "removed": 6_000, "changed": 0, "unchanged": 4_000}
    server.outcome = {"state": "HELD", "findings": [finding], "summary": summary}
    result = run(prices)
    assert result.exit_code == 3
    assert result.stdout.splitlines()[:3] == [
        "Batch b1 is held: version 7 of eu, 50,000 prices.",
        "  1 added, 6,000 removed, 0 changed, 4,000 unchanged",
        "  HOLD maxShrinkPercent: It would shrink. (observed 60, limit 10)",
    ]
    assert result.stdout.splitlines()[3:] == [
        "",
        "Publish it, or reject it:",
        '  pricebook approve b1 --reason "..."',
        '  pricebook reject b1 --reason "..."',
    ]


@pytest.mark.parametrize(
    ("gates", "hint"),
    [
        (
            ["pin"],
            ["eu is pinned.", "pricebook unpin eu --publish-latest --reason"],
        ),
        (
            ["onApproval"],
            ["Publish it, or reject it:", "pricebook approve b1 --reason", "pricebook reject b1 --reason"],
        ),
        (
            ["minSize", "pin"],
            ["First unpin it:", "pricebook unpin eu --reason", "Then publish it", "pricebook approve b1 --reason"],
        ),
    ],
)
def test_the_next_commands_depend_on_what_holds_the_batch(
    run: Run, server: BatchServer, prices: str, gates: list[str], hint: list[str]
) -> None:
    findings = [
        {"gate": gate, "severity": "HOLD", "message": "Wait.", "observed": None, "limit": None} for gate in gates
    ]
    server.outcome = {"state": "HELD", "findings": findings}
    shown = run(prices).stdout
    assert [part for part in hint if part not in shown] == []
    assert ("--publish-latest" in shown) == (gates == ["pin"])
    for line in (line for line in shown.splitlines() if line.startswith("  pricebook ")):
        name, *arguments = shlex.split(line)[1:]
        loaded = main.get_command(click.Context(main), name)
        assert loaded is not None
        loaded.make_context(name, arguments)


def test_the_next_commands_have_the_endpoint_of_the_command_line(run: Run, server: BatchServer, prices: str) -> None:
    server.outcome = {"state": "HELD"}
    url = "http://pricebook.test/graphql"
    assert f'pricebook approve b1 --reason "..." --endpoint {url}\n' in run(prices, "--endpoint", url).stdout
    assert "--endpoint" not in run(prices, PRICEBOOK_ENDPOINT=url).stdout
