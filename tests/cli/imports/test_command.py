"""`pricebook import`: the parts it sends, repeats and skips, and the result it prints."""

import asyncio
import io
import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner
from graphql import build_schema, extend_schema, parse, validate
from rich.console import Console

from cli import main
from cli.client import client
from cli.client.client import open_http
from cli.imports import batch_api, command
from cli.imports.parts import Part
from cli.imports.price_files import Format
from cli.imports.transfer import Transfer
from cli.progress import Progress
from tests.cli.imports.batch_server import Batch, BatchServer, Json, error, invalid, response
from tests.cli.imports.conftest import Run

CONTRACT = Path(__file__).parents[2] / "graph" / "contract.graphql"
ADDED = "extend type Batch { sequences: [Int!]! } extend type ItemError { line: Int duplicateOf: Int }"


def rows(batch: Batch) -> list[str]:
    return [json.loads(line)["sku"] for (line,) in batch.rows]


# ---------------------------------------------------------------- requests


def test_a_file_is_sent_in_parts_and_committed_with_their_number_and_size(
    run: Run, server: BatchServer, prices: str
) -> None:
    result = run(prices)
    assert result.exit_code == 0
    assert rows(server.batch) == [f"S{number}" for number in range(10)]
    assert server.batch.committed == {"batch": "b1", "parts": 5, "size": 10}
    assert server.batch.names == {number: f"{number}.ndjson.gz" for number in range(5)}
    assert result.stdout == "Published eu: version 7, 50,000 prices.\n"


