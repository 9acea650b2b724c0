"""Warming: a process switches to a published version once its blocks are in memory."""

import asyncio
import functools
from collections.abc import Iterator, Sequence

import pytest

from loaders.cache.version_cache import CachedVersion
from storage import CachedLayer, Store
from storage.layers.reader import LayerReader
from tests.graph.api import Api
from tests.loaders.conftest import RoundTrips
from tests.loaders.publishing import compact, is_in_memory, merge, replace, whole
from tests.waiting import until

SKUS = [f"sku-{number:04}" for number in range(2000)]
POINT = 'query ($sku: ID!) { snapshot(priceList: "retail") { version price(sku: $sku) { amount } } }'
MANY = 'query ($skus: [ID!]!) { snapshot(priceList: "retail") { version pricesBySku(skus: $skus) { amount } } }'

MANIFEST, DIRECTORY = ("find", "snapshots", 1), ("find", "layer", 0)


@pytest.fixture
async def cold(cached_api: Api, store: Store) -> Api:
    """A list `retail`, of which another process published a version, and nothing was read."""
    await cached_api.create("retail")
    await replace(store, "retail", dict.fromkeys(SKUS, "1.00"))
    await until(lambda: serves(cached_api, 1), "switched")
    return cached_api


@pytest.fixture
async def api(cold: Api) -> Api:
    """The same list, after a read; all of it is in memory."""
    await cold.data(POINT, sku=SKUS[0])
    await whole(cold)
    return cold


@pytest.fixture
async def partial(cold: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The same list, but too large to be loaded whole; only the block of the first skus is in memory."""
    monkeypatch.setattr("loaders.cache.warmer.ROW_BYTES", 1 << 40)
    await cold.data(MANY, skus=SKUS[:3])
    assert blocks_in_memory(current(cold)) == [0]
    return cold


def current(api: Api) -> CachedVersion:
    cached = api.runtime.pointers.versions.current("retail")
    assert cached is not None
    return cached


def oldest_layer(cached: CachedVersion) -> CachedLayer:
    assert cached.stack is not None
    return cached.stack[-1]


def blocks_in_memory(cached: CachedVersion) -> list[int]:
    layer = oldest_layer(cached)
    return [index for index in range(len(layer.blocks)) if layer.has(index)]


async def serves(api: Api, version: int, price_list: str = "retail") -> bool:
    """Whether the process serves that version."""
    pointer = api.runtime.pointers.known(price_list)
    return pointer is not None and pointer.current_version == version


async def switched(api: Api, version: int) -> CachedVersion:
    """Return a version once the process serves it."""
    await until(lambda: serves(api, version), f"switched to {version}")
    return current(api)


async def amounts(api: Api, skus: Sequence[str]) -> list[str | None]:
    found = (await api.data(MANY, skus=skus))["snapshot"]["pricesBySku"]
    return [price and price["amount"] for price in found]


class Gate:
    """Blocks the loads of blocks until it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, load = Gate(), LayerReader.load

    async def gated(reader: LayerReader, layer: CachedLayer, indexes: Sequence[int]) -> bool:
        gate.waiting.set()
        await gate.open.wait()
        return await load(reader, layer, indexes)

    monkeypatch.setattr(LayerReader, "load", gated)
    monkeypatch.setattr("loaders.cache.pointer_switch.MAX_SWITCH_DELAY_SECONDS", 60.0)  # however slow the machine is
    yield gate
    gate.open.set()


async def test_a_list_is_loaded_whole_once_it_is_read(api: Api, round_trips: RoundTrips) -> None:
    with round_trips.counted() as sent:
        assert await amounts(api, SKUS[:1000]) == ["1.00"] * 1000
    assert sent == []


async def test_a_replaced_list_is_whole_when_it_is_served(api: Api, store: Store, round_trips: RoundTrips) -> None:
    await replace(store, "retail", {**dict.fromkeys(SKUS[100:], "2.00"), "new": "3.00"})
    cached = await switched(api, 2)
    assert is_in_memory(cached)
    with round_trips.counted() as sent:
        assert await amounts(api, [SKUS[0], *SKUS[100:1000], "new"]) == [None, *["2.00"] * 900, "3.00"]
    assert sent == []


async def test_only_the_blocks_that_changed_are_read(api: Api, store: Store, round_trips: RoundTrips) -> None:
    before = oldest_layer(current(api))
    with round_trips.counted() as sent:
        await replace(store, "retail", {**dict.fromkeys(SKUS, "1.00"), SKUS[700]: "2.00"})
        cached = await switched(api, 2)
    assert sorted(sent) == [DIRECTORY, ("find", "layer", 1), MANIFEST]
    assert is_in_memory(cached)
    shared = [one is other for one, other in zip(before.blocks, oldest_layer(cached).blocks, strict=True)]
    assert shared.count(False) == 1
    assert await amounts(api, SKUS[699:702]) == ["1.00", "2.00", "1.00"]


async def test_equal_blocks_take_their_memory_once(api: Api, store: Store) -> None:
    cache = api.runtime.store.block_cache
    before = cache.frame_bytes
    await replace(store, "retail", {**dict.fromkeys(SKUS, "1.00"), SKUS[700]: "2.00"})
    await switched(api, 2)
    assert before < cache.frame_bytes < before * 1.2


async def test_of_a_merge_only_the_new_layer_is_read(api: Api, store: Store, round_trips: RoundTrips) -> None:
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[1]: "2.00", "new": "3.00"}, [SKUS[2]])
        cached = await switched(api, 2)
        assert await amounts(api, [*SKUS[:3], "new"]) == ["1.00", "2.00", None, "3.00"]
    assert sorted(sent) == [DIRECTORY, ("find", "layer", 1), MANIFEST]
    assert is_in_memory(cached)


