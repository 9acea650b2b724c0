"""The commands that show something, over HTTP and directly on MongoDB: the same output either way."""

import asyncio
import datetime
import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from cli import COMMANDS, exit_codes, main
from cli.client import client
from cli.client.direct import operator
from cli.ops import connection
from storage import EventKind, PublishPolicy, Retention, SnapshotState, Store
from tests.cli.ops.commands import Run, Stub, cells, invoke, invoke_direct, json_of, output_of, server
from tests.graph.api import open_settings
from tests.storage.factories import create, held, published, row, snapshot, submit, versions

# ---------------------------------------------------------------- queries


async def test_lists_show_their_version_size_and_pin(run: Run, store: Store) -> None:
    await versions(store, 2)
    await create(store, "empty")
    await store.pointer_moves.pin("retail", 2, by="ops", reason="audit")
    heading, empty, retail = cells(await output_of(run, "lists"))
    assert heading == ["LIST", "VERSION", "PRICES", "PUBLISHED", "PINNED", "LABEL"]
    assert empty == ["empty", "-", "-", "-", "-", "-"]
    assert (retail[:3], retail[4:]) == (["retail", "2", "1"], ["pinned", "-"])
    assert retail[3].endswith("Z")
    assert [each["currentVersion"] for each in await json_of(run, "lists")] == [None, 2]


async def test_a_list_is_shown_with_waiting_batches(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "2")])
    shown = await output_of(run, "show", "retail")
    assert "at 1 by ops" in shown
    assert batch.id in shown
    assert (await json_of(run, "show", "retail"))["waiting"] == [batch.id]


async def test_a_list_is_shown_with_its_scheduled_batches(run: Run, store: Store) -> None:
    await versions(store, 1)
    at = (await store.now() + datetime.timedelta(hours=1)).replace(microsecond=0)
    scheduled = await submit(store, [row("a", "2")], publish_at=at)
    waiting = await submit(store, [row("a", "3")], publish=PublishPolicy.ON_APPROVAL)
    shown = cells(await output_of(run, "show", "retail"))
    assert [line for line in shown if line[0] in {"waiting", "scheduled", "next"}] == [
        ["waiting", waiting.id],
        ["scheduled", scheduled.id],
        ["next", "change", at.strftime("%Y-%m-%dT%H:%M:%SZ")],
    ]
    found = await json_of(run, "show", "retail")
    assert (found["waiting"], found["scheduled"]) == ([waiting.id], [scheduled.id])
    assert datetime.datetime.fromisoformat(found["nextChangeAt"]) == at


async def test_versions_are_listed_newest_first_up_to_the_limit(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 3)
    monkeypatch.setattr(connection, "PAGE_SIZE", 2)
    assert [row[0] for row in cells(await output_of(run, "snapshots", "retail"))] == ["VERSION", "3", "2", "1"]
    assert [row["version"] for row in await json_of(run, "snapshots", "retail", "--limit", "0")] == [3, 2, 1]
    await store.pointer_moves.rollback("retail", 2, by="ops", reason="wrong")
    marks = [each[:3] for each in cells(await output_of(run, "snapshots", "retail"))]
    assert marks == [
        ["VERSION", "STATE", "POINTER"],
        ["3", "PUBLISHED", "-"],
        ["2", "PUBLISHED", "current,pinned"],
        ["1", "PUBLISHED", "-"],
    ]
    shown = await json_of(run, "snapshots", "retail")
    assert [(each["current"], each["pinned"]) for each in shown] == [(False, False), (True, True), (False, False)]
    await store.pointer_moves.unpin("retail", by="ops", reason="done")
    assert [each["pinned"] for each in await json_of(run, "snapshots", "retail")] == [False] * 3
    few = await run("snapshots", "retail", "--limit", "2")
    assert [row[0] for row in cells(few.stdout)] == ["VERSION", "3", "2"]
    assert "--limit 0 shows all" in few.stderr