def test_the_parts_of_a_csv_are_csv(run: Run, server: BatchServer, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("sku,amount,currency\nA,1,EUR\nB,2,EUR\nC,3,EUR\n")
    assert run(str(file)).exit_code == 0
    assert server.batch.parts == {
        0: b"sku,amount,currency\nA,1,EUR\nB,2,EUR\n",
        1: b"sku,amount,currency\nC,3,EUR\n",
    }
    assert server.batch.names == {0: "0.csv.gz", 1: "1.csv.gz"}


def test_the_options_become_fields_of_the_request(run: Run, server: BatchServer, prices: str) -> None:
    run(prices)
    request = server.batch.request
    assert request.pop("idempotencyKey").startswith("import-")
    assert request == {
        "priceList": "eu",
        "mode": "REPLACE",
        "publish": "WHEN_VALID",
        "expectedVersion": None,
        "label": None,
    }
    run(
        prices,
        *("--mode", "merge", "--publish", "on-approval", "--expected-version", "3", "--label", "Mon", "--key", "k"),
    )
    assert server.batch.request == {
        "priceList": "eu",
        "mode": "MERGE",
        "publish": "ON_APPROVAL",
        "expectedVersion": 3,
        "label": "Mon",
        "idempotencyKey": "k",
    }


def test_skus_to_remove_are_separate_parts_and_not_counted_as_prices(
    run: Run, server: BatchServer, prices: str, tmp_path: Path
) -> None:
    (tmp_path / "gone.txt").write_text("A\nB\nC\n")
    assert run(prices, "--mode", "merge", "--remove", str(tmp_path / "gone.txt")).exit_code == 0
    assert [server.batch.parts[5], server.batch.parts[6]] == [["A", "B"], ["C"]]
    assert server.batch.committed == {"batch": "b1", "parts": 7, "size": 10}


def test_a_merge_may_only_remove(run: Run, server: BatchServer, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_text("A\n")
    assert run("--mode", "merge", "--remove", str(tmp_path / "gone.txt")).exit_code == 0
    assert server.batch.parts == {0: ["A"]}
    assert server.batch.committed == {"batch": "b1", "parts": 1, "size": 0}


@pytest.mark.parametrize("parallel", [1, 3])
def test_parallel_bounds_the_concurrent_requests(run: Run, server: BatchServer, prices: str, parallel: int) -> None:
    server.expected_concurrent = parallel
    assert run(prices, "--parallel", str(parallel)).exit_code == 0
    assert server.max_concurrent == parallel


def test_a_missing_list_is_created_only_with_the_option(run: Run, server: BatchServer, prices: str) -> None:
    server.lists.clear()
    refused = run(prices)
    assert refused.exit_code == 1
    assert "There is no price list 'eu'. Create it with --create" in refused.stderr
    assert "Created the price list eu." in run(prices, "--create").stderr
    again = run(prices, "--create")
    assert again.exit_code == 0
    assert "Created" not in again.stderr


def test_the_token_of_the_environment_is_sent_as_bearer_token(run: Run, server: BatchServer, prices: str) -> None:
    run(prices, PRICEBOOK_TOKEN="t0ps3cret")
    assert server.token == "t0ps3cret"
    assert open_http("http://pricebook.test", "t0ps3cret", 1).headers["authorization"] == "Bearer t0ps3cret"
    assert "authorization" not in open_http("http://pricebook.test", None, 1).headers


def test_files_are_sent_with_a_header_that_forms_cannot_send(run: Run, server: BatchServer, prices: str) -> None:
    server.faults["append"] = [httpx.Response(400, text="stop here")]
    run(prices)
    assert server.headers["graphql-require-preflight"] == "1"


@pytest.mark.parametrize(
    "document",
    [batch_api.CREATE, batch_api.OPEN, batch_api.APPEND, batch_api.COMMIT, batch_api.STATUS, batch_api.ERRORS],
)
def test_the_documents_are_valid_against_the_schema(document: str) -> None:
    schema = extend_schema(build_schema(CONTRACT.read_text()), parse(ADDED))
    assert validate(schema, parse(document)) == []


# ---------------------------------------------------------------- broken connections


@pytest.mark.parametrize("operation", ["open", "append", "commit", "status"])
@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("Connection refused"),
        httpx.RemoteProtocolError("Server disconnected"),
        httpx.ReadTimeout(""),
        httpx.Response(502, text="<html>Bad Gateway</html>"),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(200, json={"data": None, "errors": [{"message": "No.", "extensions": {"code": "UNAVAILABLE"}}]}),
        httpx.Response(400, json={"errors": [{"message": "No.", "extensions": {"code": "INTERRUPTED"}}]}),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_interrupted_requests_are_repeated(
    run: Run, server: BatchServer, prices: str, operation: str, fault: httpx.Response | Exception
) -> None:
    server.sealing_polls = 1
    server.faults[operation] = [fault, fault, fault]
    result = run(prices)
    assert result.exit_code == 0
    assert rows(server.batch) == [f"S{number}" for number in range(10)]
    assert result.stderr.count("trying again in 0.0 s") == 3


def test_a_lost_response_does_no_harm(run: Run, server: BatchServer, prices: str) -> None:
    """The server has stored the part, but the response is lost."""
    append = server._append

    async def lose_the_first_response(request: Json, file: tuple[str, bytes] | None) -> httpx.Response:
        response = await append(request, file)
        if len(server.appended) == 1:
            raise httpx.ReadError("Connection reset by peer")
        return response

    server._append = lose_the_first_response  # type: ignore[method-assign]
    assert run(prices, "--parallel", "1").exit_code == 0
    assert server.appended == [0, 0, 1, 2, 3, 4]


def test_few_attempts_are_made_if_no_server_ever_responded(run: Run, server: BatchServer, prices: str) -> None:
    server.faults["open"] = [httpx.ConnectError("Connection refused")] * 100
    result = run(prices)
    assert result.exit_code == 1
    assert server.requests["open"] == client.MAX_FIRST_ATTEMPTS
    assert "No response from http://127.0.0.1:8000/graphql after 4 attempts" in result.stderr
    assert "Connection refused" in result.stderr


def test_many_attempts_are_made_if_the_server_responded_before(run: Run, server: BatchServer, prices: str) -> None:
    server.faults["append"] = [httpx.Response(503)] * 1000
    result = run(prices, "--parallel", "1")
    assert result.exit_code == 1
    assert server.requests["append"] == client.MAX_ATTEMPTS


def test_delays_grow_with_jitter_and_respect_retry_after(
    run: Run, server: BatchServer, prices: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays = []
    original_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            delays.append(seconds)
        await original_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(client, "FIRST_DELAY_SECONDS", 0.5)
    server.faults["commit"] = [*[httpx.Response(503)] * 9, httpx.Response(429, headers={"Retry-After": "7"})]
    assert run(prices).exit_code == 0
    for delay, longest in zip(delays[:9], [0.5, 1, 2, 4, 8, 15, 15, 15, 15], strict=True):
        assert longest / 2 <= delay <= longest
    assert delays[9:] == [7]


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (httpx.Response(413, text="too large"), "responded 413, not GraphQL: too large"),
        (httpx.Response(200, json=[]), "responded 200, not GraphQL"),
        (
            httpx.Response(401, json={"errors": [{"message": "No.", "extensions": {"code": "UNAUTHENTICATED"}}]}),
            "responded with errors:\n  UNAUTHENTICATED: No.",
        ),
        (
            response(appendBatch={"batch": None, "userErrors": [error("LINE_TOO_LONG")]}),
            "LINE_TOO_LONG: Read the manual.",
        ),
    ],
)
def test_refused_requests_are_not_repeated(
    run: Run, server: BatchServer, prices: str, refusal: httpx.Response, message: str
) -> None:
    server.faults["append"] = [refusal]
    result = run(prices, "--parallel", "1")
    assert result.exit_code == 1
    assert message in result.stderr
    assert server.requests["append"] == 1
    assert server.batch.committed is None


def test_invalid_items_are_reported_at_once_and_the_other_parts_still_sent(
    run: Run, server: BatchServer, prices: str
) -> None:
    server.bad_sequences = {1, 3}
    server.outcome = {"state": "FAILED", "errorCount": 2}
    server.errors = [invalid(2), invalid(6)]
    result = run(prices)
    assert result.exit_code == 1
    assert result.stderr.count("Read the manual. Continuing, to find all invalid items") == 1
    assert sorted(server.appended) == [0, 1, 2, 3, 4]
    assert "2  AMOUNT_NEGATIVE" in result.stdout


# ---------------------------------------------------------------- repeated commands


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
    assert rows(server.batch) == [f"S{number}" for number in range(10)]
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
    run(prices, "--chunk-rows", "3")
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
    assert rows(server.batches[second]) == [f"S{number}" for number in range(10)]


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


# ---------------------------------------------------------------- results


def test_a_batch_that_is_being_sealed_is_polled(run: Run, server: BatchServer, prices: str) -> None:
    server.sealing_polls = 3
    result = run(prices)
    assert result.exit_code == 0
    assert server.requests["status"] == 3
    assert result.stdout == "Published eu: version 7, 50,000 prices.\n"


def test_a_commit_is_repeated_while_the_batch_is_open(run: Run, server: BatchServer, prices: str) -> None:
    server.faults["commit"] = [
        response(commitBatch={"batch": {"id": "b1", "state": "OPEN"}, "snapshot": None, "userErrors": []})
    ]
    assert run(prices).exit_code == 0
    assert server.requests["commit"] == 2


def test_wait_returns_when_every_server_serves_the_version(run: Run, server: BatchServer, prices: str) -> None:
    server.served = [None, {"by": 0, "of": 0}, {"by": 1, "of": 3}, {"by": 2, "of": 3}, {"by": 3, "of": 3}]
    result = run(prices, "--wait")
    assert result.exit_code == 0
    assert result.stdout == "Published eu: version 7, 50,000 prices; 3 of 3 servers serve it.\n"


def test_without_wait_it_returns_after_publication(run: Run, server: BatchServer, prices: str) -> None:
    server.served = [{"by": 1, "of": 3}]
    assert run(prices).stdout == "Published eu: version 7, 50,000 prices; 1 of 3 servers serve it.\n"
    assert server.requests["status"] == 0


def test_invalid_items_have_their_lines_in_the_file(run: Run, server: BatchServer, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text('sku,amount,currency\nS0,1,EUR\n"S\n1",1,EUR\n\nS2,-1,EUR\nS3,-1,EUR\nS0,1,EUR\n')
    repeated = {**invalid(4, 2, code="DUPLICATE_SKU"), "duplicateOf": 0}
    server.outcome = {"state": "FAILED", "errorCount": 3}
    server.errors = [invalid(2, 2), invalid(3, 3, field=None), repeated]
    result = run(str(file))
    assert result.exit_code == 1
    assert "  line 6  AMOUNT_NEGATIVE  amount  sku S2\n    -1 is negative.\n" in result.stdout
    assert "  line 7  AMOUNT_NEGATIVE  sku S3\n    -1 is negative.\n" in result.stdout
    assert "  line 8  DUPLICATE_SKU  amount  sku S4\n    The sku is also on line 2. Keep one" in result.stdout


def test_an_error_in_the_header_is_reported_once(run: Run, server: BatchServer, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("\nsku,price,currency\nA,1,EUR\nB,1,EUR\nC,1,EUR\n")
    unknown = {"sku": None, "field": "price", "code": "COLUMN_UNKNOWN", "message": "There is no column 'price'."}
    missing = {"sku": None, "field": "amount", "code": "COLUMN_MISSING", "message": "It is missing."}
    server.errors = [
        invalid(0, 1, **unknown),
        invalid(0, 1, **missing),
        invalid(2, 1, **unknown),
        invalid(2, 1, **missing),
    ]
    server.outcome = {"state": "FAILED", "errorCount": 4}
    result = run(str(file))
    assert "2 errors in the header row:" in result.stdout
    assert result.stdout.count("line 2  COLUMN_UNKNOWN  price") == 1
    assert result.stdout.count("line 2  COLUMN_MISSING  amount") == 1


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


def test_the_next_commands_have_the_endpoint_of_the_command_line(run: Run, server: BatchServer, prices: str) -> None:
    server.outcome = {"state": "HELD"}
    url = "http://pricebook.test/graphql"
    assert f'pricebook approve b1 --reason "..." --endpoint {url}\n' in run(prices, "--endpoint", url).stdout
    assert "--endpoint" not in run(prices, PRICEBOOK_ENDPOINT=url).stdout


def test_a_dry_run_creates_no_list(run: Run, server: BatchServer, prices: str) -> None:
    server.lists.clear()
    result = run(prices, "--create", "--dry-run")
    assert result.exit_code == 1
    assert "There is no price list 'eu'. A dry run creates nothing" in result.stderr
    assert server.lists == set()


def test_a_batch_that_a_gate_rejects_is_reported_with_the_reason(run: Run, server: BatchServer, prices: str) -> None:
    server.outcome = {"state": "REJECTED"}
    server.user_errors = [error("GATE_REJECTED")]
    server.sealing_polls = 2
    result = run(prices)
    assert result.exit_code == 1
    assert result.stdout == "Batch b1 of eu is REJECTED: nothing is published.\n  GATE_REJECTED: Read the manual.\n"


def test_with_json_the_batch_is_printed_as_json(run: Run, server: BatchServer, tmp_path: Path, prices: str) -> None:
    batch = json.loads(run(prices, "--json").stdout)
    assert (batch["id"], batch["state"], batch["version"]) == ("b1", "PUBLISHED", 7)
    (tmp_path / "gone.txt").write_text("A\n\n\n\n")
    server.outcome = {"state": "FAILED", "errorCount": 2}
    server.errors = [invalid(9, 2), invalid(10, field="remove")]
    result = run(prices, "--json", "--mode", "merge", "--remove", str(tmp_path / "gone.txt"))
    assert result.exit_code == 1
    assert [error["line"] for error in json.loads(result.stdout)["errors"]] == [10, 1]


# ---------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give a FILE, or --remove with --mode merge."),
        (["FILE", "--remove", "FILE"], "--remove requires --mode merge"),
        (["missing.csv"], "does not exist"),
        (["FILE", "--chunk-rows", "0"], "--chunk-rows"),
        (["FILE", "--mode", "append"], "--mode"),
        (["-", "--mode", "merge", "--remove", "-"], "Standard input cannot be both FILE and the skus to remove."),
        (["FILE", "--dry-run", "--publish", "on-approval"], "--dry-run publishes nothing"),
        (["FILE", "--json", "--errors-to", "-"], "--json prints the errors"),
    ],
)
def test_an_invalid_command_line_sends_nothing(
    run: Run, server: BatchServer, prices: str, arguments: list[str], message: str
) -> None:
    result = run(*(prices if argument == "FILE" else argument for argument in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not server.requests


def test_an_unreadable_file_is_not_published(run: Run, server: BatchServer, tmp_path: Path) -> None:
    (tmp_path / "prices.csv.gz").write_bytes(b"sku,amount,currency\n")
    result = run(str(tmp_path / "prices.csv.gz"))
    assert result.exit_code == 1
    assert "prices.csv.gz is not compressed, although its name ends in .gz. Rename it." in result.stderr
    assert server.batch.committed is None


def test_the_help_lists_exit_codes_and_options() -> None:
    help_text = CliRunner().invoke(command.import_, ["--help"]).stdout
    assert [int(code) for code in re.findall(r"^ +(\d+)  ", help_text.split("Exit codes:")[1], re.MULTILINE)] == [
        0,
        1,
        2,
        3,
        130,
    ]
    for option in command.import_.params:
        if isinstance(option, click.Option):
            assert option.opts[0] in help_text


# ---------------------------------------------------------------- progress


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
