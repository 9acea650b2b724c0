"""`pricebook releases` and `release`, over HTTP and directly on MongoDB."""

from datetime import timedelta

import pytest

from storage import Batch, BatchState, PublishPolicy, ReleaseState, Store
from storage.mongodb.server_time import server_time
from tests.cli.ops.commands import Run, cells, json_of, output_of
from tests.cli.ops.test_confirmation import confirm_after
from tests.storage.factories import create, current, published, row, submit, versions

YES = ("--reason", "spring prices", "--yes")


@pytest.fixture
async def release(run: Run, store: Store) -> str:
    """A release with a batch of `retail`, whose version 2 is current, and of `wholesale`, which has no version."""
    await versions(store, 2)
    await create(store, "wholesale")
    release_id = (await output_of(run, "release", "create", "spring")).strip()
    for name in ("retail", "wholesale"):
        batch = await submit(store, [row("a", "9")], name, release=release_id)
        assert batch.state is BatchState.HELD, batch
    return release_id


async def state(store: Store, release_id: str) -> ReleaseState:
    return (await store.releases.get(release_id)).state


async def batch_of(store: Store, release_id: str, price_list: str) -> Batch:
    item = (await store.releases.get(release_id)).item(price_list)
    assert item is not None
    return await store.batches.get(item.batch)


async def test_a_created_release_prints_its_id_alone(run: Run, store: Store) -> None:
    created = await run("release", "create", "spring", "--publish-at", "12h", "--key", "k")
    again = await run("release", "create", "autumn")
    assert (created.exit_code, again.exit_code) == (0, 0), created.output
    found = await store.releases.get(created.stdout.strip())
    assert (found.name, found.state, found.key) == ("spring", ReleaseState.SCHEDULED, "k")
    assert "Release spring (" in created.stderr
    assert await state(store, again.stdout.strip()) is ReleaseState.OPEN


async def test_releases_are_shown_newest_first(run: Run, store: Store, release: str) -> None:
    other = (await output_of(run, "release", "create", "autumn")).strip()
    heading, *lines = cells((await run("releases")).stdout)
    assert heading == ["ID", "NAME", "STATE", "LISTS", "PUBLISH", "AT", "CREATED", "BY"]
    assert [line[:4] for line in lines] == [[other, "autumn", "OPEN", "0"], [release, "spring", "OPEN", "2"]]
    await output_of(run, "release", "discard", other, *YES)
    assert [each["id"] for each in await json_of(run, "releases", "--state", "open")] == [release]
    assert (await run("releases", "--state", "rolled-back")).stderr == "There are no such releases.\n"


async def test_publishing_moves_all_lists_and_shows_them(run: Run, store: Store, release: str) -> None:
    result = await run("release", "publish", "spring", *YES)
    assert result.exit_code == 0, result.output
    assert f"Published release spring ({release}): 2 lists." in result.stdout
    assert "retail: version 2 -> version 3, batch" in result.stdout
    assert "wholesale: no version -> version 1, batch" in result.stdout
    assert (await current(store), await current(store, "wholesale")) == (3, 1)
    again = await run("release", "publish", release, *YES)
    assert (again.exit_code, "was published before: nothing was changed" in again.stdout) == (0, True)
    events = await run("events", "retail")
    assert f", release {release}: spring prices" in events.stdout
    assert (await json_of(run, "events", "retail"))[0]["release"] == release


