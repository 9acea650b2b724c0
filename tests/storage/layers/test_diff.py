"""Diffs equal those of two dictionaries, and their cost follows the size of the merges."""

import secrets
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storage import BatchMode, BatchState, ChangeKind, Gates, PriceDiff, Snapshot, Store
from storage.layers import reader as layer_reader
from storage.layers.reader import LayerReader
from tests.storage.batches.test_merges import ACTS, Act, Model, Prices, step, summary
from tests.storage.factories import create, order, row, rows, snapshot, source, versions

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


async def walk(store: Store, before: Snapshot, after: Snapshot, size: int) -> list[PriceDiff]:
    """Return all differences, read page by page."""
    found: list[PriceDiff] = []
    while page := await store.differ.page(before, after, size, above=found[-1].sku if found else None):
        assert len(page) <= size
        found += page
    return found


async def merge(store: Store, prices: list[dict[str, str]], remove: list[str]) -> None:
    replacing = order()
    merging = type(replacing)(replacing.price_list, BatchMode.MERGE, replacing.key, replacing.by)
    batch = await store.submitter.submit(merging, await source(prices), remove)
    assert batch.state is BatchState.PUBLISHED


@pytest.mark.timeout(600)
@given(st.lists(ACTS, min_size=3, max_size=7), st.integers(1, 5), st.integers(1, 4))
@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_the_diff_of_any_two_versions_equals_that_of_dictionaries(
    store: Store, acts: list[Act], page: int, read_batch: int
) -> None:
    name = f"list-{secrets.token_hex(6)}"
    await store.price_list_editor.create(name, None, Gates(), "ops")
    model = Model()
    for act in acts:
        await step(store, name, model, act)
    manifests = {version: await snapshot(store, version, name) for version in model.published}
    with patch.object(layer_reader, "READ_BATCH", read_batch):
        for one, before in manifests.items():
            for other, after in manifests.items():
                prices = model.versions[one], model.versions[other]
                assert shown(await walk(store, before, after, page)) == expected(*prices), (one, other)
                assert await store.differ.summary(before, after) == summary(*prices), (one, other)


async def test_any_change_of_a_price_is_a_difference_except_its_position_in_the_batch(store: Store) -> None:
    await create(store)
    for prices in (
        [row("a", "1.0"), row("b"), row("c", attributes={"x": 1})],
        [row("c", attributes={"x": 2}), row("b"), row("a", "1.00")],
    ):
        assert (await store.submitter.submit(order(), await source(prices))).state is BatchState.PUBLISHED
    found = await walk(store, await snapshot(store, 1), await snapshot(store, 2), 10)
    assert [(each.sku, each.change) for each in found] == [("a", ChangeKind.CHANGED), ("c", ChangeKind.CHANGED)]


async def test_each_difference_names_both_versions(store: Store) -> None:
    await versions(store, 2)
    before, after = await snapshot(store, 1), await snapshot(store, 2)
    [found] = await store.differ.page(before, after, 10)
    assert found.versions == (before, after)


async def test_only_the_skus_of_other_layers_are_read_from_shared_layers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await store.submitter.submit(order(), await source(rows(3000)))
    await merge(store, [row("sku-000007", "9.00"), row("new")], ["sku-000003"])
    before, after = await snapshot(store, 1), await snapshot(store, 2)
    read: list[str] = []
    looked_up: list[str] = []
    runs, find_raw = LayerReader.runs, LayerReader.find_raw

    def recording_runs(self: LayerReader, layer: str, **kwargs: object) -> object:
        read.append(layer)
        return runs(self, layer, **kwargs)  # type: ignore[arg-type]

    async def recording_find(self: LayerReader, layers: list[str], skus: list[str]) -> dict[str, bytes]:
        looked_up.extend(skus)
        return await find_raw(self, layers, skus)

    monkeypatch.setattr(LayerReader, "runs", recording_runs)
    monkeypatch.setattr(LayerReader, "find_raw", recording_find)
    found = await walk(store, before, after, 10)
    assert [each.sku for each in found] == ["new", "sku-000003", "sku-000007"]
    assert set(read) == {after.layers[0].id}
    assert set(looked_up) == {"new", "sku-000003", "sku-000007"}


async def test_a_diff_page_stops_reading_when_it_is_full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)
    for price in ("1.00", "2.00"):
        await store.submitter.submit(order(), await source(rows(5000, price)))
    run_sizes: list[int] = []
    merged = LayerReader.merged

    async def counting(self: LayerReader, *arguments: object) -> object:
        async for run in merged(self, *arguments):  # type: ignore[arg-type]
            run_sizes.append(len(run))
            yield run

    monkeypatch.setattr(LayerReader, "merged", counting)
    page = await store.differ.page(await snapshot(store, 1), await snapshot(store, 2), 10, above="sku-002499")
    assert [each.sku for each in page] == [f"sku-{number:06}" for number in range(2500, 2510)]
    assert sum(run_sizes) <= 2000
