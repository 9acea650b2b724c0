"""The result of an import that is held, and the next commands that it names."""

import datetime
import shlex

import click
import pytest

from cli import main
from cli.imports.batch_api import BatchRequest
from cli.imports.content_key import content_key
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


SCHEDULED = {"gate": "schedule", "severity": "HOLD", "message": "It is scheduled.", "observed": None, "limit": None}
AT = "2026-11-28T00:00:00+01:00"
AT_IN_UTC = "2026-11-27T23:00:00+00:00"


def test_a_scheduled_batch_is_reported_with_its_instant(run: Run, server: BatchServer, prices: str) -> None:
    server.outcome = {"state": "HELD", "findings": [SCHEDULED]}
    result = run(prices, "--publish-at", AT)
    assert result.exit_code == 0
    assert [batch.request["publishAt"] for batch in server.batches.values()] == [AT_IN_UTC]
    assert result.stdout.splitlines() == [
        "Batch b1 is scheduled for 2026-11-27T23:00:00Z: version 7 of eu, 50,000 prices.",
        "  HOLD schedule: It is scheduled.",
        "",
        "Publish it now, at another time, or reject it:",
        '  pricebook approve b1 --reason "..."',
        '  pricebook reschedule b1 --at INSTANT --reason "..."',
        '  pricebook reject b1 --reason "..."',
    ]


def test_a_scheduled_batch_that_would_be_held_if_it_were_due_ends_as_a_held_one(
    run: Run, server: BatchServer, prices: str
) -> None:
    server.outcome = {"state": "HELD", "findings": [SCHEDULED, {**SCHEDULED, "gate": "minSize"}]}
    result = run(prices, "--publish-at", AT)
    assert result.exit_code == 3
    assert "Checked now, it would be held for a review when it is due: minSize." in result.stdout


@pytest.mark.parametrize(
    ("more", "code", "verdict"),
    [
        ([], 0, "would be scheduled for 2026-11-27T23:00:00Z."),
        (["HOLD"], 3, "would be scheduled for 2026-11-27T23:00:00Z, and held for a review then if nothing changes."),
        (["REJECT"], 1, "would be rejected."),
    ],
)
def test_a_dry_run_of_a_scheduled_batch_would_be_scheduled(
    run: Run, server: BatchServer, prices: str, more: list[str], code: int, verdict: str
) -> None:
    findings = [{**SCHEDULED, "gate": "minSize", "severity": each, "message": "It is small."} for each in more]
    server.outcome = {"state": "ABORTED", "findings": [SCHEDULED, *findings]}
    result = run(prices, "--publish-at", AT, "--dry-run")
    assert result.exit_code == code
    assert result.stdout.splitlines() == [
        f"Checked eu, a dry run, nothing is published: the batch {verdict}",
        *(f"  {each} minSize: It is small." for each in more),
    ]


def test_waiting_for_the_servers_needs_a_batch_that_is_published_now(
    run: Run, server: BatchServer, prices: str
) -> None:
    result = run(prices, "--publish-at", AT, "--wait")
    assert (result.exit_code, "leave it out with --publish-at" in result.stderr) == (2, True)
    assert not server.batches


def test_the_instant_is_part_of_the_key(run: Run, server: BatchServer, prices: str) -> None:
    run(prices, "--publish-at", AT)
    run(prices)
    run(prices, "--publish-at", AT)
    assert len(server.batches) == 2
    run(prices, "--publish-at", AT_IN_UTC)
    assert len(server.batches) == 2, "the same instant in another offset is the same batch"


def test_a_batch_that_is_published_at_once_has_the_same_key_as_ever() -> None:
    request = BatchRequest("eu", "REPLACE", "", "WHEN_VALID", None, None)
    assert content_key(request, [], 2) == "import-c07045d6fd4bc9c78b5b686e6547ccf6"


def test_a_span_counts_from_now(run: Run, server: BatchServer, prices: str) -> None:
    run(prices, "--publish-at", "12h")
    [batch] = server.batches.values()
    instant = datetime.datetime.fromisoformat(batch.request["publishAt"])
    ahead = instant - datetime.datetime.now(datetime.UTC)
    assert abs(ahead - datetime.timedelta(hours=12)) < datetime.timedelta(minutes=5)