async def test_a_diff_shows_a_summary_and_each_sku_in_order(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await published(store, [row("a"), row("b"), row("c"), row("d")])
    await published(store, [row("a"), row("b", "2.50"), row("d", attributes={"n": 1}), row("e", currency="USD")])
    monkeypatch.setattr(connection, "PAGE_SIZE", 2)
    summary, _, *rest = (await output_of(run, "diff", "retail", "1", "2")).splitlines()
    assert summary == "1 added, 1 removed, 2 changed, 1 unchanged."
    assert [line.split() for line in rest] == [
        ["changed", "b", "1.00", "EUR", "2.50", "EUR", "-"],
        ["removed", "c", "1.00", "EUR", "-", "-"],
        ["changed", "d", "1.00", "EUR", "1.00", "EUR", "attributes.n"],
        ["added", "e", "-", "1.00", "USD", "-"],
    ]
    difference = await json_of(run, "diff", "retail", "1", "2")
    assert difference["summary"] == {"added": 1, "removed": 1, "changed": 2, "unchanged": 1}
    assert [each["sku"] for each in difference["differences"]] == ["b", "c", "d", "e"]
    assert (await json_of(run, "diff", "retail", "2", "2"))["differences"] == []


async def test_a_diff_names_the_fields_and_the_attributes_that_changed(run: Run, store: Store) -> None:
    await create(store)
    tiers = [{"minQuantity": 5, "amount": "0.90"}]
    kept = {"color": "red", "size": None, "sold": 1, "tags": ["a", "b"]}
    await published(store, [row("a", attributes=kept), row("b", attributes=kept)])
    changed = {"color": "blue", "sold": True, "tags": ["a", "b"], "new": None}
    await published(
        store, [row("a", attributes=changed, tiers=tiers, validFrom="2026-01-01"), row("b", "2.00", attributes=kept)]
    )
    *_, a, b = (await run("diff", "retail", "1", "2")).stdout.splitlines()
    names = ["tiers", "validFrom", "attributes.color", "attributes.new", "attributes.size", "attributes.sold"]
    assert a.split()[-1] == ",".join(names)
    assert b.split()[-1] == "-"
    differences = (await json_of(run, "diff", "retail", "1", "2"))["differences"]
    assert [each["fields"] for each in differences] == [names, ["amount"]]


async def test_the_history_of_a_sku_shows_each_change(run: Run, store: Store) -> None:
    await versions(store, 2)
    _, *rows = cells(await output_of(run, "history", "retail", "a"))
    assert [(each[0], each[2], each[3]) for each in rows] == [("2", "2", "EUR"), ("1", "1", "EUR")]
    assert [each["price"]["amount"] for each in await json_of(run, "history", "retail", "a")] == ["2", "1"]
    missing = await run("history", "retail", "nothing")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "Error: No version up to 2 that is kept has a price of 'nothing'.\n",
    )


async def test_the_history_of_a_removed_sku_shows_when_it_was_removed(run: Run, store: Store) -> None:
    await versions(store, 2)
    await published(store, [row("b")])
    await published(store, [row("b"), row("c")])
    _, *rows = cells(await output_of(run, "history", "retail", "a"))
    removed = (await snapshot(store, 3)).published_at
    assert removed is not None
    assert rows[0] == ["3", removed.strftime("%Y-%m-%dT%H:%M:%SZ"), "-", "-", "removed"]
    assert [(each[0], each[2]) for each in rows[1:]] == [("2", "2"), ("1", "1")]
    assert [each["version"] for each in await json_of(run, "history", "retail", "a", "--version", "2")] == [2, 1]


async def test_batches_are_filtered_by_list_and_state(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "2")])
    await create(store, "other")
    await published(store, [row("a")], "other")
    assert len(await json_of(run, "batches")) == 3
    [_, waiting] = cells((await run("batches", "retail", "--state", "held")).stdout)
    assert waiting[:4] == [batch.id, "retail", "HELD", "2"]
    assert "1 stored" in await output_of(run, "batch", batch.id)
    watched = await run("batch", batch.id, "--watch", "--json")
    assert (watched.exit_code, json.loads(watched.stdout)["state"]) == (exit_codes.HELD, "HELD")


