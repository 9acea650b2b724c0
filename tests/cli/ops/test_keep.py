"""Versions are kept until an instant, and no longer, on the command line."""

import datetime

import pytest

from cli import exit_codes
from cli.ops import confirmation
from storage import Keep, Store
from tests.cli.ops.commands import Run, Stub, invoke, json_of
from tests.storage.factories import held, row, snapshot, versions

REASON = ("--reason", "an audit", "--yes")


async def kept(store: Store, version: int = 1) -> Keep | None:
    return (await snapshot(store, version)).keep


async def test_a_version_is_kept_and_no_longer(run: Run, store: Store) -> None:
    await versions(store, 2)
    day = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)).date()
    done = await run("keep", "retail", "1", "--until", day.isoformat(), *REASON)
    assert done.exit_code == 0, done.output
    end = datetime.datetime.combine(day, datetime.time(), datetime.UTC) + datetime.timedelta(days=1)
    shown = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert done.stdout == f"Version 1 of retail is kept until {shown}.\n"
    found = await kept(store)
    assert found is not None
    assert (found.until, found.reason) == (end, "an audit")
    [plan] = await json_of(run, "retain", "retail", "--dry-run")
    assert [(each["version"], each["reason"]) for each in plan["kept"]] == [(1, "an audit")]
    released = await run("keep", "retail", "1", "--release", *REASON)
    assert released.stdout == "Version 1 of retail is no longer kept beyond retention.\n"
    assert await kept(store) is None
    again = await run("keep", "retail", "1", "--release", *REASON)
    assert (again.exit_code, "NOT_KEPT" in again.stderr, "--dry-run" in again.stderr) == (1, True, True)


async def test_what_is_kept_is_printed_as_json(run: Run, store: Store) -> None:
    await versions(store, 1)
    instant = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)).replace(microsecond=0)
    shown = await json_of(run, "keep", "retail", "1", "--until", instant.isoformat(), *REASON)
    assert shown == {"priceList": "retail", "version": 1, "keptUntil": instant.isoformat()}
    assert (await json_of(run, "keep", "retail", "1", "--release", *REASON))["keptUntil"] is None


@pytest.mark.parametrize("options", [(), ("--until", "30d", "--release")])
def test_either_an_instant_or_the_release_is_given(options: tuple[str, ...]) -> None:
    done = invoke("keep", "retail", "1", *options, *REASON)
    assert (done.exit_code, "either --until or --release" in done.stderr) == (exit_codes.USAGE_ERROR, True)


async def test_a_version_that_cannot_be_kept_is_refused(run: Run, store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    for version, until, code in (("2", "30d", "SNAPSHOT_NEVER_PUBLISHED"), ("1", "2020-01-01", "INVALID_UNTIL")):
        done = await run("keep", "retail", version, "--until", until, *REASON)
        assert (done.exit_code, code in done.stderr) == (exit_codes.FAILURE, True), done.output
    missing = await run("keep", "retail", "9", "--until", "30d", *REASON)
    assert (missing.exit_code, "SNAPSHOT_NOT_FOUND" in missing.stderr) == (exit_codes.FAILURE, True)


def test_keeping_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"size": 2, "publishedAt": None, "keptUntil": "2027-01-01T00:00:00+00:00"}
    payload = {"priceList": {"name": "a", "currentVersion": 9}, "userErrors": []}
    responses = {
        "Kept": {"priceList": {"currentVersion": 9}, "snapshot": found},
        "Keep": {"keepVersion": payload},
    }
    stub = Stub(monkeypatch, responses)
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    arguments = ("keep", "a", "3", "--until", "2031-01-31", "--reason", "needed")
    declined = invoke(*arguments, input="n\n")
    assert (declined.exit_code, stub.operations) == (1, ["Kept"])
    assert "Keep version 3 until 2031-02-01T00:00:00Z?" in declined.stderr
    assert "until 2027-01-01T00:00:00Z" in declined.stderr
    assert invoke(*arguments, input="y\n").exit_code == 0
    assert stub.inputs[-1] == {
        "priceList": "a",
        "version": 3,
        "until": "2031-02-01T00:00:00+00:00",
        "reason": "needed",
    }