async def test_blocks_that_were_decoded_are_decoded_again(api: Api, store: Store) -> None:
    await amounts(api, SKUS[:1000])
    decoded = decoded_blocks(current(api))
    await replace(store, "retail", dict.fromkeys(SKUS, "2.00"))
    cached = await switched(api, 2)
    assert 0 < len(decoded) < len(oldest_layer(cached).blocks)

    async def is_decoded() -> bool:
        return decoded_blocks(cached) == decoded

    await until(is_decoded, "decoded")


def decoded_blocks(cached: CachedVersion) -> list[int]:
    layer = oldest_layer(cached)
    return [index for index in range(len(layer.blocks)) if layer.is_decoded(index)]


async def test_a_version_is_served_once_it_is_warm(api: Api, store: Store, gate: Gate) -> None:
    pointers = api.runtime.pointers
    revision = pointers.revisions()["retail"]
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    following = asyncio.create_task(pointers.wait_for_move("retail", revision))
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}
    assert pointers.revisions() == {"retail": revision}, "the heartbeat reports the revision that is served"
    assert not following.done()
    gate.open.set()
    assert (await following).current_version == 2
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 2, "price": {"amount": "2.00"}}
    assert pointers.revisions() == {"retail": revision + 1}


async def test_a_cold_version_is_served_after_the_deadline(
    api: Api, store: Store, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.pointer_switch.MAX_SWITCH_DELAY_SECONDS", 0.01)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    await until(lambda: serves(api, 2), "switched")
    assert not gate.open.is_set()
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 2, "price": {"amount": "2.00"}}
    gate.open.set()
    await whole(api)
    assert (await api.data(POINT, sku=SKUS[1]))["snapshot"] == {"version": 2, "price": {"amount": "1.00"}}


async def no_switch_runs() -> bool:
    return not any(task.get_name().startswith("switch of") for task in asyncio.all_tasks())


async def test_a_rollback_takes_effect_at_once_during_a_warming(api: Api, store: Store, gate: Gate) -> None:
    gate.open.set()
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await switched(api, 2)
    await api.data(POINT, sku=SKUS[0])
    gate.open.clear()
    gate.waiting.clear()
    await merge(store, "retail", {SKUS[0]: "3.00"})
    await gate.waiting.wait()
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    await switched(api, 1)
    gate.open.set()
    await until(no_switch_runs, "cancelled")
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}
    assert api.runtime.pointers.revisions()["retail"] == moved.revision


