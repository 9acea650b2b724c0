"""A comparison that follows from one version to the next equals one from the start."""

import datetime
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from storage import Batch, BatchMode, BatchState, Layer, PublishPolicy, Snapshot
from storage.batches import comparison as module
from storage.batches.comparison import BatchComparer, Comparison
from storage.catalog.snapshots import SnapshotRepository
from storage.layers.diff import VersionDiffer
from storage.prices.price import TOMBSTONE, encode_row
from tests.storage.layers.memory import MemoryLayers, blocks_of, version_of
from tests.storage.layers.model import BLOCK_ROWS, LAYER, Rows, newest, stored, visible


class Manifests(SnapshotRepository):
    """Manifests in memory, by version."""

    def __init__(self, **layers: Sequence[Layer]) -> None:
        self.versions = {int(name.removeprefix("v")): _manifest(name, stack) for name, stack in layers.items()}

    async def get(self, price_list: str, version: int, session: object = None) -> Snapshot | None:
        """Return a manifest, or None."""
        return self.versions.get(version)


def _manifest(name: str, layers: Sequence[Layer]) -> Snapshot:
    return replace(version_of(layers), version=int(name.removeprefix("v")))


def batch_of(layer: Layer, mode: BatchMode, rows: int) -> Batch:
    """A sealed batch of a layer."""
    return Batch(
        id="b",
        price_list="retail",
        mode=mode,
        key="key",
        fingerprint=None,
        chunked=False,
        publish=PublishPolicy.WHEN_VALID,
        expected_version=None,
        label=None,
        submitted_by="me",
        created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        state=BatchState.SEALING,
        token=1,
        rows=rows,
        layer=layer,
    )


async def follow(
    memory: MemoryLayers, manifests: Manifests, batch: Batch, *, from_: int | None = 1, to: int | None = 2
) -> tuple[Comparison, bool]:
    """Return the comparison with one version, followed to another, and whether it was not counted from the start."""
    differ = VersionDiffer(memory.reader())
    comparer = BatchComparer(manifests, memory.reader(), differ)
    known = await comparer.compare(batch, manifests.versions.get(from_ or 0))
    memory.fetched.clear()
    with patch.object(differ, "count", wraps=differ.count) as count:
        return await comparer.compare(batch, manifests.versions.get(to or 0), known), count.call_count == 0


async def compare(memory: MemoryLayers, base: Snapshot | None, batch: Batch) -> Comparison:
    """Return the comparison from the start."""
    reader = memory.reader()
    return await BatchComparer(Manifests(), reader, VersionDiffer(reader)).compare(batch, base)


@given(
    st.lists(LAYER, max_size=2),
    st.lists(LAYER, max_size=2),
    st.lists(LAYER, max_size=2),
    LAYER,
    st.sampled_from(BatchMode),
    st.booleans(),
    BLOCK_ROWS,
)
@settings(max_examples=200)
async def test_a_followed_comparison_equals_one_from_the_start(
    old: list[Rows], new: list[Rows], shared: list[Rows], sent: Rows, mode: BatchMode, compacted: bool, block_rows: int
) -> None:
    memory = MemoryLayers()
    below = stored(memory, shared, block_rows)
    before, after = [*stored(memory, old, block_rows), *below], [*stored(memory, new, block_rows), *below]
    if compacted:
        [folded] = stored(memory, [newest([*new, *shared])], block_rows)
        after = [folded]
    rows = visible([sent]) if mode is BatchMode.REPLACE else sent
    batch = batch_of(memory.add(rows), mode, 1000)
    manifests = Manifests(**({"v1": before} if before else {}), **({"v2": after} if after else {}))
    followed, _ = await follow(memory, manifests, batch)
    assert followed == await compare(memory, manifests.versions.get(2), batch)


PRICES = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(20_000)}


async def test_a_replacement_follows_a_small_merge_by_the_blocks_of_its_skus() -> None:
    memory = MemoryLayers()
    base = memory.add(PRICES)
    batch = batch_of(memory.add(dict.fromkeys(PRICES, encode_row("2.00", "EUR"))), BatchMode.REPLACE, len(PRICES))
    merged = {"s00007": encode_row("9.00", "EUR"), "new": encode_row("1.00", "EUR"), "s19999": TOMBSTONE}
    manifests = Manifests(v1=[base], v2=[memory.add(merged), base])
    followed, is_followed = await follow(memory, manifests, batch)
    assert is_followed
    assert len(memory.fetched) < 12 < len(blocks_of(PRICES))
    changes = followed.changes
    assert (changes.added, changes.removed, changes.changed) == (1, 1, 19_999)


@pytest.mark.parametrize(
    ("amount", "is_followed"), [("9.00", True), ("6.00", True), ("1.50", False), ("2.00", False), ("3.00", False)]
)
async def test_a_sku_with_the_largest_change_is_followed_unless_its_change_shrinks(
    amount: str, is_followed: bool
) -> None:
    memory = MemoryLayers()
    old = {"a": encode_row("1.00", "EUR"), "b": encode_row("6.00", "EUR"), "c": encode_row("1.00", "EUR")}
    new = {"a": encode_row("1.10", "EUR"), "b": encode_row("2.00", "EUR"), "c": encode_row("1.20", "EUR")}
    base = memory.add(old)
    batch = batch_of(memory.add(new), BatchMode.REPLACE, 3)
    manifests = Manifests(v1=[base], v2=[memory.add({"b": encode_row(amount, "EUR")}), base])
    with patch.object(module, "MAX_FOLLOWED_CHANGES", 10):
        followed, was_followed = await follow(memory, manifests, batch)
    assert followed == await compare(memory, manifests.versions[2], batch)
    assert was_followed == is_followed


@pytest.mark.parametrize(
    ("mode", "rows", "differing", "is_followed"),
    [
        (BatchMode.REPLACE, 1, 100, True),
        (BatchMode.REPLACE, 20_000, 101, False),
        (BatchMode.MERGE, 1000, 100, True),
        (BatchMode.MERGE, 1000, 101, False),
        (BatchMode.MERGE, 999, 1, False),
    ],
)
async def test_versions_that_differ_too_much_are_not_followed(
    mode: BatchMode, rows: int, differing: int, is_followed: bool
) -> None:
    memory = MemoryLayers()
    base, sent = memory.add(PRICES), dict(list(PRICES.items())[:rows])
    batch = batch_of(memory.add(sent), mode, rows)
    merged = dict.fromkeys(list(PRICES)[:differing], encode_row("9.00", "EUR"))
    manifests = Manifests(v1=[base], v2=[memory.add(merged), base])
    with patch.object(module, "MAX_FOLLOWED_CHANGES", 100):
        followed, was_followed = await follow(memory, manifests, batch)
    assert was_followed == is_followed
    assert followed == await compare(memory, manifests.versions[2], batch)


async def test_a_version_that_expired_is_not_followed() -> None:
    memory = MemoryLayers()
    batch = batch_of(memory.add(PRICES), BatchMode.REPLACE, len(PRICES))
    before, after = [memory.add({"a": TOMBSTONE})], [memory.add(PRICES)]
    manifests = Manifests(v1=before, v2=after)
    comparer = BatchComparer(manifests, memory.reader(), VersionDiffer(memory.reader()))
    known = await comparer.compare(batch, manifests.versions[1])
    manifests.versions[1] = _manifest("v1", [])
    assert (await comparer.compare(batch, manifests.versions[2], known)).changes.added == 0