async def test_events_are_listed_newest_first(run: Run, store: Store) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="an audit")
    heading, pinned, published_, created = cells(await output_of(run, "events", "retail"))
    assert heading == ["AT", "KIND", "VERSION", "BATCH", "BY"]
    assert pinned[1:] == ["PINNED", "1", "-", "ops:", "an", "audit"]
    assert (published_[1:3], created[1:4]) == (["PUBLISHED", "1"], ["CREATED", "-", "-"])
    found = await json_of(run, "events", "retail")
    assert [each["kind"] for each in found] == ["PINNED", "PUBLISHED", "CREATED"]
    assert [each[0] for each in (pinned, published_, created)] == [f"{each['at']:.16}Z" for each in found]
    assert [(each["fromVersion"], each["toVersion"]) for each in found] == [(1, 1), (None, 1), (None, None)]


async def test_events_name_the_version_that_was_held_and_its_batch(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "2")])
    await held(store, [row("a", "3")])
    await store.pointer_moves.unpin("retail", by="ops", reason="done")
    await published(store, [row("a", "4")])
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="right")
    assert (batch.version, approved.version) == (2, 5)
    shown = cells(await output_of(run, "events", "retail"))
    assert {kind: version for _, kind, version, of, *_ in shown if of == batch.id} == {"APPROVED": "5", "HELD": "2"}
    of_batch = [each for each in await json_of(run, "events", "retail") if each["batch"] == {"id": batch.id}]
    assert [(each["kind"], each["version"]) for each in of_batch] == [("APPROVED", 5), ("HELD", 2)]