async def test_publishing_shows_what_will_change_and_asks(
    run: Run, store: Store, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_terminal = await run("release", "publish", "spring")
    assert (without_terminal.exit_code, f"pricebook release show {release}" in without_terminal.stderr) == (2, True)
    monkeypatch.setattr("cli.ops.confirmation.is_interactive", lambda: True)
    declined = await run("release", "publish", "spring", input="n\n")
    assert declined.exit_code == 1
    batch = await batch_of(store, release, "retail")
    assert f"retail: version 2 -> batch {batch.id}, REPLACE, 1 price, sent" in declined.stderr
    assert "retail: 0 added, 0 removed, 1 changed, 0 unchanged." in declined.stderr
    assert "wholesale: no version -> batch" in declined.stderr
    assert f"Publish release spring ({release}), 2 lists in one move? [y/N]" in declined.stderr
    assert await state(store, release) is ReleaseState.OPEN


async def test_what_stands_against_a_release_is_printed_list_by_list(run: Run, store: Store, release: str) -> None:
    await store.pointer_moves.pin("retail", 2, by="ops", reason="audit")
    batch = await submit(store, [row("a", "8")], "wholesale", release=release, publish=PublishPolicy.ON_APPROVAL)
    refused = await run("release", "publish", "spring", *YES)
    assert refused.exit_code == 1
    assert "publishRelease was refused:" in refused.stderr
    assert "  PINNED: " in refused.stderr
    assert f"  GATE_HELD: Batch {batch.id} of 'wholesale'" in refused.stderr
    assert (await current(store), await current(store, "wholesale")) == (2, None)
    await store.pointer_moves.unpin("retail", by="ops", reason="done")
    approved = await run("approve", batch.id, "--keep-schedule", *YES)
    assert (approved.exit_code, f"spring ({release})" in approved.stdout) == (0, True), approved.output
    assert (await run("release", "publish", "spring", *YES)).exit_code == 0


async def test_a_release_that_is_not_as_it_was_confirmed_is_refused(
    run: Run, store: Store, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm_after(monkeypatch, lambda: published(store, [row("a", "7")]))
    moved = await run("release", "publish", "spring")
    assert (moved.exit_code, "CONFLICT" in moved.stderr) == (1, True), moved.output
    confirm_after(monkeypatch, lambda: submit(store, [row("a", "6")], "wholesale", release=release))
    sent = await run("release", "publish", "spring")
    assert (sent.exit_code, "CONFLICT: Another batch was sent" in sent.stderr) == (1, True), sent.output
    assert await state(store, release) is ReleaseState.OPEN


async def test_expected_versions_are_compared(run: Run, store: Store, release: str) -> None:
    for wrong in ("retail", "=1", "retail=x"):
        assert (await run("release", "publish", "spring", "--expect", wrong, "--yes")).exit_code == 2
    refused = await run("release", "publish", "spring", "--expect", "retail=1", "--yes")
    assert (refused.exit_code, "CONFLICT" in refused.stderr) == (1, True), refused.output
    done = await run("release", "publish", "spring", "--expect", "retail=2", "--expect", "wholesale=0", "--yes")
    assert done.exit_code == 0, done.output


async def test_a_schedule_is_set_and_taken_away(run: Run, store: Store, release: str) -> None:
    at = (await server_time(store.client) + timedelta(hours=3)).replace(microsecond=0)
    for options in ((), ("--unschedule", "--at", at.isoformat()), ("--at", "2030-01-01T00:00:00")):
        assert (await run("release", "schedule", "spring", *options, *YES)).exit_code == 2
    scheduled = await run("release", "schedule", "spring", "--at", at.isoformat(), *YES)
    assert f"is scheduled for {at:%Y-%m-%dT%H:%M:%SZ}.\n" in scheduled.stdout, scheduled.output
    assert (await store.price_lists.get("retail")).next_change_at == at
    moved = await run("reschedule", (await batch_of(store, release, "retail")).id, "--never", *YES)
    assert (moved.exit_code, "BATCH_IN_RELEASE" in moved.stderr) == (1, True), moved.output
    ended = await run("release", "schedule", "spring", "--unschedule", *YES)
    assert (ended.exit_code, "is not scheduled.\n" in ended.stdout) == (0, True), ended.output
    assert await state(store, release) is ReleaseState.OPEN


async def test_a_rollback_shows_where_each_list_returns_and_pins_it(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("retail", "wholesale"):
        await versions(store, 1, name)
    release = (await output_of(run, "release", "create", "spring")).strip()
    for name in ("retail", "wholesale"):
        await submit(store, [row("a", "9")], name, release=release)
    assert (await run("release", "publish", "spring", *YES)).exit_code == 0
    monkeypatch.setattr("cli.ops.confirmation.is_interactive", lambda: True)
    declined = await run("release", "rollback", "spring", "--reason", "wrong", input="n\n")
    assert "retail: version 2 -> version 1, then pinned" in declined.stderr
    assert "wholesale: 0 added, 0 removed, 1 changed, 0 unchanged." in declined.stderr
    assert await current(store) == 2
    done = await run("release", "rollback", "spring", *YES)
    assert (done.exit_code, f"Rolled back release spring ({release}): 2 lists" in done.stdout) == (0, True), done.output
    assert "retail: version 1 -> version 2 -> version 1, batch" in done.stdout
    for name in ("retail", "wholesale"):
        price_list = await store.price_lists.get(name)
        assert (price_list.current_version, price_list.pin and price_list.pin.reason) == (1, "spring prices")
    again = await run("release", "rollback", release, *YES)
    assert (again.exit_code, "was rolled back before" in again.stdout) == (0, True)


async def test_a_discarded_release_rejects_its_batches(run: Run, store: Store, release: str) -> None:
    batch = await batch_of(store, release, "retail")
    assert ["release", "spring", f"({release})"] in cells((await run("batch", batch.id)).stdout)
    listed = await json_of(run, "show", "retail")
    assert (listed["waiting"], listed["inRelease"]) == ([], [batch.id])
    assert (await run("release", "discard", "spring", *YES)).exit_code == 0
    assert (await store.batches.get(batch.id)).state is BatchState.REJECTED
    late = await run("release", "publish", release, *YES)
    assert (late.exit_code, "RELEASE_NOT_OPEN" in late.stderr) == (1, True), late.output
    never = await run("release", "rollback", release, *YES)
    assert (never.exit_code, "RELEASE_NOT_PUBLISHED" in never.stderr) == (1, True), never.output
    again = await run("release", "discard", release, *YES)
    assert (again.exit_code, "was discarded before" in again.stdout) == (0, True), again.output


async def test_a_name_stands_for_the_one_release_that_has_it(run: Run, store: Store, release: str) -> None:
    assert (await json_of(run, "release", "show", "spring"))["id"] == release
    other = (await output_of(run, "release", "create", "spring")).strip()
    ambiguous = await run("release", "discard", "spring", *YES)
    assert (ambiguous.exit_code, release in ambiguous.stderr, other in ambiguous.stderr) == (1, True, True)
    await output_of(run, "release", "discard", other, *YES)
    assert (await run("release", "schedule", "spring", "--at", "12h", *YES)).exit_code == 0
    assert (await run("release", "show", "spring")).exit_code == 1, "a finished one has the name, too"
    missing = await run("release", "publish", "none", *YES)
    assert (missing.exit_code, "There is no open or scheduled release 'none'." in missing.stderr) == (1, True)
