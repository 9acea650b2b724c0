"""Batches that are sent with a release wait in it, the newest of each list."""

import asyncio
import datetime
from typing import Any
from unittest.mock import patch

import pytest

from storage import BatchMode, BatchState, EventKind, Gates, PublishPolicy, Release, SnapshotState, Store
from storage.batches.batch import BatchOrder
from storage.catalog import releases
from storage.catalog.releases import ReleaseFull, ReleaseNotFound, ReleaseNotOpen
from storage.errors import InvalidArgument
from tests.storage.factories import current, order, row, snapshot, source, submit, versions
from tests.storage.releases.factories import lists, release, wait


async def items(store: Store, opened: Release) -> dict[str, str]:
    return {item.price_list: item.batch for item in (await store.releases.get(opened.id)).items}


async def test_a_batch_with_a_release_is_sealed_and_waits_in_it(store: Store) -> None:
    await versions(store, 1)
    opened = await release(store)
    batch = await wait(store, opened, "retail")
    assert (batch.version, batch.publish_at, batch.held_by_pin) == (2, None, False)
    assert [(finding.gate, finding.message) for finding in batch.findings] == [
        ("release", f"The batch waits in release 'Spring' ({opened.id}).")
    ]
    assert await items(store, opened) == {"retail": batch.id}
    assert await current(store) == 1
    [event] = await store.events.newest("retail", 1)
    assert (event.kind, event.reason) == (EventKind.HELD, f"It waits in release {opened.id}.")


async def test_a_batch_in_a_release_waits_for_it_although_a_pin_holds_it_as_well(store: Store) -> None:
    await versions(store, 1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    opened = await release(store)
    batch = await wait(store, opened, "retail")
    assert not batch.held_by_pin
    await store.lifecycle.publish_latest("retail", by="ops", reason="done")
    assert await current(store) == 1
    assert (await store.batches.get(batch.id)).state is BatchState.HELD


async def test_a_later_batch_of_the_same_list_supersedes_the_earlier_one(store: Store) -> None:
    await lists(store)
    opened = await release(store)
    other, earlier = await wait(store, opened, "books"), await wait(store, opened, "games")
    later = await wait(store, opened, "games", [row("a", "10")])
    rejected = await store.batches.get(earlier.id)
    assert (rejected.state, rejected.refusal and rejected.refusal.code) == (BatchState.REJECTED, "SUPERSEDED")
    assert (await snapshot(store, 2, "games")).state is SnapshotState.RETIRED
    assert await items(store, opened) == {"books": other.id, "games": later.id}
    kinds = [event.kind for event in await store.events.newest("games", 3)]
    assert kinds == [EventKind.HELD, EventKind.REJECTED, EventKind.HELD]
    assert store.metrics.batches["games", BatchMode.REPLACE, BatchState.REJECTED] == 1


async def test_batches_that_are_sealed_at_once_all_join(store: Store, other_store: Store) -> None:
    names = [f"list-{number}" for number in range(8)]
    await lists(store, names=names)
    opened = await release(store)
    stores = [store, other_store] * 4
    await asyncio.gather(*(wait(each, opened, name) for each, name in zip(stores, names, strict=True)))
    assert [*await items(store, opened)] == names, "in the order of their names"


async def test_batches_of_a_scheduled_release_change_their_list_at_its_instant(store: Store) -> None:
    await versions(store, 1)
    instant = (await store.now()).replace(microsecond=0) + datetime.timedelta(hours=1)
    opened = await store.release_editor.create("Spring", "k", by="ann", publish_at=instant)
    batch = await wait(store, opened, "retail")
    assert batch.publish_at == instant
    assert (await store.price_lists.get("retail")).next_change_at == instant
    await store.lifecycle.reject(batch.id, by="ops", reason="x")
    assert (await store.price_lists.get("retail")).next_change_at is None


async def test_a_gate_rejects_a_batch_that_is_sent_with_a_release(store: Store) -> None:
    await store.price_list_editor.create("retail", None, Gates(min_size=2), "ops")
    opened = await release(store)
    batch = await submit(store, [row("a")], release=opened.id)
    assert (batch.state, batch.refusal and batch.refusal.code) == (BatchState.REJECTED, "GATE_REJECTED")
    assert await items(store, opened) == {}


# Refusals


@pytest.mark.parametrize(
    "more",
    [{"publish": PublishPolicy.DRY_RUN}, {"publish_at": datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)}],
    ids=["dry run", "publishAt"],
)
async def test_a_release_decides_alone_when_its_batches_are_published(store: Store, more: dict[str, Any]) -> None:
    await versions(store, 1)
    opened = await release(store)
    with pytest.raises(InvalidArgument) as refused:
        await submit(store, [row("a")], release=opened.id, **more)
    assert refused.value.path == ("input", "release")


