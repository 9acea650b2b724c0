"""Merges are throttled while their list has too many layers; none is refused."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from storage import Batch, BatchMode, BatchState, PublishPolicy, Store
from storage.batches import throttle as module
from storage.batches.throttle import MAX_WAIT_SECONDS, UNTHROTTLED_LAYERS, WAIT_SECONDS_PER_LAYER
from storage.catalog.gates import Severity
from storage.catalog.snapshots import Layer, Snapshot, SnapshotState
from storage.mongodb.transaction import instant
from tests.storage.factories import amounts, create, current, order, row, snapshot, source
from tests.storage.maintaining import working

SLACK = 1e-6


async def merge(store: Store, sku: str) -> Batch:
    return await store.submitter.submit(replace(order(), mode=BatchMode.MERGE), await source([row(sku)]))


async def with_layers(store: Store, count: int) -> None:
    """Create a list whose current version has some layers."""
    await create(store)
    for number in range(count):
        assert (await merge(store, f"sku-{number:02}")).state is BatchState.PUBLISHED


def version_with(layers: int) -> Snapshot:
    layer = Layer("layer", 1, "")
    return Snapshot("retail", 1, (layer,) * layers, 1, SnapshotState.PUBLISHED, instant(), None, None, "batch", None)


class Clock:
    """A clock that advances by 0.1 s whenever a merge checks whether there is room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *layers: int) -> None:
        self.now = 0.0
        self._layers = list(layers)
        monkeypatch.setattr(module, "THROTTLE_POLL_SECONDS", 0)
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(module, "current_snapshot", self.check)

    async def check(self, *_: object) -> Snapshot:
        self.now += 0.1
        return version_with(self._layers.pop(0) if len(self._layers) > 1 else self._layers[0])


@pytest.fixture
async def batch(store: Store) -> Batch:
    await create(store)
    return await merge(store, "a")


@pytest.mark.parametrize(
    ("layers", "seconds"),
    [
        (1, 0.0),
        (UNTHROTTLED_LAYERS - 1, 0.0),
        (UNTHROTTLED_LAYERS, WAIT_SECONDS_PER_LAYER),
        (UNTHROTTLED_LAYERS + 1, 2 * WAIT_SECONDS_PER_LAYER),
        (140, MAX_WAIT_SECONDS),
    ],
)
async def test_a_merge_waits_the_longer_the_more_layers_there_are_but_not_for_ever(
    store: Store, batch: Batch, monkeypatch: pytest.MonkeyPatch, layers: int, seconds: float
) -> None:
    throttle = store.lifecycle._throttle
    clock = Clock(monkeypatch, layers)
    waited, _ = await throttle.wait(batch, version_with(layers))
    assert seconds <= clock.now + SLACK < seconds + 0.2
    assert store.metrics.throttle_seconds["retail"] == clock.now
    assert [finding.observed for finding in waited.findings] == ([Decimal(layers)] if seconds else [])


async def test_a_merge_goes_on_when_a_compaction_made_room(
    store: Store, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = store.lifecycle._throttle
    clock = Clock(monkeypatch, 30, 30, 3)
    _, base = await throttle.wait(batch, version_with(30))
    assert clock.now == pytest.approx(0.3)
    assert base is not None
    assert len(base.layers) == 3, "the version that is current after the wait"


async def test_only_a_merge_that_is_to_be_published_waits(store: Store, batch: Batch) -> None:
    throttle, base = store.lifecycle._throttle, version_with(140)
    for other in (
        msgspec.structs.replace(batch, mode=BatchMode.REPLACE),
        msgspec.structs.replace(batch, publish=PublishPolicy.DRY_RUN),
    ):
        assert await throttle.wait(other, base) == (other, base)
    assert await throttle.wait(batch, None) == (batch, None)
    assert store.metrics.merges_throttled == {}


async def test_without_compaction_merges_are_throttled_and_say_so(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await with_layers(store, UNTHROTTLED_LAYERS)
    assert store.metrics.merges_throttled == {}
    monkeypatch.setattr(module, "WAIT_SECONDS_PER_LAYER", 0.01)
    batches = [await merge(store, f"late-{number}") for number in range(2)]
    assert [batch.state for batch in batches] == [BatchState.PUBLISHED] * 2
    assert len(await amounts(store, UNTHROTTLED_LAYERS + 2)) == UNTHROTTLED_LAYERS + 2
    assert store.metrics.merges_throttled == {"retail": 2}
    assert store.metrics.throttle_seconds["retail"] > 0
    for number, batch in enumerate(batches):
        [finding] = (await store.batches.get(batch.id)).findings
        assert (finding.gate, finding.severity) == ("layers", Severity.INFO)
        assert (finding.observed, finding.limit) == (Decimal(UNTHROTTLED_LAYERS + number), Decimal(UNTHROTTLED_LAYERS))
        assert f"had {UNTHROTTLED_LAYERS + number} layers, so the merge waited" in finding.message
        assert f"Batch {batch.id} of retail: {finding.message}" in caplog.messages


async def test_with_compaction_a_version_never_has_more_layers_than_the_limit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS_PER_LAYER", 600.0)
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 600.0)
    await create(store)
    most = 0
    async with working(store):
        for number in range(2 * UNTHROTTLED_LAYERS):
            await merge(store, f"sku-{number:02}")
            version = await current(store)
            assert version == number + 1
            most = max(most, len((await snapshot(store, version)).layers))
    assert most <= UNTHROTTLED_LAYERS
    assert len(await amounts(store, 2 * UNTHROTTLED_LAYERS)) == 2 * UNTHROTTLED_LAYERS
