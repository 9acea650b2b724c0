"""Diffs equal those of two dictionaries, and their cost follows the size of the merges."""

import random
import secrets
from collections.abc import Sequence
from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storage import BatchState, ChangeKind, Gates, Layer, PriceDiff, ScanLimit, Snapshot, Store
from storage.layers.diff import RUNS_PER_LOOKUP, VersionDiffer
from storage.layers.merge import BLOCKS_PER_READ
from storage.prices.price import TOMBSTONE, decode_row, encode_row
from tests.storage.batches.test_merges import ACTS, Act, Model, Prices, step, summary
from tests.storage.factories import create, order, row, snapshot, source, versions
from tests.storage.layers.memory import MemoryLayers, blocks_of, version_of
from tests.storage.layers.model import BLOCK_ROWS, LAYER, Rows, stored, visible

Change = tuple[str, str, str | None, str | None]


def shown(diffs: list[PriceDiff]) -> list[Change]:
    return [(each.sku, each.change.value, amount(each, 0), amount(each, 1)) for each in diffs]


def amount(diff: PriceDiff, side: int) -> str | None:
    price = (diff.before, diff.after)[side]
    return str(price.amount) if price else None


def expected(before: Prices, after: Prices) -> list[Change]:
    kinds = {(False, True): "ADDED", (True, False): "REMOVED", (True, True): "CHANGED"}
    return [
        (sku, kinds[sku in before, sku in after], before.get(sku), after.get(sku))
        for sku in sorted(before.keys() | after.keys())
        if before.get(sku) != after.get(sku)
    ]


async def walk(
    differ: VersionDiffer, before: Snapshot, after: Snapshot, size: int, sku_prefix: str = ""
) -> list[PriceDiff]:
    """Return all differences, read page by page."""
    found: list[PriceDiff] = []
    while page := await differ.page(before, after, size, above=found[-1].sku if found else None, sku_prefix=sku_prefix):
        assert len(page) <= size
        found += page
    return found


@pytest.mark.timeout(600)
@given(st.lists(ACTS, min_size=3, max_size=7), st.integers(1, 5))
@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_the_diff_of_any_two_versions_equals_that_of_dictionaries(
    store: Store, acts: list[Act], page: int
) -> None:
    name = f"list-{secrets.token_hex(6)}"
    await store.price_list_editor.create(name, None, Gates(), "ops")
    model = Model()
    for act in acts:
        await step(store, name, model, act)
    manifests = {version: await snapshot(store, version, name) for version in model.published}
    for one, before in manifests.items():
        for other, after in manifests.items():
            prices = model.versions[one], model.versions[other]
            assert shown(await walk(store.differ, before, after, page)) == expected(*prices), (one, other)
            assert await store.differ.summary(before, after) == summary(*prices), (one, other)


@given(
    st.lists(LAYER, max_size=3),
    st.lists(LAYER, max_size=3),
    st.lists(LAYER, max_size=2),
    BLOCK_ROWS,
    st.integers(1, 5),
    st.text("abc", max_size=2),
)
@settings(max_examples=200)
async def test_the_diff_of_layers_equals_that_of_dictionaries(
    old: list[Rows], new: list[Rows], shared: list[Rows], block_rows: int, page: int, prefix: str
) -> None:
    old, new = old or ([] if shared else [{}]), new or ([] if shared else [{}])
    memory = MemoryLayers()
    below = stored(memory, shared, block_rows)
    one, other = visible([*old, *shared]), visible([*new, *shared])
    before = version_of([*stored(memory, old, block_rows), *below], len(one))
    after = version_of([*stored(memory, new, block_rows), *below], len(other))
    differ = VersionDiffer(memory.reader())
    found = await walk(differ, before, after, page)
    changed = [sku for sku in sorted({**one, **other}) if one.get(sku) != other.get(sku)]
    assert [each.sku for each in found] == changed
    for each in found:
        assert each.before == (decode_row(each.sku, one[each.sku]) if each.sku in one else None)
        assert each.after == (decode_row(each.sku, other[each.sku]) if each.sku in other else None)
    statistics = await differ.statistics(before, after, page)
    amounts = {each.sku: (each.before.amount, each.after.amount) for each in found if each.before and each.after}
    by_percent = sorted(amounts, key=lambda sku: (-abs(Fraction(amounts[sku][1]) / Fraction(amounts[sku][0]) - 1), sku))
    assert list(statistics.largest) == [each for sku in by_percent[:page] for each in found if each.sku == sku]
    assert sum(bucket.count for bucket in statistics.distribution) == len(amounts)
    assert statistics.differences == len(changed)
    with_prefix = [each for each in found if each.sku.startswith(prefix)]
    assert await walk(differ, before, after, page, prefix) == with_prefix
    statistics = await differ.statistics(before, after, page, sku_prefix=prefix)
    assert statistics.differences == len(with_prefix)
    assert [each.sku for each in statistics.largest] == [sku for sku in by_percent if sku.startswith(prefix)][:page]
    counts = await differ.summary(before, after)
    assert (counts.added, counts.removed) == (len(other.keys() - one.keys()), len(one.keys() - other.keys()))
    assert counts.changed == len(changed) - counts.added - counts.removed
    assert counts.unchanged == len(one.keys() & other.keys()) - counts.changed


