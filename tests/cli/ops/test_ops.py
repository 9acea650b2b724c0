"""The operator commands, over HTTP and directly on MongoDB: the same output either way."""

import asyncio
import datetime
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import click
import httpx
import pytest
import uvicorn
from click.testing import CliRunner, Result
from msgspec.structs import replace

from cli import COMMANDS, exit_codes, main
from cli.client import client
from cli.client.direct import operator
from cli.ops import connection, rollback
from graph.app import create_app
from graph.settings import Settings
from storage import EventKind, Retention, Store
from tests.graph.api import open_settings
from tests.storage.factories import create, held, published, row, versions

Run = Callable[..., Awaitable[Result]]


@asynccontextmanager
async def server(settings: Settings) -> AsyncIterator[str]:
    """Run a server in this process and yield the URL of its endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app(settings), lifespan="on", log_level="error", ws="websockets-sansio")
        running = uvicorn.Server(config)
        serving = asyncio.create_task(running._serve([listener]))
        while not running.started:
            assert not serving.done(), serving
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
        running.should_exit = True
        await serving


def invoke(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, [*arguments], **options)


async def invoke_direct(store: Store, uri: str, *arguments: str, **options: Any) -> Result:
    """Run a command directly on MongoDB."""
    env = {"PRICEBOOK_MONGODB_URI": uri, "PRICEBOOK_MONGODB_DATABASE": store.db.name}
    return await asyncio.to_thread(invoke, *arguments, "--direct", env=env, **options)


@pytest.fixture(params=["http", "direct"])
async def run(request: pytest.FixtureRequest, store: Store, mongodb_uri: str) -> AsyncIterator[Run]:
    """Runs a command, over HTTP or directly on MongoDB."""
    if request.param == "direct":

        async def direct(*arguments: str, **options: Any) -> Result:
            return await invoke_direct(store, mongodb_uri, *arguments, **options)

        yield direct
        return
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name, grace_seconds=0)
    async with server(settings) as endpoint:

        async def by_http(*arguments: str, **options: Any) -> Result:
            return await asyncio.to_thread(invoke, *arguments, "--endpoint", endpoint, **options)

        yield by_http


async def output_of(run: Run, *arguments: str) -> str:
    result = await run(*arguments)
    assert result.exit_code == 0, result.output
    assert all(len(line) <= 80 and line == line.rstrip() for line in result.stdout.splitlines()), result.stdout
    return result.stdout


async def json_of(run: Run, *arguments: str) -> Any:
    result = await run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def cells(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


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


async def test_versions_are_listed_newest_first_up_to_the_limit(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 3)
    monkeypatch.setattr(connection, "PAGE_SIZE", 2)
    assert [row[0] for row in cells(await output_of(run, "snapshots", "retail"))] == ["VERSION", "3", "2", "1"]
    assert [row["version"] for row in await json_of(run, "snapshots", "retail", "--limit", "0")] == [3, 2, 1]
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
        ["changed", "d", "1.00", "EUR", "1.00", "EUR", "attributes"],
        ["added", "e", "-", "1.00", "USD", "-"],
    ]
    difference = await json_of(run, "diff", "retail", "1", "2")
    assert difference["summary"] == {"added": 1, "removed": 1, "changed": 2, "unchanged": 1}
    assert [each["sku"] for each in difference["differences"]] == ["b", "c", "d", "e"]
    assert (await json_of(run, "diff", "retail", "2", "2"))["differences"] == []


async def test_the_history_of_a_sku_shows_each_change(run: Run, store: Store) -> None:
    await versions(store, 2)
    _, *rows = cells(await output_of(run, "history", "retail", "a"))
    assert [(each[0], each[2], each[3]) for each in rows] == [("2", "2", "EUR"), ("1", "1", "EUR")]
    assert [each["price"]["amount"] for each in await json_of(run, "history", "retail", "a")] == ["2", "1"]
    missing = await run("history", "retail", "nothing")
    assert (missing.exit_code, "no price of 'nothing' in version 2" in missing.stderr) == (1, True)


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
    _, pinned, published_, created = cells(await output_of(run, "events", "retail"))
    assert pinned[1:] == ["PINNED", "1", "1", "ops", "an", "audit"]
    assert (published_[1], created[1]) == ("PUBLISHED", "CREATED")
    assert [each["kind"] for each in await json_of(run, "events", "retail")] == ["PINNED", "PUBLISHED", "CREATED"]


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


# ---------------------------------------------------------------- mutations


async def test_a_rollback_shows_the_changes_and_asks_for_confirmation(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 3)
    monkeypatch.setattr(rollback, "is_interactive", lambda: True)
    declined = await run("rollback", "retail", "1", "--reason", "wrong", input="n\n")
    assert (declined.exit_code, "Declined" in declined.stderr) == (1, True), declined.output
    assert "Current  version 3" in declined.stderr
    assert "0 added, 0 removed, 1 changed, 0 unchanged." in declined.stderr
    assert (await store.price_lists.get("retail")).current_version == 3
    done = await run("rollback", "retail", "1", "--reason", "wrong", input="y\n")
    assert done.exit_code == 0, done.output
    assert "version 1 is current" in done.stdout
    moved = await store.price_lists.get("retail")
    assert moved.current_version == 1
    assert moved.pin is not None
    assert (moved.pin.version, moved.pin.reason) == (1, "wrong")


async def test_a_rollback_without_a_terminal_requires_yes(run: Run, store: Store) -> None:
    await versions(store, 2)
    refused = await run("rollback", "retail", "1", "--reason", "wrong")
    assert (refused.exit_code, "--yes" in refused.stderr) == (exit_codes.USAGE_ERROR, True), refused.output
    assert (await store.price_lists.get("retail")).current_version == 2
    done = await json_of(run, "rollback", "retail", "1", "--reason", "wrong", "--yes", "--no-pin")
    assert done == {"name": "retail", "currentVersion": 1, "pin": None}


async def test_a_version_published_meanwhile_is_a_conflict(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 2)
    loop = asyncio.get_running_loop()

    def publish_meanwhile(*_: object, **__: object) -> bool:
        asyncio.run_coroutine_threadsafe(published(store, [row("a", "9")]), loop).result(30)
        return True

    monkeypatch.setattr(rollback, "is_interactive", lambda: True)
    monkeypatch.setattr(click, "confirm", publish_meanwhile)
    result = await run("rollback", "retail", "1", "--reason", "wrong")
    assert (result.exit_code, "CONFLICT" in result.stderr, "Nothing was changed" in result.stderr) == (1, True, True)
    assert (await store.price_lists.get("retail")).current_version == 3


async def test_a_pin_asks_for_confirmation_only_if_the_pointer_moves(run: Run, store: Store) -> None:
    await versions(store, 2)
    assert (await json_of(run, "pin", "retail", "2", "--reason", "audit"))["pin"]["version"] == 2
    assert (await run("pin", "retail", "1", "--reason", "audit")).exit_code == exit_codes.USAGE_ERROR
    assert "version 1" in await output_of(run, "pin", "retail", "1", "--reason", "audit", "--yes")
    assert "version 1 is current" in await output_of(run, "unpin", "retail", "--reason", "done")
    again = await run("unpin", "retail", "--reason", "done")
    assert (again.exit_code, "NOT_PINNED" in again.stderr) == (1, True)


async def test_held_batches_are_approved_or_rejected(run: Run, store: Store) -> None:
    await versions(store, 1)
    first = await held(store, [row("a", "2")])
    await store.pointer_moves.unpin("retail", by="ops", reason="done")
    assert (await json_of(run, "approve", first.id, "--reason", "looked at"))["state"] == "PUBLISHED"
    second = await held(store, [row("a", "3")])
    assert "Rejected batch" in await output_of(run, "reject", second.id, "--reason", "wrong")
    again = await run("reject", second.id, "--reason", "wrong")
    assert (again.exit_code, "BATCH_NOT_HELD" in again.stderr) == (1, True)


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
    async with server(settings) as endpoint:
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
    await store.db["snapshots"].update_many({}, {"$set": {"createdAt": old, "publishedAt": old}})
    await store.price_list_editor.update("retail", "ops", lambda known: replace(known, retention=Retention(1, 1)))
    [dry] = await json_of(run, "retain", "--dry-run")
    assert [each["version"] for each in dry["retirements"]] == [1, 2]
    assert "version 1" in (await run("retain", "retail", "--dry-run")).stdout
    marked = await run("retain", "retail")
    assert "again" in marked.stderr, "a version expires in two steps"
    await store.db["snapshots"].update_many({"doomedAt": {"$ne": None}}, {"$set": {"doomedAt": old}})
    [done] = await json_of(run, "retain", "retail")
    assert [each["version"] for each in done["retirements"]] == [1, 2]
    gone = await run("rollback", "retail", "1", "--reason", "x", "--yes")
    assert gone.exit_code == 1, gone.output
    assert "Restored version 1" in (await run("restore", "retail", "1", "--reason", "needed")).stdout
    assert (await json_of(run, "rollback", "retail", "1", "--reason", "x", "--yes"))["currentVersion"] == 1


async def test_unpin_publishes_the_waiting_batch(run: Run, store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    assert "version 2 is current" in await output_of(run, "unpin", "retail", "--reason", "done", "--publish-latest")


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
        server(open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)) as endpoint,
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


class Stub:
    """An endpoint with a fixed response for each operation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, responses: dict[str, Any]) -> None:
        self.operations: list[str] = []
        self.inputs: list[dict[str, Any]] = []
        self.authorization: str | None = None

        def respond(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content)
            self.inputs.append(body["variables"].get("input"))
            self.authorization = request.headers.get("Authorization")
            operation = body["query"].split("(")[0].split()[-1]
            self.operations.append(operation)
            return httpx.Response(200, json={"data": responses[operation]})

        def open_http(_: str, token: str | None, __: int) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token}"} if token else None
            return httpx.AsyncClient(transport=httpx.MockTransport(respond), headers=headers)

        monkeypatch.setattr(client, "open_http", open_http)


