"""`pricebook upcoming` and `reschedule`, over HTTP and directly on MongoDB."""

from datetime import timedelta

import pytest

from storage import Batch, Gates, PublishPolicy, Store
from storage.mongodb.server_time import server_time
from tests.cli.ops.commands import Run, cells, json_of, output_of
from tests.storage.factories import create, row, rows, submit, versions


async def scheduled(store: Store, hours: float, **more: object) -> Batch:
    at = await server_time(store.client) + timedelta(hours=hours)
    return await submit(store, [row("a", "9")], publish_at=at, **more)  # type: ignore[arg-type]


async def test_upcoming_shows_scheduled_batches_the_next_first(run: Run, store: Store) -> None:
    await versions(store, 1)
    later = await scheduled(store, 2, publish=PublishPolicy.ON_APPROVAL)
    next_ = await scheduled(store, 1, label="sale")
    heading, *lines = cells(await output_of(run, "upcoming", "retail"))
    assert heading == ["PUBLISH", "AT", "ID", "MODE", "FINDINGS", "LABEL"]
    assert [line[1:] for line in lines] == [
        [next_.id, "REPLACE", "-", "sale"],
        [later.id, "REPLACE", "onApproval", "-"],
    ]
    assert next_.publish_at is not None
    assert lines[0][0] == next_.publish_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [each["id"] for each in await json_of(run, "upcoming", "retail")] == [next_.id, later.id]


async def test_upcoming_of_a_list_without_schedules(run: Run, store: Store) -> None:
    await create(store)
    assert (await run("upcoming", "retail")).stderr == "Nothing is scheduled for retail.\n"
    missing = await run("upcoming", "none")
    assert (missing.exit_code, "no price list 'none'" in missing.stderr) == (1, True)


async def test_reschedule_moves_a_schedule_and_takes_it_away(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    at = (await server_time(store.client) + timedelta(hours=3)).replace(microsecond=0)
    moved = await output_of(run, "reschedule", batch.id, "--at", at.isoformat(), "--reason", "later", "--yes")
    assert moved == f"Batch {batch.id} of retail is scheduled for {at:%Y-%m-%dT%H:%M:%SZ}.\n"
    assert (await store.batches.get(batch.id)).publish_at == at
    assert f"scheduled  {at:%Y-%m-%dT%H:%M:%SZ}" in (await run("batch", batch.id)).stdout
    ended = await output_of(run, "reschedule", batch.id, "--never", "--reason", "off", "--yes")
    assert ended == f"Batch {batch.id} of retail waits for a review.\n"
    assert not (await store.batches.get(batch.id)).is_scheduled


async def test_reschedule_shows_the_batch_and_asks(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    without_terminal = await run("reschedule", batch.id, "--never", "--reason", "off")
    assert (without_terminal.exit_code, f"pricebook batch {batch.id}" in without_terminal.stderr) == (2, True)
    monkeypatch.setattr("cli.ops.confirmation.is_interactive", lambda: True)
    declined = await run("reschedule", batch.id, "--never", "--reason", "off", input="n\n")
    assert (declined.exit_code, "Scheduled  20" in declined.stderr, "1 changed" in declined.stderr) == (1, True, True)
    assert await store.batches.get(batch.id) == batch


async def test_reschedule_takes_a_span_from_now(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    assert (await run("reschedule", batch.id, "--at", "12h", "--reason", "later", "--yes")).exit_code == 0
    moved = (await store.batches.get(batch.id)).publish_at
    assert moved is not None
    assert abs(moved - await server_time(store.client) - timedelta(hours=12)) < timedelta(minutes=5)


async def test_reschedule_refuses_what_is_wrong(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    for options in ((), ("--never", "--at", "2030-01-01T00:00:00Z"), ("--at", "2030-01-01T00:00:00")):
        assert (await run("reschedule", batch.id, *options, "--reason", "x", "--yes")).exit_code == 2
    past = await run("reschedule", batch.id, "--at", "2020-01-01T00:00:00Z", "--reason", "x", "--yes")
    assert (past.exit_code, "INVALID_PUBLISH_AT" in past.stderr) == (1, True)
    published = await submit(store, rows(1))
    refused = await run("reschedule", published.id, "--never", "--reason", "x", "--yes")
    assert (refused.exit_code, "BATCH_NOT_HELD" in refused.stderr) == (1, True)


async def test_an_approval_keeps_the_schedule_if_it_is_asked_to(run: Run, store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1, publish=PublishPolicy.ON_APPROVAL)
    approved = await run("approve", batch.id, "--keep-schedule", "--reason", "as agreed", "--yes")
    assert approved.exit_code == 0, approved.output
    assert f"Approved batch {batch.id} of retail." in approved.stdout
    assert (await store.batches.get(batch.id)).is_scheduled


async def test_an_approval_asks_when_to_publish(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    monkeypatch.setattr("cli.ops.confirmation.is_interactive", lambda: True)
    now = await run("approve", batch.id, "--reason", "sooner", input="n\n")
    assert f"Publish batch {batch.id} now, ahead of its schedule? [y/N]" in now.stderr
    when_due = await run("approve", batch.id, "--keep-schedule", "--reason", "as agreed", input="n\n")
    assert f"Publish batch {batch.id} when it is due? [y/N]" in when_due.stderr
    await store.scheduling.reschedule(batch.id, None, by="ops", reason="off")
    unscheduled = await run("approve", batch.id, "--reason", "right", input="n\n")
    assert f"Publish batch {batch.id}? [y/N]" in unscheduled.stderr


async def test_an_approval_publishes_a_scheduled_batch_now(run: Run, store: Store) -> None:
    await store.price_list_editor.create("retail", None, Gates(), "ops")
    batch = await scheduled(store, 1)
    approved = await run("approve", batch.id, "--reason", "sooner", "--yes")
    assert (approved.exit_code, "Scheduled  20" in approved.stderr) == (0, True), approved.output
    assert (await store.price_lists.get("retail")).next_change_at is None