async def test_followed_events_are_printed_one_per_line_until_ctrl_c(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    loop, polls = asyncio.get_running_loop(), 0

    def sleep(_: connection.Connection, seconds: float) -> None:
        nonlocal polls
        polls += 1
        if polls == 2:
            raise KeyboardInterrupt
        pinning = store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
        asyncio.run_coroutine_threadsafe(pinning, loop).result(30)

    monkeypatch.setattr(connection.Connection, "sleep", sleep)
    result = await run("events", "retail", "--follow", "--json", "--limit", "1")
    assert result.exit_code == exit_codes.INTERRUPTED
    # A server may see the pointer move later, but it reads events from MongoDB.
    assert [json.loads(line)["kind"] for line in result.stdout.splitlines()] == ["PUBLISHED", "PINNED"]


async def test_a_missing_list_is_an_error(run: Run) -> None:
    for command in (("show",), ("snapshots",), ("events",), ("rollback", "1", "--reason", "x", "--yes")):
        result = await run(command[0], "nothing", *command[1:])
        assert (result.exit_code, "no price list 'nothing'" in result.stderr) == (1, True), result.output


async def test_a_held_version_is_compared_before_its_approval(run: Run, store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    assert [row["version"] for row in await json_of(run, "snapshots", "retail")] == [2, 1]
    assert (await json_of(run, "diff", "retail", "1", "2"))["summary"]["changed"] == 1


async def test_a_held_version_needs_a_token_for_working_on_the_list(store: Store, mongodb_uri: str) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name, anonymous="prices:read")
    _, operator_key = await store.api_keys.create("ops", ["snapshots:operate:retail"], "admin")
    _, reader_key = await store.api_keys.create("shop", ["prices:read"], "admin")
    async with server(settings) as (endpoint, _):
        for command in (("diff", "retail", "1", "2"), ("export", "retail", "--version", "2")):
            shown, *hidden = [
                await asyncio.to_thread(invoke, *command, "--endpoint", endpoint, *token)
                for token in (["--token", operator_key], ["--token", reader_key], [])
            ]
            assert shown.exit_code == 0, shown.output
            for each in hidden:
                assert (each.exit_code, "SNAPSHOT_NOT_FOUND" in each.stderr) == (1, True), each.output


async def test_versions_are_expired_and_restored(run: Run, store: Store) -> None:
    await versions(store, 3)
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    await store.db["snapshots"].update_many({"_id.version": {"$ne": 3}}, {"$set": {"replacedAt": old}})
    await store.price_list_editor.update("retail", "ops", lambda known: replace(known, retention=Retention(1, 1)))
    [dry] = await json_of(run, "retain", "--dry-run")
    assert [each["version"] for each in dry["retirements"]] == [1, 2]
    assert "version 1" in (await run("retain", "retail", "--dry-run")).stdout
    marked = await run("retain", "retail")
    assert "again" in marked.stderr, "a version expires in two steps"
    # A server may record just now that it served a version as current, and may expire versions by itself.
    done = await expired_in_runs(run, store, old)
    assert [(await snapshot(store, version)).state for version in (1, 2)] == [SnapshotState.RETIRED] * 2
    events = await store.db["events"].find({"kind": EventKind.RETIRED, "by": {"$ne": "pricebook"}}).to_list()
    assert sorted(done) == sorted(event["version"] for event in events)
    gone = await run("rollback", "retail", "1", "--reason", "x", "--yes")
    assert gone.exit_code == 1, gone.output
    assert "Restored version 1" in (await run("restore", "retail", "1", "--reason", "needed", "--yes")).stdout
    assert (await json_of(run, "rollback", "retail", "1", "--reason", "x", "--yes"))["currentVersion"] == 1


async def expired_in_runs(run: Run, store: Store, marked_at: datetime.datetime) -> list[int]:
    """Run `retain` on marked versions until no more would expire; return those that it has expired."""
    done: list[int] = []
    async with asyncio.timeout(60):
        while (await json_of(run, "retain", "retail", "--dry-run"))[0]["retirements"]:
            await store.db["snapshots"].update_many({"doomedAt": {"$ne": None}}, {"$set": {"doomedAt": marked_at}})
            [retained] = await json_of(run, "retain", "retail")
            done += [each["version"] for each in retained["retirements"]]
    return done


# ---------------------------------------------------------------- with and without servers


async def test_a_direct_rollback_needs_no_server_and_records_the_user(store: Store, mongodb_uri: str) -> None:
    await versions(store, 2)
    arguments = ("rollback", "retail", "1", "--reason", "all is down", "--yes")
    result = await invoke_direct(store, mongodb_uri, *arguments)
    assert result.exit_code == 0, result.output
    event = await store.db["events"].find_one({"kind": EventKind.ROLLED_BACK})
    assert event is not None
    assert event["by"] == operator()
    assert await store.db["processes"].count_documents({}) == 0, "it is not a server"


async def test_a_running_server_follows_a_direct_rollback(store: Store, mongodb_uri: str) -> None:
    await versions(store, 2)
    async with (
        server(open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)) as (endpoint, _),
        httpx.AsyncClient(trust_env=False) as http,
    ):

        async def version() -> int:
            response = await http.post(endpoint, json={"query": '{ snapshot(priceList: "retail") { version } }'})
            found: int = response.json()["data"]["snapshot"]["version"]
            return found

        assert await version() == 2
        done = await invoke_direct(store, mongodb_uri, "rollback", "retail", "1", "--reason", "x", "--yes")
        assert done.exit_code == 0, done.output
        while await version() != 1:  # noqa: ASYNC110 - the server gives no event
            await asyncio.sleep(0.01)


def test_a_missing_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_DELAY_SECONDS", 0.001)
    result = invoke("lists", "--endpoint", "http://127.0.0.1:1/graphql")
    assert (result.exit_code, "No response from" in result.stderr) == (1, True), result.output


# ---------------------------------------------------------------- against a stub