async def test_a_rollback_to_the_previous_version_finds_it_in_memory(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    await replace(store, "retail", dict.fromkeys(SKUS, "2.00"))
    await switched(api, 2)
    with round_trips.counted() as sent:
        await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
        await switched(api, 1)
        assert await amounts(api, SKUS[:1000]) == ["1.00"] * 1000
    assert sent == []


async def test_the_layers_of_versions_that_are_no_longer_cached_are_dropped(api: Api, store: Store) -> None:
    cache = api.runtime.store.block_cache
    layers = [current(api).snapshot.layer_ids[-1]]
    for version in range(2, 7):
        await replace(store, "retail", dict.fromkeys(SKUS, f"{version}.00"))
        layers.append((await switched(api, version)).snapshot.layer_ids[-1])
    assert [cache.layer(layer) is not None for layer in layers] == [False, False, True, True, True, True]


async def test_a_mutation_returns_once_its_process_serves_the_new_version(api: Api, gate: Gate) -> None:
    gate.open.set()
    version = await api.publish("retail", [{"sku": "a", "amount": "5.00", "currency": "EUR"}])
    assert (await api.data(POINT, sku="a"))["snapshot"] == {"version": version, "price": {"amount": "5.00"}}


async def test_an_unread_list_is_not_warmed(cached_api: Api, store: Store, round_trips: RoundTrips) -> None:
    await cached_api.create("quiet")
    await replace(store, "quiet", {"a": "1.00"})
    with round_trips.counted() as sent:
        await replace(store, "quiet", {"a": "2.00"})
        await until(lambda: serves(cached_api, 2, "quiet"), "switched")
    assert sent == []


async def test_warming_stops_after_some_versions_that_are_not_read(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.warmer.MAX_IDLE_VERSIONS", 2)
    warm = []
    for version in range(2, 7):
        await merge(store, "retail", {SKUS[0]: f"{version}.00"})
        await until(functools.partial(serves, api, version), "switched")
        warm.append(is_in_memory(api.runtime.pointers.versions.current("retail")))
    assert warm == [True, True, True, False, False]


async def test_of_a_list_that_is_partly_in_memory_the_same_part_is_warmed(
    partial: Api, store: Store, round_trips: RoundTrips
) -> None:
    with round_trips.counted() as sent:
        await replace(store, "retail", dict.fromkeys(SKUS, "2.00"))
        cached = await switched(partial, 2)
    assert sorted(sent) == [DIRECTORY, ("find", "layer", 1), MANIFEST]
    assert blocks_in_memory(cached) == [0]
    assert await amounts(partial, SKUS[:3]) == ["2.00"] * 3


async def test_the_next_pages_of_a_walk_are_read_ahead(partial: Api, round_trips: RoundTrips) -> None:
    walk = """query ($after: String) { snapshot(priceList: "retail") {
        prices(first: 100, after: $after) { nodes { sku } pageInfo { endCursor hasNextPage } } } }"""
    seen: list[str] = []
    after: str | None = None
    waited = 0
    for _ in range(20):
        with round_trips.counted() as sent:
            page = (await partial.data(walk, after=after))["snapshot"]["prices"]
            waited += bool(sent)
        await until(no_prefetch_runs, "fetched ahead")
        seen += [price["sku"] for price in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == SKUS
    assert waited <= 3


async def no_prefetch_runs() -> bool:
    return not any(task.get_name().startswith("prefetch of") for task in asyncio.all_tasks())


async def test_a_version_on_a_base_that_compaction_left_empty_is_warmed(api: Api, store: Store) -> None:
    await merge(store, "retail", {SKUS[0]: "2.00"}, SKUS[1:])
    await switched(api, 2)
    await merge(store, "retail", {}, SKUS[:1])
    await switched(api, 3)
    await compact(store, "retail", 3)
    await merge(store, "retail", {"new": "4.00"})
    cached = await switched(api, 4)
    assert len(oldest_layer(cached).directory) == 0
    await amounts(api, ["new"])
    await replace(store, "retail", dict.fromkeys(SKUS, "5.00"))
    assert is_in_memory(await switched(api, 5))


async def test_a_compacted_base_is_read_again(api: Api, store: Store) -> None:
    for version in (2, 3):
        await merge(store, "retail", {SKUS[version]: f"{version}.00"})
        await switched(api, version)
    await compact(store, "retail", 3)
    await merge(store, "retail", {SKUS[4]: "4.00"})
    cached = await switched(api, 4)
    assert len(cached.snapshot.layers) == 2
    assert is_in_memory(cached)
    assert await amounts(api, SKUS[:5]) == ["1.00", "1.00", "2.00", "3.00", "4.00"]


async def test_a_manifest_that_a_new_primary_does_not_have_yet_is_read_again(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = api.runtime.store.snapshots
    get_many, calls = snapshots.get_many, 0

    async def late(keys: Sequence[tuple[str, int]]) -> list[object]:
        nonlocal calls
        calls += 1
        return [None for _ in keys] if calls == 1 else list(await get_many(keys))

    monkeypatch.setattr(snapshots, "get_many", late)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    assert is_in_memory(await switched(api, 2))
    assert calls == 2


async def test_a_version_is_served_even_if_warming_fails(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load = LayerReader.load

    async def broken(*_: object) -> bool:
        raise OSError("Connection lost.")

    monkeypatch.setattr(LayerReader, "load", broken)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await until(lambda: serves(api, 2), "switched")
    monkeypatch.setattr(LayerReader, "load", load)
    assert "Warming of version 2 of retail failed" in caplog.text
    assert await amounts(api, SKUS[:2]) == ["2.00", "1.00"]


async def test_a_version_that_was_read_by_number_is_still_warmed(api: Api, store: Store, gate: Gate) -> None:
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    by_number = '{ snapshot(priceList: "retail", version: 2) { price(sku: "sku-0000") { amount } } }'
    assert await api.data(by_number) == {"snapshot": {"price": {"amount": "2.00"}}}
    gate.open.set()
    assert is_in_memory(await switched(api, 2))