RETAINED = {
    "retirements": [{"version": 1, "reason": "too old", "restorableUntil": "2026-11-24T00:00:00+00:00"}],
    "drops": [{"layer": "l1", "reason": "no version names it", "bytes": 5_000_000_000}],
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
    assert json.loads(invoke("retain", "a", "--json").stdout)[0]["drops"] == RETAINED["drops"]


def test_a_version_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = {"priceList": {"name": "a", "currentVersion": 9}, "userErrors": []}
    stub = Stub(monkeypatch, {"Restore": {"restore": payload}})
    assert "Restored version 3 of a" in invoke("restore", "a", "3", "--reason", "needed").stdout
    assert stub.inputs == [{"priceList": "a", "version": 3, "reason": "needed"}]


def test_unpin_can_publish_the_newest_waiting_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = {"priceList": {"name": "a", "currentVersion": 9, "pin": None}, "userErrors": []}
    stub = Stub(monkeypatch, {"Unpin": {"unpin": payload}})
    assert invoke("unpin", "a", "--reason", "done", "--publish-latest").exit_code == 0
    assert stub.inputs == [{"priceList": "a", "reason": "done", "publishLatest": True}]


@pytest.mark.parametrize(("command", "mutation"), [("rollback", "Rollback"), ("pin", "Pin")])
def test_a_move_with_yes_compares_no_versions(command: str, mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = {"version": 41, "size": 5_000_000, "label": "before tax", "publishedAt": None}
    moved = {"name": "a", "currentVersion": 41, "pin": None}
    summary = {"added": 1, "removed": 2, "changed": 3, "unchanged": 4}
    responses = {
        "Preview": {"priceList": {"currentVersion": 42, "pin": None}, "snapshot": target},
        "Summary": {"priceList": {"diff": {"summary": summary}}},
        mutation: {command: {"priceList": moved, "userErrors": []}},
    }
    stub = Stub(monkeypatch, responses)
    result = invoke(command, "a", "41", "--reason", "wrong", "--yes")
    assert result.exit_code == 0, result.output
    assert stub.operations == ["Preview", mutation]
    assert "Current  version 42" in result.stderr
    assert "Target   version 41, 5,000,000 prices, before tax" in result.stderr
    assert "Changes" not in result.stderr
    monkeypatch.setattr(rollback, "is_interactive", lambda: True)
    assert "3 changed" in invoke(command, "a", "41", "--reason", "wrong", input="y\n").stderr
    assert stub.operations[2:] == ["Preview", "Summary", mutation]


def test_a_refusal_is_shown_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"code": "SNAPSHOT_EXPIRED", "message": "It is gone.", "path": None}
    Stub(monkeypatch, {"Restore": {"restore": {"priceList": None, "userErrors": [refused]}}})
    result = invoke("restore", "a", "3", "--reason", "needed")
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
    batch |= {"createdAt": "2026-11-24T00:00:00+00:00", "finishedAt": None, "served": None, "summary": None}
    batch |= {"findings": [], "errors": {"nodes": []}, "errorCount": 0}
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
    if COMMANDS[name].place.startswith("cli.ops."):
        assert all(f"  {code}  " in help_text for code in (0, 1, 2, 130))


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --no")])
def test_each_shell_has_a_completion_script(shell: str, word: str) -> None:
    assert word in invoke("completion", shell).stdout


def test_commands_are_completed() -> None:
    words = {"_PRICEBOOK_COMPLETE": "bash_complete", "COMP_WORDS": "pricebook roll", "COMP_CWORD": "1"}
    result = CliRunner().invoke(main, [], env=words, prog_name="pricebook")
    assert "rollback" in result.stdout
