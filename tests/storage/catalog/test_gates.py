"""Gates hold or reject a batch between seal and publish; a held batch can be read, approved and rejected."""

from decimal import Decimal
from typing import Any

import pytest

from storage import Batch, BatchMode, BatchState, DiffSummary, Gates, PublishPolicy, Severity, Store
from storage.catalog.gates import Facts, check_gates, judge
from storage.catalog.snapshots import SnapshotState
from storage.errors import BatchNotHeld, Conflict, InvalidArgument, Pinned, SnapshotNeverPublished
from tests.storage.factories import (
    Row,
    amounts,
    current,
    layer_ids,
    layers,
    order,
    published,
    row,
    rows,
    snapshot,
    source,
    versions,
)


def facts(**changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "base_size": 200,
        "size": 200,
        "summary": DiffSummary(0, 0, 0, 200),
        "currencies": frozenset({"EUR"}),
        "largest_change": None,
    }
    return Facts(**plain | changes)


@pytest.mark.parametrize(
    ("gates", "passes", "stopped", "severity", "observed"),
    [
        (Gates(max_shrink_percent=Decimal(10)), {"size": 180}, {"size": 179}, Severity.HOLD, "10.50"),
        (
            Gates(max_changed_percent=Decimal(5)),
            {"summary": DiffSummary(changed=10)},
            {"summary": DiffSummary(changed=11)},
            Severity.HOLD,
            "5.50",
        ),
        (
            Gates(max_price_change_percent=Decimal(50)),
            {"largest_change": (Decimal("50.00"), "a")},
            {"largest_change": (Decimal("50.01"), "a")},
            Severity.HOLD,
            "50.01",
        ),
        (
            Gates(allowed_currencies=("EUR", "USD")),
            {"currencies": frozenset({"USD"})},
            {"currencies": frozenset({"EUR", "GBP"})},
            Severity.REJECT,
            "1",
        ),
        (Gates(min_size=100), {"size": 100}, {"size": 99}, Severity.REJECT, "99"),
    ],
)
def test_a_gate_passes_its_limit_and_stops_more(
    gates: Gates, passes: dict[str, Any], stopped: dict[str, Any], severity: Severity, observed: str
) -> None:
    assert judge(gates, facts(**passes)) == []
    assert judge(Gates(), facts(**stopped)) == [], "a gate that is not set is off"
    [finding] = judge(gates, facts(**stopped))
    assert (finding.severity, str(finding.observed)) == (severity, observed)


def test_gates_that_compare_with_the_base_pass_the_first_version() -> None:
    gates = Gates(max_shrink_percent=Decimal(0), max_changed_percent=Decimal(0))
    assert judge(gates, facts(base_size=None, size=1)) == []


@pytest.mark.parametrize(
    "gates",
    [
        Gates(max_shrink_percent=Decimal(-1)),
        Gates(allowed_currencies=("EUX",)),
        Gates(allowed_currencies=()),
        Gates(min_size=-1),
    ],
)
def test_invalid_limits_are_refused(gates: Gates) -> None:
    with pytest.raises(InvalidArgument):
        check_gates(gates)


async def gated(store: Store, gates: Gates) -> None:
    await store.price_list_editor.create("retail", None, gates, "ops")


async def send(store: Store, prices: list[Row], mode: BatchMode = BatchMode.REPLACE, **more: Any) -> Batch:
    template = order(**more)
    return await store.submitter.submit(
        type(template)("retail", mode, template.key, "me", template.publish), await source(prices)
    )


async def test_a_held_batch_can_be_read_by_its_version_and_does_not_move_the_pointer(store: Store) -> None:
    await gated(store, Gates(max_shrink_percent=Decimal(50)))
    await send(store, rows(10))
    batch = await send(store, rows(4, "2.00"))
    assert (batch.state, batch.version, await current(store)) == (BatchState.HELD, 2, 1)
    assert [finding.gate for finding in batch.findings] == ["maxShrinkPercent"]
    assert len(await amounts(store, 2)) == 4
    with pytest.raises(SnapshotNeverPublished):
        await store.pointer_moves.rollback("retail", 2, by="ops", reason="x")
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="the season is over")
    assert (approved.state, approved.version, await current(store)) == (BatchState.PUBLISHED, 2, 2)


