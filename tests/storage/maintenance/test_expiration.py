"""Versions expire in steps, can be restored, and keep the layers that other versions name."""

import asyncio
import datetime
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from storage import BatchMode, BatchState, EventKind, Gates, PublishPolicy, Retention, SnapshotExpired, Store
from storage.catalog.snapshots import SnapshotState
from storage.errors import NotRetired, SnapshotNotFound
from storage.maintenance.expiration import ExpirationResult, SnapshotExpirer
from tests.storage.factories import Crash, amounts, compact, current, held, layers, order, row, snapshot, source, submit

NEWEST_ONLY = Retention(versions=1, days=0)


@pytest.fixture
async def retail(store: Store) -> Store:
    """A list that keeps only its newest version, without delays."""
    store.expirer = make_expirer(store)
    store.garbage_collector._orphan_seconds = 0.0
    await store.price_list_editor.create("retail", None, Gates(), "ops", NEWEST_ONLY)
    return store


def make_expirer(store: Store, *, grace: float = 0, restore: float = 0, settle: float = 0) -> SnapshotExpirer:
    return SnapshotExpirer(
        store.client,
        store.price_lists,
        store.snapshots,
        store.expirations,
        store.events,
        store.layer_writer,
        store.locks,
        store.metrics,
        grace,
        restore,
        settle,
    )


async def publish(store: Store, *amounts: str, mode: BatchMode = BatchMode.REPLACE) -> str:
    """Publish versions, each with the sku `a` and a sku named after its amount; return the layer of the last."""
    for amount in amounts:
        rows = await source([row("a", amount), row(f"at-{amount}")])
        batch = await store.submitter.submit(replace(order(), mode=mode), rows)
        assert batch.state is BatchState.PUBLISHED
    assert batch.layer is not None
    return batch.layer.id


async def expire(store: Store, times: int = 2) -> list[ExpirationResult]:
    """Run the expiration of the list a number of times."""
    return [await store.expirer.expire("retail", by="ops") for _ in range(times)]


async def collect(store: Store) -> None:
    """Expire versions and collect garbage."""
    await expire(store, 3)
    await store.garbage_collector.collect()


async def states(store: Store) -> list[str]:
    collections = store.db["snapshots"], store.db["expired_snapshots"]
    found = {each["_id"]["version"]: each["state"] for collection in collections async for each in collection.find()}
    return [found[version] for version in sorted(found)]


def done(result: ExpirationResult) -> tuple[list[int], int]:
    """The versions that a run expired, and the number of layers that it released."""
    return [each.version for each in result.retirements], len(result.drops)


async def test_a_version_expires_in_steps(retail: Store) -> None:
    await publish(retail, "1", "2", "3")
    first, second, third, *_ = await expire(retail, 3)
    assert done(first) == ([], 0), "the first run only marks them"
    assert [each.version for each in second.retirements] == [1, 2]
    assert await states(retail) == ["RETIRED", "RETIRED", "PUBLISHED"]
    assert len(third.drops) == 2
    assert all(each.bytes > 0 for each in third.drops)
    assert len(await layers(retail)) == 3, "the garbage collector drops them"
    await retail.garbage_collector.collect()
    assert len(await layers(retail)) == 1
    assert (retail.metrics.retired, retail.metrics.layers_dropped) == ({"retail": 2}, 2)
    assert await amounts(retail, 3) == {"a": "3", "at-3": "1.00"}
    [last] = await expire(retail, 1)
    assert last == ExpirationResult(last.now, due=None), "there is nothing left to do"


async def test_versions_are_listed_while_they_can_be_restored(retail: Store) -> None:
    retail.expirer = make_expirer(retail, restore=60)
    await publish(retail, "1", "2")
    await expire(retail, 3)
    listed = [(each.version, each.state.value) for each in await retail.snapshots.newest("retail", 9)]
    assert listed == [(2, "PUBLISHED"), (1, "RETIRED")]
    retail.expirer = make_expirer(retail)
    await expire(retail, 1)
    assert [each.version for each in await retail.snapshots.newest("retail", 9)] == [2]
    assert await retail.snapshots.count("retail") == 1


async def test_expiration_is_recorded_in_events(retail: Store) -> None:
    await publish(retail, "1", "2")
    before = (await retail.price_lists.get("retail")).revision
    await expire(retail)
    [event] = await retail.events.newest("retail", 1)
    assert (event.kind, event.by, event.from_version, event.to_version) == (EventKind.RETIRED, "ops", 2, 2)
    assert (event.version, event.reason) == (
        1,
        "Version 1 is not one of the newest 1, and was last current 0 days ago.",
    )
    assert (await retail.price_lists.get("retail")).revision == before + 1