async def test_a_replacement_of_few_prices_reads_about_the_blocks_that_changed() -> None:
    memory = MemoryLayers()
    before = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(20_000)}
    chosen = random.Random(1).sample(sorted(before), 200)
    after = {**before, **{sku: encode_row("2.00", "EUR") for sku in chosen[:180]}, "s00000-1": before["s00000"]}
    for sku in chosen[180:]:
        del after[sku]
    one, other = (version_of([memory.add(rows)], len(rows)) for rows in (before, after))
    frames = [{block.frame for block in blocks_of(rows)} for rows in (before, after)]
    changed = len(frames[0] ^ frames[1])
    counts = await VersionDiffer(memory.reader()).summary(one, other)
    assert (counts.added, counts.removed, counts.changed) == (1, 20, 180)
    assert changed <= len(memory.fetched) <= changed * 1.1 + 10
    assert len(memory.fetched) < len(blocks_of(before)) * 2


async def test_no_block_is_read_twice_if_newer_layers_touch_equal_blocks() -> None:
    memory = MemoryLayers()
    rows = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(10_000)}
    blocks = blocks_of(rows)
    changed = {block.entry.first: encode_row("2.00", "EUR") for block in blocks[::2]}
    touched = {block.entry.first: encode_row("3.00", "EUR") for block in blocks[1::16]}
    bases = [memory.add(rows), memory.add({**rows, **changed})]
    before, after = (version_of([memory.add(touched), base], len(rows)) for base in bases)
    counts = await VersionDiffer(memory.reader()).summary(before, after)
    assert counts.changed == len(changed)
    read = [block for block in memory.fetched if block[0] in {base.id for base in bases}]
    assert len(read) == len(set(read))


async def test_equal_versions_read_no_block() -> None:
    memory = MemoryLayers()
    rows = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(2000)}
    one, other = (version_of([memory.add(rows)], len(rows)) for _ in range(2))
    counts = await VersionDiffer(memory.reader()).summary(one, other)
    assert (counts.changed, counts.unchanged) == (0, 2000)
    assert memory.fetched == []


async def test_any_change_of_a_price_is_a_difference_except_its_position_in_the_batch(store: Store) -> None:
    await create(store)
    for prices in (
        [row("a", "1.0"), row("b"), row("c", attributes={"x": 1})],
        [row("c", attributes={"x": 2}), row("b"), row("a", "1.00")],
    ):
        assert (await store.submitter.submit(order(), await source(prices))).state is BatchState.PUBLISHED
    found = await walk(store.differ, await snapshot(store, 1), await snapshot(store, 2), 10)
    assert [(each.sku, each.change) for each in found] == [("a", ChangeKind.CHANGED), ("c", ChangeKind.CHANGED)]


async def test_each_difference_names_both_versions(store: Store) -> None:
    await versions(store, 2)
    before, after = await snapshot(store, 1), await snapshot(store, 2)
    [found] = await store.differ.page(before, after, 10)
    assert found.versions == (before, after)