RETAINED = {
    "retirements": [{"version": 1, "reason": "too old", "restorableUntil": "2026-11-24T00:00:00+00:00"}],
    "drops": [{"layer": "l1", "reason": "no version names it", "bytes": 5_000_000_000}],
    "kept": [{"version": 7, "until": "2027-01-01T00:00:00+00:00", "reason": "an audit"}],
    "userErrors": [],
}


def test_retain_applies_to_all_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {"nodes": [{"name": "a"}, {"name": "b"}], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    stub = Stub(monkeypatch, {"Lists": {"priceLists": lists}, "Retain": {"retain": RETAINED}})
    result = invoke("retain", "--dry-run", "--token", "secret")
    assert result.exit_code == 0, result.output
    assert stub.inputs[1:] == [{"priceList": name, "dryRun": True} for name in ("a", "b")]
    assert stub.authorization == "Bearer secret"
    assert cells(result.stdout)[1] == ["a", "version", "1", "-", "2026-11-24T00:00:00Z", "too", "old"]
    assert "5000000000" in result.stdout
    assert "nothing was changed" in result.stderr
    assert "Kept: version 7 of b until 2027-01-01T00:00:00Z: an audit" in result.stderr
    [shown] = json.loads(invoke("retain", "a", "--json").stdout)
    assert (shown["drops"], shown["kept"]) == (RETAINED["drops"], RETAINED["kept"])


def test_a_refusal_is_shown_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"code": "SNAPSHOT_EXPIRED", "message": "It is gone.", "path": None}
    current = {"priceList": {"currentVersion": 9}}
    Stub(monkeypatch, {"Current": current, "Restore": {"restore": {"priceList": None, "userErrors": [refused]}}})
    result = invoke("restore", "a", "3", "--reason", "needed", "--yes")
    assert result.exit_code == exit_codes.FAILURE
    assert result.stdout == ""
    assert "SNAPSHOT_EXPIRED: It is gone." in result.stderr
    assert "`pricebook snapshots LIST`" in result.stderr


def test_a_batch_is_watched_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: dict[str, Any] = {}
    batch: dict[str, Any] = {
        "id": "b",
        "priceList": "a",
        "mode": "REPLACE",
        "version": None,
        "label": None,
        "submittedBy": "i",
    }
    batch |= {"createdAt": "2026-11-24T00:00:00+00:00", "finishedAt": None, "publishAt": None}
    batch |= {"served": None, "summary": None, "release": None}
    batch |= {"findings": [], "errors": [], "errorCount": 0}
    batch |= {"madeOnVersion": None, "baseVersion": None, "rebased": None}
    batch |= {"progress": {"stored": 5, "received": 5, "expected": 10}, "state": "SEALING", "checksum": None}
    responses = {"Batch": {"batch": batch}}
    monkeypatch.setattr(connection.Connection, "sleep", lambda *_: responses.update(Batch={"batch": batch | ended}))
    for state, code in (("PUBLISHED", 0), ("HELD", 3), ("FAILED", 1)):
        ended = {"state": state}
        responses["Batch"] = {"batch": batch}
        Stub(monkeypatch, responses)
        result = invoke("batch", "b", "--watch")
        assert (result.exit_code, "SEALING: 5 of 10" in result.stderr) == (code, True), result.output


# ---------------------------------------------------------------- help and completion


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_lists_the_exit_codes(name: str) -> None:
    help_text = invoke(name, "--help").stdout
    assert "Exit codes:" in help_text
    if COMMANDS[name].import_path.startswith("cli.ops."):
        assert all(f"  {code}  " in help_text for code in (0, 1, 2, 130))


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --no")])
def test_each_shell_has_a_completion_script(shell: str, word: str) -> None:
    assert word in invoke("completion", shell).stdout


def test_commands_are_completed() -> None:
    words = {"_PRICEBOOK_COMPLETE": "bash_complete", "COMP_WORDS": "pricebook roll", "COMP_CWORD": "1"}
    result = CliRunner().invoke(main, [], env=words, prog_name="pricebook")
    assert "rollback" in result.stdout