async def test_an_expired_version_cannot_be_rolled_back_to_or_pinned(retail: Store) -> None:
    await publish(retail, "1", "2")
    await expire(retail)
    for act in (
        retail.pointer_moves.rollback("retail", 1, by="ops", reason="x"),
        retail.pointer_moves.pin("retail", 1, by="ops", reason="x"),
    ):
        with pytest.raises(SnapshotExpired):
            await act


async def test_a_plan_lists_what_would_expire_and_changes_nothing(retail: Store) -> None:
    await publish(retail, "1", "2")
    plan = await retail.expirer.plan("retail")
    assert [(each.version, each.reason) for each in plan.retirements] == [
        (1, "Version 1 is not one of the newest 1, and was last current 0 days ago.")
    ]
    assert (await snapshot(retail, 1)).doomed_at is None
    done = [each for run in await expire(retail) for each in run.retirements]
    assert [each.version for each in done] == [each.version for each in plan.retirements]
    plan = await retail.expirer.plan("retail")
    assert (await snapshot(retail, 1)).layers != ()
    [run] = await expire(retail, 1)
    # The bytes may differ: a checkpoint in between can write more.
    assert [each.layer for each in plan.drops] == [each.layer for each in run.drops] != []


async def test_a_run_says_when_the_next_step_is_due(retail: Store) -> None:
    retail.expirer = make_expirer(retail, grace=600, restore=86_400, settle=10)

    async def now() -> datetime.datetime:
        hello = await retail.client.admin.command("hello")
        time: datetime.datetime = hello["localTime"].replace(tzinfo=datetime.UTC)
        return time

    async def is_due(seconds: float, since: datetime.datetime) -> bool:
        """Whether a run says that the next step is due some seconds after a time between `since` and its own."""
        [run] = await expire(retail, 1)
        delay = datetime.timedelta(seconds=seconds)
        return run.due is not None and since + delay <= run.due <= run.now + delay

    begun = await now()
    await publish(retail, "1", "2", "3")
    assert await is_due(10, await now()), "the marks settle"
    noted = await now()
    await retail.snapshots.note_reads([("retail", 1), ("retail", 2)])
    assert await is_due(600, noted), "the grace time of the reads ends"
    retail.expirer = make_expirer(retail, restore=86_400)
    assert await is_due(0, await now()), "they are marked, and settle at once"
    expired = await now()
    assert await is_due(86_400, expired), "the restore time ends"
    await retail.price_list_editor.update(
        "retail", "ops", lambda each: msgspec.structs.replace(each, retention=Retention(1, 3))
    )
    await publish(retail, "4")
    assert await is_due(86_400, expired)
    retail.expirer = make_expirer(retail, restore=7 * 86_400)
    assert await is_due(3 * 86_400, begun), "the oldest kept version reaches its age"


async def test_a_list_with_nothing_to_expire_is_never_due(retail: Store) -> None:
    await publish(retail, "1")
    [run] = await expire(retail, 1)
    assert run == ExpirationResult(run.now, due=None)


async def test_a_version_that_is_read_after_it_was_marked_is_kept(retail: Store) -> None:
    retail.expirer = make_expirer(retail, grace=60)
    await publish(retail, "1", "2")
    await expire(retail, 1)
    assert (await snapshot(retail, 1)).doomed_at is not None
    await retail.snapshots.note_reads([("retail", 1)])
    await expire(retail, 3)
    assert await states(retail) == ["PUBLISHED", "PUBLISHED"]
    assert (await snapshot(retail, 1)).doomed_at is None


async def test_a_read_during_the_expiration_keeps_the_version(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    retail.expirer = make_expirer(retail, grace=60)
    await publish(retail, "1", "2")
    await expire(retail, 1)
    original = SnapshotExpirer._expire

    async def read_first(self: SnapshotExpirer, *arguments: object) -> bool:
        await retail.snapshots.note_reads([("retail", 1)])
        return await original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SnapshotExpirer, "_expire", read_first)
    assert [done(run) for run in await expire(retail, 1)] == [([], 0)]
    assert await states(retail) == ["PUBLISHED", "PUBLISHED"]


async def test_a_rollback_during_the_expiration_keeps_the_version(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(retail, "1", "2")
    await expire(retail, 1)
    original = SnapshotExpirer._expire

    async def roll_back_first(self: SnapshotExpirer, *arguments: object) -> bool:
        await retail.pointer_moves.rollback("retail", 1, by="ops", reason="x")
        return await original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SnapshotExpirer, "_expire", roll_back_first)
    assert [done(run) for run in await expire(retail, 1)] == [([], 0)]
    assert (await current(retail), await states(retail)) == (1, ["PUBLISHED", "PUBLISHED"])