async def test_of_shared_layers_only_the_blocks_of_changed_skus_are_read() -> None:
    memory = MemoryLayers()
    base = memory.add({f"s{number:05}": encode_row("1.00", "EUR") for number in range(20_000)})
    merged = {"s00007": encode_row("9.00", "EUR"), "new": encode_row("1.00", "EUR"), "s19999": TOMBSTONE}
    before, after = version_of([base], 20_000), version_of([memory.add(merged), base], 20_000)
    found = await walk(VersionDiffer(memory.reader()), before, after, 10)
    assert [each.sku for each in found] == ["new", "s00007", "s19999"]
    assert len([first for layer_id, first in memory.fetched if layer_id == base.id]) == 2


async def test_the_rows_of_several_blocks_are_looked_up_at_once_in_the_layers_below() -> None:
    memory = MemoryLayers()
    rows = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(20_000)}
    base, merged = memory.add(rows), memory.add(dict.fromkeys(rows, encode_row("2.00", "EUR")))
    reader, look_ups = memory.reader(), list[int]()
    find_rows = reader.find_rows

    async def counted(layers: Sequence[Layer], skus: Sequence[str]) -> dict[str, bytes]:
        look_ups.append(len(skus))
        return await find_rows(layers, skus)

    with patch.object(reader, "find_rows", counted):
        counts = await VersionDiffer(reader).count([base], [merged, base])
    assert counts.changed == sum(look_ups) == 20_000
    assert len(look_ups) == -(-len(blocks_of(rows)) // RUNS_PER_LOOKUP)


async def test_a_page_stops_reading_when_it_is_full() -> None:
    memory = MemoryLayers()
    before, after = (
        version_of([memory.add({f"s{number:05}": encode_row(amount, "EUR") for number in range(20_000)})], 20_000)
        for amount in ("1.00", "2.00")
    )
    page = await VersionDiffer(memory.reader()).page(before, after, 10, above="s02499")
    assert [each.sku for each in page] == [f"s{number:05}" for number in range(2500, 2510)]
    assert len(memory.fetched) <= 2 * (BLOCKS_PER_READ + 1)


async def test_statistics_compare_no_more_rows_than_the_limit_and_none_of_blocks_that_are_equal() -> None:
    memory = MemoryLayers()
    rows = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(10_000)}
    changed = {**rows, "s05000": encode_row("3.00", "EUR")}
    replaced = dict.fromkeys(rows, encode_row("2.00", "EUR"))
    versions = [version_of([memory.add(each)], len(each)) for each in (rows, changed, replaced)]
    differ = VersionDiffer(memory.reader(), 600)
    assert [each.sku for each in (await differ.statistics(versions[0], versions[1], 10)).largest] == ["s05000"]
    memory.fetched.clear()
    with pytest.raises(ScanLimit, match="more than 600 rows of the versions 3 and 3 of 'retail'"):
        await differ.statistics(versions[0], versions[2], 10)
    assert memory.rows_fetched() < 2 * len(rows)
    unlimited = await VersionDiffer(memory.reader()).statistics(versions[0], versions[2], 0)
    assert sum(bucket.count for bucket in unlimited.distribution) == 10_000


async def test_of_a_prefix_only_the_blocks_that_may_have_its_skus_are_read() -> None:
    memory = MemoryLayers()
    rows = {f"s{number:05}": encode_row("1.00", "EUR") for number in range(20_000)}
    layers = [memory.add(dict.fromkeys(rows, encode_row(amount, "EUR"))) for amount in ("1.00", "2.00", "3.00")]
    for before, after in ((layers[:1], layers[1:2]), (layers[:1], [layers[2], layers[0]])):
        one, other, differ = version_of(before, 20_000), version_of(after, 20_000), VersionDiffer(memory.reader(), 600)
        memory.fetched.clear()
        assert len(await differ.page(one, other, 100, sku_prefix="s0250")) == 10
        assert (await differ.statistics(one, other, 5, sku_prefix="s0250")).differences == 10
        assert memory.rows_fetched() < 2000