async def test_an_approved_merge_is_rebased_on_the_current_version(store: Store) -> None:
    await gated(store, Gates())
    await send(store, [row("a"), row("b")])
    batch = await send(store, [row("b", "2")], BatchMode.MERGE, publish=PublishPolicy.ON_APPROVAL)
    assert (batch.state, batch.version) == (BatchState.HELD, 2)
    await send(store, [row("c")], BatchMode.MERGE)
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert approved.version == 4
    assert await amounts(store, 4) == {"a": "1.00", "b": "2", "c": "1.00"}
    assert (await snapshot(store, 2)).state is SnapshotState.RETIRED
    with pytest.raises(BatchNotHeld):
        await store.lifecycle.approve(batch.id, by="ops", reason="x")


async def test_a_rejected_batch_leaves_nothing(store: Store) -> None:
    await gated(store, Gates())
    batch = await send(store, [row("a")], publish=PublishPolicy.ON_APPROVAL)
    rejected = await store.lifecycle.reject(batch.id, by="ops", reason="no")
    assert rejected.state is BatchState.REJECTED
    await store.garbage_collector.collect()
    assert await layers(store) == layer_ids([batch]), "a reader may still use it"
    store.garbage_collector._orphan_seconds = 0.0
    await store.garbage_collector.collect()
    assert (await layers(store), await current(store)) == (set(), None)


async def test_a_gate_that_rejects_leaves_nothing(store: Store) -> None:
    await gated(store, Gates(allowed_currencies=("EUR",)))
    batch = await send(store, [row("a", currency="USD")])
    assert batch.state is BatchState.REJECTED
    assert batch.refusal is not None
    assert batch.refusal.code == "GATE_REJECTED"
    assert await layers(store) == set()


async def test_a_dry_run_reports_everything_and_cannot_be_published(store: Store) -> None:
    await gated(store, Gates(max_shrink_percent=Decimal(10)))
    await send(store, rows(10))
    kept = await layers(store)
    batch = await send(store, rows(5, "2.00"), publish=PublishPolicy.DRY_RUN)
    assert batch.state is BatchState.ABORTED
    assert batch.summary == DiffSummary(added=0, removed=5, changed=5, unchanged=0)
    assert [finding.gate for finding in batch.findings] == ["maxShrinkPercent"]
    with pytest.raises(BatchNotHeld):
        await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert (await layers(store), await current(store)) == (kept, 1)


async def test_approval_needs_the_version_that_the_sender_expected_or_the_one_that_the_reviewer_names(
    store: Store,
) -> None:
    await versions(store, 1)
    approval_order = order(key="held", publish=PublishPolicy.ON_APPROVAL, expected_version=1)
    batch = await store.submitter.submit(approval_order, await source([row("a", "2.00")]))
    await published(store, [row("a", "3.00")])
    with pytest.raises(Conflict):
        await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert ((await store.batches.get(batch.id)).state, await current(store)) == (BatchState.HELD, 3)
    with pytest.raises(Conflict):
        await store.lifecycle.approve(batch.id, by="ops", reason="x", expected_version=1)
    await store.lifecycle.approve(batch.id, by="ops", reason="x", expected_version=3)
    assert await current(store) == 4


async def test_nothing_is_approved_while_the_list_is_pinned(store: Store) -> None:
    await gated(store, Gates())
    await send(store, [row("a")])
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    batch = await send(store, [row("b")])
    assert [finding.gate for finding in batch.findings] == ["pin"]
    with pytest.raises(Pinned):
        await store.lifecycle.approve(batch.id, by="ops", reason="x")
    await store.pointer_moves.unpin("retail", by="ops", reason="x")
    assert (await store.lifecycle.approve(batch.id, by="ops", reason="x")).version == 2
