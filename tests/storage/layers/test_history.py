"""Histories equal those of a model that holds all versions."""

import itertools
import secrets
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storage import (
    BatchMode,
    BatchOrder,
    BatchState,
    Gates,
    Layer,
    PriceVersion,
    PublishPolicy,
    Snapshot,
    Store,
)
from storage.errors import ScanLimit
from storage.layers import history as histories
from storage.layers.version_prices import LayerPriceReader, LayerPrices, VersionPrices
from tests.storage.batches.test_merges import ACTS, SKUS, Act, Model, step
from tests.storage.factories import create, order, published, row, snapshot, source, submit, versions

Change = tuple[int, str | None]

MANY = 100


def shown(changes: list[PriceVersion]) -> list[Change]:
    return [(change.snapshot.version, str(change.price.amount) if change.price else None) for change in changes]


def expected(model: Model, kept: list[int], version: int, sku: str) -> list[Change]:
    """Return the oldest of each run of versions with the same price, newest first, without an absence at the start."""
    prices = [(each, model.versions[each].get(sku)) for each in sorted(kept, reverse=True) if each <= version]
    runs = [list(run) for _, run in itertools.groupby(prices, key=lambda pair: pair[1])]
    changes = [run[-1] for run in runs]
    return changes[:-1] if changes and changes[-1][1] is None else changes


async def expire(store: Store, version: int, name: str) -> None:
    await store.db["snapshots"].update_one({"_id": {"list": name, "version": version}}, {"$set": {"state": "RETIRED"}})


@pytest.mark.timeout(600)
@given(
    acts=st.lists(ACTS, min_size=3, max_size=7),
    expired=st.sets(st.integers(1, 8), max_size=2),
    per_read=st.integers(1, 4),
    first=st.integers(1, 4),
)
@settings(
    max_examples=15,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_history_equals_that_of_a_model(
    store: Store, acts: list[Act], expired: set[int], per_read: int, first: int
) -> None:
    name = f"list-{secrets.token_hex(6)}"
    await store.price_list_editor.create(name, None, Gates(), "ops")
    model = Model()
    for act in acts:
        await step(store, name, model, act)
    waiting = await store.submitter.submit(
        order(name, publish=PublishPolicy.ON_APPROVAL), await source([row("s00", "9")])
    )
    assert waiting.state is BatchState.HELD
    for version in expired:
        await expire(store, version, name)
    kept = [version for version in model.published if version not in expired]
    with patch.object(histories, "VERSIONS_PER_READ", per_read):
        for version in [*model.published, waiting.version or 0]:
            changes = await store.price_history.find(name, version, dict.fromkeys(SKUS, MANY))
            some = await store.price_history.find(name, version, dict.fromkeys(SKUS, first))
            for sku in SKUS:
                assert shown(changes[sku]) == expected(model, kept, version, sku), (sku, version)
                assert some[sku] == changes[sku][:first]


async def test_a_change_is_any_change_of_the_price(store: Store) -> None:
    await create(store)
    prices = [
        row("a", "1.0"),
        row("a", "1.00"),
        row("a", "1.00", validFrom="2026-01-01"),
        row("a", "1.00", validFrom="2026-01-01", attributes={"x": 1}),
        row("a", "1.00", validFrom="2026-01-01", attributes={"x": 1}),
        row("a", "1.00", tiers=[{"minQuantity": 2, "amount": "0.5"}]),
    ]
    for price in prices:
        await published(store, [price])
    changes = (await store.price_history.find("retail", 6, {"a": MANY}))["a"]
    assert [change.snapshot.version for change in changes] == [6, 4, 3, 2, 1]
    assert [change.snapshot.published_at for change in changes] == [
        (await snapshot(store, version)).published_at for version in (6, 4, 3, 2, 1)
    ]
    assert changes[0].price == (await store.layer_reader.find((await snapshot(store, 6)).layers, ["a"]))["a"]


async def test_a_layer_that_versions_share_is_read_once(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    for version in range(2, 7):
        merge = BatchOrder("retail", BatchMode.MERGE, f"key-{version}", "me")
        assert (
            await store.submitter.submit(merge, await source([row("b", str(version))]))
        ).state is BatchState.PUBLISHED
    layers_read: list[str] = []
    layer_prices = LayerPriceReader.in_memory

    def recorded(reader: LayerPriceReader, layer: Layer, skus: Sequence[str]) -> LayerPrices | None:
        layers_read.append(layer.id)
        return layer_prices(reader, layer, skus)

    with patch.object(LayerPriceReader, "in_memory", recorded), patch.object(histories, "VERSIONS_PER_READ", 2):
        found = await store.price_history.find("retail", 6, {"a": 5, "b": 5})
    assert shown(found["a"]) == [(1, "1.00")]
    assert shown(found["b"]) == [(6, "6"), (5, "5"), (4, "4"), (3, "3"), (2, "2")]
    assert sorted(layers_read) == sorted(layer.id for layer in (await snapshot(store, 6)).layers)


async def test_only_as_many_versions_are_read_as_necessary(store: Store) -> None:
    await versions(store, 7)
    seen: list[int] = []
    look_up = VersionPrices.look_up

    async def recorded(self: VersionPrices, snapshots: Sequence[Snapshot], skus: Sequence[str]) -> None:
        seen.append(len(snapshots))
        await look_up(self, snapshots, skus)

    with patch.object(VersionPrices, "look_up", recorded), patch.object(histories, "VERSIONS_PER_READ", 2):
        assert shown((await store.price_history.find("retail", 7, {"a": 2}))["a"]) == [(7, "7"), (6, "6")]
    assert seen == [2, 2]


async def test_a_history_over_too_many_versions_is_refused(store: Store) -> None:
    await create(store)
    for amount in ("1", "2", "2", "2", "2", "3"):
        await published(store, [row("a", amount)])
    with patch.multiple(histories, VERSIONS_PER_READ=2, MAX_HISTORY_VERSIONS=4):
        assert shown((await store.price_history.find("retail", 6, {"a": 1}))["a"]) == [(6, "3")]
        assert shown((await store.price_history.find("retail", 4, {"a": 9}))["a"]) == [(2, "2"), (1, "1")]
        with pytest.raises(ScanLimit, match=r"more than 4 versions.*`first`") as refused:
            await store.price_history.find("retail", 6, {"a": 2})
        assert refused.value.code == "SCAN_LIMIT"


async def test_without_a_version_there_is_no_history(store: Store) -> None:
    await create(store)
    assert await store.price_history.find("retail", 3, {"a": 1}) == {"a": []}
    assert (await submit(store, [row("a")])).version == 1
    assert await store.price_history.find("retail", 1, {"b": 1}) == {"b": []}
    assert await store.price_history.find("retail", 1, {}) == {}
