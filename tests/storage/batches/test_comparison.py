"""A sealed batch is compared with the current version, and again if another version became current."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from unittest.mock import patch

from storage import BatchMode, DiffSummary, Gates, Layer, Store
from storage.layers.changes import Changes
from tests.storage.factories import Row, compact, create, order, published, row, rows, snapshot, source, submit


async def merge(store: Store, prices: list[Row], remove: tuple[str, ...] = ()) -> DiffSummary | None:
    batch = await store.submitter.submit(replace(order(), mode=BatchMode.MERGE), await source(prices), remove)
    return batch.summary


async def test_a_replacement_is_compared_with_all_prices(store: Store) -> None:
    await create(store)
    await published(store, rows(3000))
    batch = await submit(store, [*rows(1000), row("new"), row("sku-001000", "7.00")])
    assert (batch.base, batch.summary) == (1, DiffSummary(added=1, removed=1999, changed=1, unchanged=1000))


async def test_a_merge_is_compared_with_the_prices_of_its_skus(store: Store) -> None:
    await create(store)
    await published(store, rows(3000))
    changes = [row("sku-000007", "7.00"), row("sku-000008"), row("new")]
    expected = DiffSummary(added=1, removed=1, changed=1, unchanged=2998)
    assert await merge(store, changes, ("sku-000009", "never there")) == expected
    assert await merge(store, changes, ("sku-000009",)) == DiffSummary(unchanged=3000)


async def test_a_batch_is_compared_again_if_another_version_became_current(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    count, bases = store.differ.count, list[int]()

    async def overtaken(before: Sequence[Layer], after: Sequence[Layer]) -> Changes:
        bases.append(len(bases))
        changes = await count(before, after)
        if len(bases) == 1:
            await published(store, [row("a", "9.00"), row("c")])
        return changes

    with patch.object(store.differ, "count", overtaken):
        assert await merge(store, [row("a"), row("c")], ("b",)) == DiffSummary(changed=1, unchanged=1)
    assert len(bases) == 3, "each of the two batches, and the merge again"


async def test_a_batch_is_not_compared_again_because_its_base_was_compacted(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    for amount in ("2.00", "3.00"):
        await merge(store, [row("a", amount)])
    before, count, calls = await snapshot(store, 3), store.differ.count, list[int]()

    async def compacted(*stacks: Sequence[Layer]) -> Changes:
        calls.append(1)
        changes = await count(*stacks)
        await compact(store, before)
        return changes

    with patch.object(store.differ, "count", compacted):
        assert await merge(store, [row("a", "3.00"), row("b", "2.00")]) == DiffSummary(changed=1, unchanged=1)
    assert len(calls) == 1
    assert before.layer_ids != (await snapshot(store, 3)).layer_ids
    assert (await snapshot(store, 4)).layer_ids[1:] == (await snapshot(store, 3)).layer_ids


async def test_the_manifest_of_the_base_is_read_again_if_compaction_replaced_its_layers(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    await merge(store, [row("a", "2.00")])
    before, count = await snapshot(store, 2), store.differ.count

    async def collected(*stacks: Sequence[Layer]) -> Changes:
        if before.layers == (await snapshot(store, 2)).layers:
            await compact(store, before)
            for layer in before.layers:
                await store.layer_writer.drop(layer.id)
                store.block_cache.drop(layer.id)
        return await count(*stacks)

    with patch.object(store.differ, "count", collected):
        assert await merge(store, [row("a", "3.00"), row("b")]) == DiffSummary(changed=1, unchanged=1)


async def test_the_largest_change_of_an_amount_and_the_currencies_are_judged(store: Store) -> None:
    await store.price_list_editor.create(
        "retail",
        None,
        Gates(max_price_change_percent=Decimal(5), allowed_currencies=("EUR",)),
        "ops",
    )
    await published(store, [row("a", "100"), row("b", "100"), row("c", "0")])
    batch = await submit(store, [row("a", "90"), row("b", "130"), row("c", "0.00"), row("d", currency="USD")])
    [change, currencies] = sorted(batch.findings, key=lambda finding: finding.gate, reverse=True)
    assert (change.gate, change.observed) == ("maxPriceChangePercent", Decimal("30.00"))
    assert "'b'" in change.message
    assert (currencies.gate, "USD" in currencies.message) == ("allowedCurrencies", True)