async def test_a_version_is_marked_for_a_while_before_it_expires(retail: Store) -> None:
    retail.expirer = make_expirer(retail, settle=60)
    await publish(retail, "1", "2")
    assert [done(run) for run in await expire(retail, 3)] == [([], 0)] * 3
    assert await states(retail) == ["PUBLISHED", "PUBLISHED"]


async def test_an_expired_version_can_be_restored(retail: Store) -> None:
    retail.expirer = make_expirer(retail, grace=60, restore=60)
    await publish(retail, "1", "2")
    await expire(retail)
    moved = await retail.expirer.restore("retail", 1, by="ops", reason="an audit")
    [event] = await retail.events.newest("retail", 1)
    assert (event.kind, event.version, event.reason) == (EventKind.RESTORED, 1, "an audit")
    assert event.revision == moved.revision
    assert await amounts(retail, 1) == {"a": "1", "at-1": "1.00"}
    await expire(retail, 3)
    assert await states(retail) == ["PUBLISHED", "PUBLISHED"], "restoring counts as a read"
    assert (retail.metrics.retired, retail.metrics.restored) == ({"retail": 1}, {"retail": 1})
    await retail.pointer_moves.rollback("retail", 1, by="ops", reason="x")


async def test_an_expired_version_keeps_its_layers_until_its_restore_time_is_over(retail: Store) -> None:
    retail.expirer = make_expirer(retail, restore=60)
    await publish(retail, "1", "2")
    await expire(retail, 3)
    await retail.garbage_collector.collect()
    assert len(await layers(retail)) == 2
    retail.expirer = make_expirer(retail)
    await expire(retail, 1)
    await retail.garbage_collector.collect()
    assert len(await layers(retail)) == 1
    with pytest.raises(SnapshotExpired):
        await retail.expirer.restore("retail", 1, by="ops", reason="too late")


async def test_only_an_expired_version_can_be_restored(retail: Store) -> None:
    await publish(retail, "1")
    with pytest.raises(NotRetired):
        await retail.expirer.restore("retail", 1, by="ops", reason="x")
    with pytest.raises(SnapshotNotFound):
        await retail.expirer.restore("retail", 9, by="ops", reason="x")
    batch = await submit(retail, [row("a")], publish=PublishPolicy.ON_APPROVAL)
    await retail.lifecycle.reject(batch.id, by="ops", reason="no")
    with pytest.raises(SnapshotExpired):
        await retail.expirer.restore("retail", 2, by="ops", reason="x")


async def test_a_layer_that_another_version_names_is_kept(retail: Store) -> None:
    base = await publish(retail, "1")
    merged = await publish(retail, "2", mode=BatchMode.MERGE)
    last = await publish(retail, "3", mode=BatchMode.MERGE)
    runs = await expire(retail, 3)
    assert [each for run in runs for each in run.drops] == []
    await retail.garbage_collector.collect()
    assert await layers(retail) == {base, merged, last}
    assert await amounts(retail, 3) == {"a": "3", "at-1": "1.00", "at-2": "1.00", "at-3": "1.00"}
    await publish(retail, "4")
    await expire(retail, 3)
    await retail.garbage_collector.collect()
    assert len(await layers(retail)) == 1


async def test_folded_layers_are_dropped_when_no_version_names_them(retail: Store) -> None:
    await publish(retail, "1")
    await publish(retail, "2", "3", mode=BatchMode.MERGE)
    await compact(retail, await snapshot(retail, 3))
    await expire(retail, 3)
    retail.garbage_collector._orphan_seconds = 60.0
    await retail.garbage_collector.collect()
    assert len(await layers(retail)) == 4, "a reader may still use the previous manifest"
    retail.garbage_collector._orphan_seconds = 0.0
    await retail.garbage_collector.collect()
    named = {layer for each in await retail.snapshots.newest("retail", 9) for layer in each.layer_ids}
    assert await layers(retail) == named
    assert await amounts(retail, 3) == {"a": "3", "at-1": "1.00", "at-2": "1.00", "at-3": "1.00"}


