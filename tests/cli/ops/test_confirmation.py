"""Commands that change something show the changes and ask for confirmation, unless --yes is given."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import click
import pytest

from cli import exit_codes
from cli.client import Json
from cli.ops import confirmation
from cli.ops.connection import Connection
from storage import Batch, BatchMode, BatchState, PublishPolicy, Store
from tests.cli.ops.commands import Run, Stub, invoke, json_of, output_of
from tests.storage.factories import (
    amounts,
    create,
    current,
    held,
    merge,
    order,
    published,
    row,
    source,
    submit,
    versions,
)


async def held_merge(store: Store, prices: list[dict[str, Any]]) -> Batch:
    """A merge that is held for approval."""
    merging = replace(order(publish=PublishPolicy.ON_APPROVAL), mode=BatchMode.MERGE)
    batch = await store.submitter.submit(merging, await source(prices))
    assert batch.state is BatchState.HELD, batch
    return batch


def shown(stderr: str) -> dict[str, str]:
    """The lines that a command shows before it asks, by their names."""
    lines = [line.split(None, 1) for line in stderr.splitlines() if line[:1].isupper() and "?" not in line]
    return dict(lines)


def confirm_after(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Coroutine[None, None, object]]) -> None:
    """Answer the next question with yes, after something else has happened. Commands run in a thread of their own."""
    loop = asyncio.get_running_loop()

    def confirm(*_: object, **__: object) -> bool:
        asyncio.run_coroutine_threadsafe(act(), loop).result(30)
        return True

    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)


def change_after(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Coroutine[None, None, object]]) -> None:
    """Send the next mutation after something else has happened."""
    loop, mutate = asyncio.get_running_loop(), Connection.mutate

    def change(connection: Connection, document: str, **fields: object) -> Json:
        asyncio.run_coroutine_threadsafe(act(), loop).result(30)
        return mutate(connection, document, **fields)

    monkeypatch.setattr(Connection, "mutate", change)


# ---------------------------------------------------------------- moves of the pointer


async def test_a_rollback_shows_the_changes_and_asks_for_confirmation(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 3)
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
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
    confirm_after(monkeypatch, lambda: published(store, [row("a", "9")]))
    result = await run("rollback", "retail", "1", "--reason", "wrong")
    assert (result.exit_code, "CONFLICT" in result.stderr, "Nothing was changed" in result.stderr) == (1, True, True)
    assert (await store.price_lists.get("retail")).current_version == 3


async def test_a_rollback_to_a_version_that_was_never_current_expects_that_none_is(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    batch = await submit(store, [row("a")], publish=PublishPolicy.ON_APPROVAL)

    async def publish_two() -> None:
        await store.lifecycle.approve(batch.id, by="ops", reason="x")
        await published(store, [row("a", "9")])

    confirm_after(monkeypatch, publish_two)
    result = await run("rollback", "retail", "1", "--reason", "wrong")
    assert (result.exit_code, "CONFLICT" in result.stderr) == (1, True), result.output
    assert await current(store) == 2


async def test_a_pin_asks_for_confirmation_only_if_the_pointer_moves(run: Run, store: Store) -> None:
    await versions(store, 2)
    assert (await json_of(run, "pin", "retail", "2", "--reason", "audit"))["pin"]["version"] == 2
    assert (await run("pin", "retail", "1", "--reason", "audit")).exit_code == exit_codes.USAGE_ERROR
    assert "version 1" in await output_of(run, "pin", "retail", "1", "--reason", "audit", "--yes")
    assert "version 1 is current" in await output_of(run, "unpin", "retail", "--reason", "done")
    again = await run("unpin", "retail", "--reason", "done")
    assert (again.exit_code, "NOT_PINNED" in again.stderr) == (1, True)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_pin_is_refused_if_another_version_becomes_current_meanwhile(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    await versions(store, 2)
    change_after(monkeypatch, lambda: published(store, [row("a", "9")]))
    result = await run("pin", "retail", version, "--reason", "audit", "--yes")
    assert (result.exit_code, "CONFLICT" in result.stderr) == (1, True), result.output
    assert ((await store.price_lists.get("retail")).pin, await current(store)) == (None, 3)


# ---------------------------------------------------------------- batches


async def test_the_first_version_published_meanwhile_is_a_conflict(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    batch = await submit(store, [row("a")], publish=PublishPolicy.ON_APPROVAL)
    confirm_after(monkeypatch, lambda: published(store, [row("b")]))
    result = await run("approve", batch.id, "--reason", "looked at")
    assert (result.exit_code, "CONFLICT" in result.stderr) == (1, True), result.output
    assert await current(store) == 2


async def test_an_approval_shows_the_batch_and_its_changes_and_asks(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    batch = await submit(store, [row("a", "2"), row("b")], label="spring", publish=PublishPolicy.ON_APPROVAL)
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    declined = await run("approve", batch.id, "--reason", "looked at", input="n\n")
    assert (declined.exit_code, "Declined: nothing was changed." in declined.stderr) == (1, True), declined.output
    assert await current(store) == 1
    lines = shown(declined.stderr)
    assert (lines["List"], lines["Current"]) == ("retail", "version 1")
    assert lines["Batch"].startswith(f"{batch.id}, REPLACE, 2 prices, sent ")
    assert lines["Batch"].endswith(" by integrator, spring")
    assert lines["Finding"] == "HOLD onApproval: The batch was sent with publish: ON_APPROVAL."
    assert lines["Changes"] == "1 added, 0 removed, 1 changed, 0 unchanged."
    assert "Base" not in lines
    approved = await run("approve", batch.id, "--reason", "looked at", input="y\n")
    assert (approved.exit_code, await current(store)) == (0, 2), approved.output
    assert f"Approved batch {batch.id} of retail." in approved.stdout


async def test_a_rejection_shows_the_batch_and_asks(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await versions(store, 1)
    batch = await submit(store, [row("b")], publish=PublishPolicy.ON_APPROVAL)
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    declined = await run("reject", batch.id, "--reason", "wrong", input="n\n")
    assert (declined.exit_code, shown(declined.stderr)["Changes"]) == (1, "1 added, 1 removed, 0 changed, 0 unchanged.")
    assert (await store.batches.get(batch.id)).state is BatchState.HELD
    rejected = await run("reject", batch.id, "--reason", "wrong", input="y\n")
    assert (rejected.exit_code, "Rejected batch" in rejected.stdout) == (0, True), rejected.output


async def test_without_a_terminal_nothing_is_changed_unless_yes_is_given(run: Run, store: Store) -> None:
    await versions(store, 1)
    first, second, third = [await held(store, [row("a", amount)]) for amount in ("2", "3", "4")]
    commands = {
        ("pin", "retail", "2"): "pricebook diff retail 1 2",
        ("restore", "retail", "1"): "pricebook events retail",
        ("keep", "retail", "1", "--until", "30d"): "pricebook retain retail --dry-run",
        ("reject", first.id): f"pricebook batch {first.id}",
        ("unpin", "retail", "--publish-latest"): f"pricebook batch {third.id}",
        ("approve", second.id): f"pricebook batch {second.id}",
    }
    for command, preview in commands.items():
        refused = await run(*command, "--reason", "x")
        assert refused.exit_code == exit_codes.USAGE_ERROR, refused.output
        message = f"Standard input is not a terminal: check with `{preview}`, then use --yes."
        assert message in " ".join(refused.stderr.split())
    assert (await current(store), (await store.batches.get(first.id)).state) == (1, BatchState.HELD)
    assert (await json_of(run, "reject", first.id, "--reason", "x", "--yes"))["state"] == "REJECTED"
    assert (await json_of(run, "unpin", "retail", "--publish-latest", "--reason", "x", "--yes"))["currentVersion"] == 4
    fourth = await submit(store, [row("a", "5")], publish=PublishPolicy.ON_APPROVAL)
    assert (await json_of(run, "approve", fourth.id, "--reason", "x", "--yes"))["state"] == "PUBLISHED"


async def test_a_batch_that_is_not_held_is_not_reviewed(run: Run, store: Store) -> None:
    await create(store)
    batch = await published(store, [row("a")])
    for command in ("approve", "reject"):
        refused = await run(command, batch.id, "--reason", "x")
        assert refused.exit_code == exit_codes.FAILURE
        assert f"BATCH_NOT_HELD: Batch {batch.id} is PUBLISHED, not HELD." in refused.stderr
        missing = await run(command, "nothing", "--reason", "x")
        assert (missing.exit_code, "There is no batch 'nothing'." in missing.stderr) == (1, True)


async def test_a_pinned_list_is_unpinned_before_an_approval(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "2")])
    refused = await run("approve", batch.id, "--reason", "x", "--yes")
    assert (refused.exit_code, "PINNED" in refused.stderr, "--publish-latest" in refused.stderr) == (1, True, True)


async def test_an_approval_is_refused_if_another_version_becomes_current_meanwhile(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    batch = await submit(store, [row("a", "2")], publish=PublishPolicy.ON_APPROVAL)
    confirm_after(monkeypatch, lambda: published(store, [row("a", "9")]))
    result = await run("approve", batch.id, "--reason", "looked at")
    assert (result.exit_code, "CONFLICT" in result.stderr, "Nothing was changed" in result.stderr) == (1, True, True)
    assert (await current(store), (await store.batches.get(batch.id)).state) == (3, BatchState.HELD)


# ---------------------------------------------------------------- merges that were made on another version


async def test_a_merge_made_on_another_version_says_so(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    batch = await held_merge(store, [row("b", "2"), row("c")])
    assert "made on version 1\n" in await output_of(run, "batch", batch.id)
    await merge(store, [row("b", "2"), row("d")])
    held_text = await output_of(run, "batch", batch.id)
    assert "made on version 1, would be applied to version 3" in held_text
    assert "1 added, 0 removed, 1 changed, 1 unchanged. Compared with version 1." in held_text
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    declined = await run("approve", batch.id, "--reason", "x", input="n\n")
    lines = shown(declined.stderr)
    assert (lines["Base"], lines["Current"]) == ("made on version 1, would be applied to version 3", "version 3")
    assert lines["Changes"] == "1 added, 0 removed, 0 changed, 3 unchanged.", "compared with version 3"
    assert "would be applied to version 3" in (await run("reject", batch.id, "--reason", "x", input="n\n")).stderr
    approved = await run("approve", batch.id, "--reason", "x", "--yes")
    assert "made on version 1, applied to version 3" in approved.stdout
    after = await json_of(run, "batch", batch.id)
    assert (after["madeOnVersion"], after["baseVersion"], after["rebased"]) == (1, 3, None)
    assert await amounts(store, 4) == {"a": "1.00", "b": "2", "c": "1.00", "d": "1.00"}


async def test_a_merge_on_the_version_that_is_current_does_not(run: Run, store: Store) -> None:
    await versions(store, 1)
    await merge(store, [row("b")])
    [batch, *_] = await json_of(run, "batches", "retail")
    text = await output_of(run, "batch", batch["id"])
    assert ("made on version 1\n" in text, "applied to" in text) == (True, False)


# ---------------------------------------------------------------- unpin with --publish-latest


async def test_an_unpin_shows_the_batch_that_it_publishes_and_asks(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    for amount in ("2", "3"):
        await held(store, [row("a", amount)])
    latest = await held(store, [row("a", "4"), row("b")])
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    declined = await run("unpin", "retail", "--reason", "done", "--publish-latest", input="n\n")
    assert (declined.exit_code, "Declined" in declined.stderr) == (1, True), declined.output
    assert (await store.price_lists.get("retail")).pin is not None
    lines = shown(declined.stderr)
    assert lines["Batch"].startswith(latest.id)
    assert lines["Others"] == "2 older batches that only the pin held: rejected as superseded"
    assert lines["Changes"] == "1 added, 0 removed, 1 changed, 0 unchanged."
    done = await run("unpin", "retail", "--reason", "done", "--publish-latest", input="y\n")
    assert (done.exit_code, "version 4 is current" in done.stdout) == (0, True), done.output


async def test_an_unpin_is_refused_if_a_newer_batch_arrives_meanwhile(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    shown_batch = await held(store, [row("a", "2")])
    arrived = list[Batch]()

    async def send() -> None:
        arrived.append(await submit(store, [row("a", "9")]))

    confirm_after(monkeypatch, send)
    result = await run("unpin", "retail", "--reason", "done", "--publish-latest")
    assert (result.exit_code, "CONFLICT" in result.stderr) == (1, True), result.output
    assert shown_batch.id in result.stderr
    assert arrived[0].id in result.stderr
    assert ((await store.price_lists.get("retail")).pin is not None, await current(store)) == (True, 1)


async def test_a_batch_that_arrives_after_none_was_shown_is_not_published(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    change_after(monkeypatch, lambda: submit(store, [row("a", "9")]))
    done = await run("unpin", "retail", "--reason", "done", "--publish-latest")
    assert (done.exit_code, "none is published" in done.stderr) == (0, True), done.output
    assert ((await store.price_lists.get("retail")).pin, await current(store)) == (None, 1)


async def test_an_unpin_without_a_waiting_batch_does_not_ask(run: Run, store: Store) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    done = await run("unpin", "retail", "--reason", "done", "--publish-latest")
    assert (done.exit_code, "none is published" in done.stderr) == (0, True), done.output
    again = await run("unpin", "retail", "--reason", "done", "--publish-latest")
    assert (again.exit_code, "NOT_PINNED" in again.stderr) == (1, True)


# ---------------------------------------------------------------- restore


def test_a_restoration_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = {"priceList": {"name": "a", "currentVersion": 9}, "userErrors": []}
    responses = {"Current": {"priceList": {"currentVersion": 9}}, "Restore": {"restore": payload}}
    stub = Stub(monkeypatch, responses)
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    declined = invoke("restore", "a", "3", "--reason", "needed", input="n\n")
    assert (declined.exit_code, stub.operations) == (1, ["Current"])
    lines = shown(declined.stderr)
    assert (lines["Current"], lines["Target"]) == (
        "version 9, which stays current",
        "version 3: can be read and rolled back to again, until retention expires it",
    )
    assert "Restored version 3 of a" in invoke("restore", "a", "3", "--reason", "needed", input="y\n").stdout
    assert stub.inputs[-1] == {"priceList": "a", "version": 3, "reason": "needed"}


# ---------------------------------------------------------------- --yes counts nothing


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
    monkeypatch.setattr(confirmation, "is_interactive", lambda: True)
    assert "3 changed" in invoke(command, "a", "41", "--reason", "wrong", input="y\n").stderr
    assert stub.operations[2:] == ["Preview", "Summary", mutation]


def test_a_list_without_a_version_is_checked_with_show(monkeypatch: pytest.MonkeyPatch) -> None:
    target = {"version": 1, "size": 5, "label": None, "publishedAt": None}
    Stub(monkeypatch, {"Preview": {"priceList": {"currentVersion": None, "pin": None}, "snapshot": target}})
    refused = invoke("pin", "a", "1", "--reason", "x")
    assert refused.exit_code == exit_codes.USAGE_ERROR
    assert "check with `pricebook show a`, then use --yes." in " ".join(refused.stderr.split())


HELD: dict[str, Any] = {
    "id": "b",
    "priceList": "a",
    "state": "HELD",
    "mode": "MERGE",
    "version": 42,
    "madeOnVersion": 40,
    "baseVersion": 40,
    "rebased": {"baseVersion": 41},
    "checksum": None,
    "label": None,
    "submittedBy": "i",
    "createdAt": "2026-11-24T00:00:00+00:00",
    "finishedAt": None,
    "publishAt": None,
    "release": None,
    "served": None,
    "summary": None,
    "findings": [],
    "errors": [],
    "errorCount": 0,
    "progress": {"stored": 5, "received": 5, "expected": None},
}


def test_a_review_with_yes_counts_no_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"batch": HELD, "userErrors": []}
    responses = {
        "Batch": {"batch": HELD},
        "Approve": {"approveBatch": done},
        "Reject": {"rejectBatch": done},
        "Latest": {"priceList": {"pin": {"version": 41}, "heldByPin": {"totalCount": 1, "nodes": [HELD]}}},
        "Unpin": {"unpin": {"priceList": {"name": "a", "currentVersion": 43, "pin": None}, "userErrors": []}},
    }
    stub = Stub(monkeypatch, responses)
    for command in (("approve", "b"), ("reject", "b"), ("unpin", "a", "--publish-latest")):
        result = invoke(*command, "--reason", "x", "--yes")
        assert result.exit_code == 0, result.output
        assert "Base     made on version 40, would be applied to version 41" in result.stderr
        assert "Changes" not in result.stderr
    assert stub.operations == ["Batch", "Approve", "Batch", "Reject", "Latest", "Unpin"]
    approved, rejected, unpinned = stub.inputs[1::2]
    assert approved == {"batch": "b", "reason": "x", "expectedVersion": 41}
    assert rejected == {"batch": "b", "reason": "x"}
    assert unpinned == {
        "priceList": "a",
        "reason": "x",
        "publishLatest": True,
        "expectedVersion": 41,
        "expectedBatch": "b",
    }