def test_an_import_with_a_span_is_resumed_with_the_instant_that_it_printed(
    run: Run, server: BatchServer, prices: str
) -> None:
    server.interrupt_after = 2
    first = run(prices, "--publish-at", "12h", "--parallel", "1")
    instant = server.batch.request["publishAt"]
    assert f"To be published at {instant}.\n" in first.stderr
    assert f"run the same command again, with --publish-at {instant}, to resume." in first.stderr
    assert "Resuming batch b1" in run(prices, "--publish-at", instant).stderr
    assert len(server.batches) == 1


@pytest.mark.parametrize(
    ("instant", "message"),
    [("2026-11-28T00:00:00", "daylight saving"), ("2026-11-28", "daylight saving"), ("tomorrow", "is not an instant")],
)
def test_a_local_time_is_refused(run: Run, server: BatchServer, prices: str, instant: str, message: str) -> None:
    result = run(prices, "--publish-at", instant)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not server.batches


WAITING = {"gate": "release", "severity": "HOLD", "message": "It waits.", "observed": None, "limit": None}


@pytest.fixture
def releases(server: BatchServer) -> BatchServer:
    """A server with an open release, one of the same name that is published, and two open ones of one name."""
    created = {"createdBy": "ops", "createdAt": AT_IN_UTC}
    named = {"r1": ("spring", "OPEN"), "r2": ("spring", "PUBLISHED"), "r3": ("twin", "OPEN"), "r4": ("twin", "OPEN")}
    server.releases = {
        key: {"id": key, "name": name, "state": state, **created} for key, (name, state) in named.items()
    }
    server.outcome = {"state": "HELD", "findings": [WAITING]}
    return server


@pytest.mark.parametrize("name_or_id", ["spring", "r1"])
def test_a_batch_waits_in_its_release(run: Run, releases: BatchServer, prices: str, name_or_id: str) -> None:
    result = run(prices, "--release", name_or_id)
    assert result.exit_code == 0
    assert releases.batch.request["release"] == "r1"
    assert result.stdout.splitlines() == [
        "Batch b1 waits in release spring: version 7 of eu, 50,000 prices.",
        "  HOLD release: It waits.",
        "",
        "It is published with its release:",
        '  pricebook release publish r1 --reason "..."',
        "Reject it to take it out of the release:",
        '  pricebook reject b1 --reason "..."',
    ]


def test_a_batch_that_would_hold_its_release_ends_as_a_held_one(run: Run, releases: BatchServer, prices: str) -> None:
    releases.outcome["findings"] = [WAITING, {**WAITING, "gate": "minSize"}]
    result = run(prices, "--release", "spring")
    assert result.exit_code == 3
    assert "Checked now, it would hold the whole release: minSize." in result.stdout
    assert '  pricebook approve b1 --reason "..."' in result.stdout


def test_a_name_that_is_not_that_of_one_open_release_is_refused(run: Run, releases: BatchServer, prices: str) -> None:
    several = run(prices, "--release", "twin")
    assert (several.exit_code, "r3  OPEN" in several.stderr, "r4  OPEN" in several.stderr) == (1, True, True)
    missing = run(prices, "--release", "autumn")
    assert (missing.exit_code, "There is no open or scheduled release 'autumn'." in missing.stderr) == (1, True)
    assert not releases.batches


def test_the_release_is_part_of_the_key(run: Run, releases: BatchServer, prices: str) -> None:
    run(prices, "--release", "spring")
    run(prices, "--release", "r1")
    assert len(releases.batches) == 1
    releases.releases["r1"]["state"] = "DISCARDED"
    releases.releases["r5"] = {**releases.releases["r1"], "id": "r5", "state": "OPEN"}
    run(prices, "--release", "spring")
    assert len(releases.batches) == 2, "the name is that of another release by now"


@pytest.mark.parametrize("option", [["--publish-at", "12h"], ["--dry-run"], ["--wait"]])
def test_a_release_excludes_what_is_decided_by_it(
    run: Run, releases: BatchServer, prices: str, option: list[str]
) -> None:
    assert run(prices, "--release", "spring", *option).exit_code == 2
    assert not releases.batches