async def test_a_held_batch_can_be_published_even_if_its_base_expired(retail: Store) -> None:
    await publish(retail, "1")
    waiting = await retail.submitter.submit(
        replace(order(), mode=BatchMode.MERGE, publish=PublishPolicy.ON_APPROVAL), await source([row("b", "5")])
    )
    await publish(retail, "2", "3")
    await expire(retail, 3)
    await retail.garbage_collector.collect()
    assert await amounts(retail, 2) == {"a": "1", "at-1": "1.00", "b": "5"}, "the held version can be read"
    approved = await retail.lifecycle.approve(waiting.id, by="ops", reason="x")
    assert await amounts(retail, approved.version or 0) == {"a": "3", "at-3": "1.00", "b": "5"}


async def test_a_pinned_version_is_kept(retail: Store) -> None:
    await publish(retail, "1", "2")
    await retail.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    await held(retail, [row("a", "3")])
    await expire(retail, 3)
    assert (await states(retail))[0] == "PUBLISHED"


async def keep(store: Store, seconds: float | None, version: int = 1) -> None:
    """Keep a version for some seconds from the last change of the list, or no longer."""
    moved = (await store.price_lists.get("retail")).moved_at
    until = None if seconds is None else moved + datetime.timedelta(seconds=seconds)
    await store.version_keeper.keep("retail", version, until=until, by="ops", reason="an audit")


async def test_a_kept_version_expires_once_its_time_is_over(retail: Store) -> None:
    await publish(retail, "1", "2", "3")
    await keep(retail, 3600)
    await expire(retail, 3)
    assert await states(retail) == ["PUBLISHED", "RETIRED", "PUBLISHED"]
    kept = (await snapshot(retail, 1)).keep
    assert kept is not None
    [run] = await expire(retail, 1)
    assert run.due == kept.until, "it is checked again then"
    over = run.now - datetime.timedelta(seconds=1)
    await retail.db["snapshots"].update_one({"_id.version": 1}, {"$set": {"keep.until": over}})
    await expire(retail)
    assert await states(retail) == ["RETIRED", "RETIRED", "PUBLISHED"]


async def test_a_version_that_is_kept_no_longer_expires(retail: Store) -> None:
    await publish(retail, "1", "2")
    await keep(retail, 3600)
    await expire(retail, 3)
    await keep(retail, None)
    await expire(retail)
    assert await states(retail) == ["RETIRED", "PUBLISHED"]


