"""`pricebook import`: the parts it sends, the result it prints, and its options."""

import json
import re
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner
from graphql import build_schema, extend_schema, parse, validate

from cli.client.client import open_http
from cli.imports import batch_api, command
from tests.cli.imports.batch_server import BatchServer, error, invalid, response
from tests.cli.imports.conftest import Run

CONTRACT = Path(__file__).parents[2] / "graph" / "contract.graphql"
ADDED = "extend type Batch { sequences: [Int!]! } extend type ItemError { line: Int duplicateOf: Int }"


# ---------------------------------------------------------------- requests


def test_a_file_is_sent_in_parts_and_committed_with_their_number_and_size(
    run: Run, server: BatchServer, prices: str
) -> None:
    result = run(prices)
    assert result.exit_code == 0
    assert server.batch.skus == [f"S{number}" for number in range(10)]
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
        (["FILE", "--part-rows", "0"], "--part-rows"),
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