async def test_a_batch_is_not_admitted_to_a_release_that_does_not_take_it(store: Store) -> None:
    await lists(store)
    opened = await release(store)
    known = await wait(store, opened, "books", key="known")
    with pytest.raises(ReleaseNotFound):
        await submit(store, [row("a")], "books", release="none")
    with patch.object(releases, "MAX_LISTS", 1), pytest.raises(ReleaseFull):
        await wait(store, opened, "games")
    await store.release_editor.discard(opened.id, by="ann", reason="x")
    with pytest.raises(ReleaseNotOpen, match="DISCARDED"):
        await store.multipart.open(order("books", release=opened.id))
    again = await submit(store, [row("a", "9")], "books", key="known", release=opened.id)
    assert (again.id, again.state) == (known.id, BatchState.REJECTED)


async def test_admission_is_a_use_of_the_release(store: Store) -> None:
    await versions(store, 1)
    opened = await release(store)
    await store.multipart.open(order(release=opened.id))
    assert (await store.releases.get(opened.id)).touched_at > opened.touched_at


@pytest.mark.parametrize("code", ["RELEASE_NOT_OPEN", "RELEASE_FULL"])
async def test_a_batch_whose_release_was_closed_or_filled_meanwhile_is_rejected(store: Store, code: str) -> None:
    await lists(store)
    opened = await release(store)
    batch = await store.multipart.open(BatchOrder("books", BatchMode.REPLACE, "k", "integrator", release=opened.id))
    await store.multipart.append(batch.id, 0, await source([row("a", "9")]), ())
    await wait(store, opened, "games")
    if code == "RELEASE_NOT_OPEN":
        await store.release_editor.discard(opened.id, by="ann", reason="x")
    sealing, _ = await store.multipart.commit(batch.id, 1, 1)
    with patch.object(releases, "MAX_LISTS", 1):
        ended = await store.lifecycle.finish(sealing)
    assert (ended.state, ended.refusal and ended.refusal.code) == (BatchState.REJECTED, code)
    assert [*await items(store, opened)] == ["games"]


# Reviews


async def test_an_approved_batch_still_waits_for_its_release(store: Store) -> None:
    await versions(store, 1)
    opened = await release(store)
    batch = await wait(store, opened, "retail", publish=PublishPolicy.ON_APPROVAL)
    approved = await store.lifecycle.approve(batch.id, by="eve", reason="checked")
    assert (approved.state, approved.approval and approved.approval.by) == (BatchState.HELD, "eve")
    assert await current(store) == 1
    [event] = await store.events.newest("retail", 1)
    assert (event.kind, event.batch) == (EventKind.APPROVED, batch.id)


async def test_a_rejected_batch_leaves_its_release(store: Store) -> None:
    await lists(store)
    opened = await release(store)
    batch, other = await wait(store, opened, "books"), await wait(store, opened, "games")
    await store.lifecycle.reject(batch.id, by="eve", reason="wrong")
    assert await items(store, opened) == {"games": other.id}