async def test_kept_versions_are_listed_in_the_order_of_their_ends(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(retail, "1", "2", "3", "4")
    for version, seconds in ((1, 3600), (2, 60), (4, 1800)):
        await keep(retail, seconds, version)
    now = (await retail.expirer.plan("retail")).now
    kept = await retail.expirer.kept("retail", now)
    assert [(each.version, each.reason) for each in kept] == [(version, "an audit") for version in (2, 4, 1)]
    assert [each.version for each in await retail.expirer.kept("retail", now + datetime.timedelta(hours=0.75))] == [1]
    monkeypatch.setattr("storage.maintenance.expiration.MAX_KEPT", 2)
    assert [each.version for each in await retail.expirer.kept("retail", now)] == [2, 4]


async def test_a_marked_version_that_is_kept_loses_its_mark(retail: Store) -> None:
    await publish(retail, "1", "2")
    await expire(retail, 1)
    assert (await snapshot(retail, 1)).doomed_at is not None
    await keep(retail, 3600)
    await expire(retail, 3)
    found = await snapshot(retail, 1)
    assert (found.state, found.doomed_at) == (SnapshotState.PUBLISHED, None)


@pytest.mark.parametrize("change", ["keep", "there and back"])
async def test_a_change_between_the_search_and_the_expiration_keeps_the_version(
    retail: Store, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await publish(retail, "1", "2")
    await expire(retail, 1)
    original = SnapshotExpirer._expire

    async def change_first(self: SnapshotExpirer, *arguments: object) -> bool:
        if change == "keep":
            await keep(retail, 3600)
        else:
            for version in (1, 2):
                await retail.pointer_moves.rollback("retail", version, by="ops", reason="x")
        return await original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SnapshotExpirer, "_expire", change_first)
    assert [done(run) for run in await expire(retail, 1)] == [([], 0)]
    assert await states(retail) == ["PUBLISHED", "PUBLISHED"]


@pytest.mark.parametrize("first", ["expire", "set_keep"])
async def test_of_keeping_and_expiring_a_version_at_once_one_takes_effect(
    retail: Store, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    await publish(retail, "1", "2")
    await expire(retail, 1)
    original = getattr(retail.expirations, first)
    acts: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "expire": lambda: make_expirer(retail).expire("retail", by="ops"),
        "set_keep": lambda: keep(retail, 3600),
    }
    [other] = [name for name in acts if name != first]
    others: list[asyncio.Task[object]] = []

    async def with_the_other(*arguments: object) -> None:
        await original(*arguments)
        if not others:
            others.append(asyncio.create_task(acts[other]()))
            await asyncio.sleep(0.1)

    monkeypatch.setattr(retail.expirations, first, with_the_other)
    [its_outcome] = await asyncio.gather(acts[first](), return_exceptions=True)
    [other_outcome] = await asyncio.gather(*others, return_exceptions=True)
    outcomes = {first: its_outcome, other: other_outcome}
    found, expired = await snapshot(retail, 1), outcomes["expire"]
    assert isinstance(expired, ExpirationResult)
    if isinstance(outcomes["set_keep"], SnapshotExpired):
        assert (found.state, found.keep) == (SnapshotState.RETIRED, None)
        assert done(expired) == ([1], 0)
    else:
        assert (found.state, found.keep is None) == (SnapshotState.PUBLISHED, False)
        assert done(expired) == ([], 0)


async def test_a_version_that_was_current_until_lately_is_kept_however_old_it_is(retail: Store) -> None:
    await retail.price_list_editor.update(
        "retail", "ops", lambda found: msgspec.structs.replace(found, retention=Retention(1, 1))
    )
    await publish(retail, "1", "2")
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    await retail.db["snapshots"].update_many({}, {"$set": {"publishedAt": long_ago}})
    [run] = await expire(retail, 1)
    replaced = (await snapshot(retail, 1)).replaced_at
    assert replaced is not None
    assert (await states(retail), run.due) == (["PUBLISHED", "PUBLISHED"], replaced + datetime.timedelta(days=1))
    await retail.db["snapshots"].update_one({"_id.version": 1}, {"$set": {"replacedAt": long_ago}})
    await expire(retail)
    assert await states(retail) == ["RETIRED", "PUBLISHED"]


async def test_versions_that_were_replaced_at_one_time_are_all_found(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.maintenance.expiration_search.VERSIONS_PER_READ", 2)
    await publish(retail, *map(str, range(1, 8)))
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    await retail.db["snapshots"].update_many({"_id.version": {"$lt": 6}}, {"$set": {"replacedAt": long_ago}})
    plan = await retail.expirer.plan("retail")
    assert [each.version for each in plan.retirements] == [1, 2, 3, 4, 5, 6]


async def test_concurrent_runs_expire_a_version_once(retail: Store) -> None:
    await publish(retail, "1", "2", "3")
    await expire(retail, 1)
    runs = await asyncio.gather(*(make_expirer(retail).expire("retail", by="ops") for _ in range(4)))
    assert sorted(each.version for run in runs for each in run.retirements) == [1, 2]
    found = await retail.price_lists.get("retail")
    events = await retail.events.newest("retail", 100)
    assert [event.revision for event in events] == list(range(found.revision, 0, -1))


@pytest.mark.parametrize("step", ["mark", "expire", "release_layers", "drop", "forget"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_another_run_finishes_after_a_crash_at_any_step(
    retail: Store, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    await publish(retail, "1", "2", "3")
    owners = {"drop": retail.layer_writer, "forget": retail.orphans, "release_layers": retail.snapshots}
    owner = owners.get(step, retail.expirations)
    act = getattr(owner, step)

    async def dying(*arguments: object, **named: object) -> None:
        if when == "after":
            await act(*arguments, **named)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, dying)
        with pytest.raises(Crash):
            await collect(retail)
    await retail.db["locks"].update_many(
        {}, {"$set": {"lease.until": datetime.datetime.fromtimestamp(0, datetime.UTC)}}
    )
    await collect(retail)
    assert await states(retail) == ["RETIRED", "RETIRED", "PUBLISHED"]
    assert len(await layers(retail)) == 1
    kinds = [event.kind for event in await retail.events.newest("retail", 100)]
    assert kinds.count(EventKind.RETIRED) == 2
    assert await amounts(retail, 3) == {"a": "3", "at-3": "1.00"}


async def test_a_run_is_limited_in_versions_and_layers(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.maintenance.expiration.MAX_VERSIONS_PER_RUN", 2)
    monkeypatch.setattr("storage.maintenance.garbage_collection.MAX_DROPS_PER_RUN", 1)
    monkeypatch.setattr("storage.maintenance.garbage_collection.MAX_TASK_SECONDS", 0.0)
    await publish(retail, "1", "2", "3", "4")
    runs = await expire(retail, 4)
    assert [done(run)[0] for run in runs] == [[], [1, 2], [], [3]]
    await retail.garbage_collector.collect()
    assert len(await layers(retail)) == 3
    assert (await snapshot(retail, 4)).state is SnapshotState.PUBLISHED
