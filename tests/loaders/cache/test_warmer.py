"""Warming: a process switches to a published version once its hot records are in memory."""

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

import pytest

from loaders import PointerCache
from loaders.cache.cached_version import MISSING, CachedVersion
from storage import Price, Store
from storage.layers.reader import LayerReader
from tests.graph.api import ANYBODY, Api, row
from tests.loaders.conftest import RoundTrips
from tests.loaders.publishing import merge, replace, whole
from tests.waiting import until

SKUS = [f"sku-{number:03}" for number in range(200)]
POINT = 'query ($sku: ID!) { snapshot(priceList: "retail") { version price(sku: $sku) { amount } } }'


@pytest.fixture
async def api(cached_api: Api) -> Api:
    """A list `retail` with one version that was read, and is cached whole."""
    await cached_api.create("retail")
    await cached_api.publish("retail", [row(sku, "1.00") for sku in SKUS])
    await cached_api.data(POINT, sku=SKUS[0])
    await whole(cached_api)
    return cached_api


@pytest.fixture
async def partial(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The same list, but too large to be cached whole; its first 10 skus were read."""
    pointers = api.runtime.pointers
    pointers.versions.drop(current(pointers))
    monkeypatch.setattr("loaders.cache.warmer.MIN_RECORD_BYTES", 1 << 40)
    snapshot = await api.runtime.context(ANYBODY).loaders.view.current("retail")
    assert snapshot is not None
    await api.runtime.context(ANYBODY).loaders.prices.load_many(snapshot, SKUS[:10])
    assert not current(pointers).is_whole
    return api


def current(pointers: PointerCache) -> CachedVersion:
    cached = pointers.versions.current("retail")
    assert cached is not None
    return cached


async def serves(api: Api, version: int, price_list: str = "retail") -> bool:
    """Whether the process serves that version."""
    pointer = api.runtime.pointers.known(price_list)
    return pointer is not None and pointer.current_version == version


async def switched(api: Api, version: int) -> CachedVersion:
    """Return a version once the process serves it."""
    await until(lambda: serves(api, version), f"switched to {version}")
    return current(api.runtime.pointers)


def amount(found: object) -> str | None:
    assert isinstance(found, Price | None)
    return None if found is None else str(found.amount)


class Gate:
    """Blocks the reads of whole layers until it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, read = Gate(), LayerReader.read

    async def gated(reader: LayerReader, layers: Sequence[str]) -> AsyncGenerator[list[tuple[str, Price | None]], None]:
        gate.waiting.set()
        await gate.open.wait()
        async for part in read(reader, layers):
            yield part

    monkeypatch.setattr(LayerReader, "read", gated)
    monkeypatch.setattr("loaders.cache.version_switch.MAX_SWITCH_DELAY_SECONDS", 60.0)  # however slow the machine is
    yield gate
    gate.open.set()


async def test_a_merge_is_applied_in_memory_and_shares_unchanged_records(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    base = current(api.runtime.pointers)
    before = {sku: base.get(sku) for sku in SKUS}
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[1]: "2.00", "new": "3.00", SKUS[3]: "1.00"}, [SKUS[2]])
        cached = await switched(api, 2)
        data = await api.data(POINT, sku="new")
    assert data["snapshot"] == {"version": 2, "price": {"amount": "3.00"}}
    assert sorted(sent) == [("find", "layer", 0), ("find", "snapshots", 1)], "of the layers, only the new one is read"
    assert cached.is_whole
    assert [amount(cached.get(sku)) for sku in (SKUS[1], SKUS[2], "new")] == ["2.00", None, "3.00"]
    for sku in (SKUS[0], SKUS[3], *SKUS[4:]):
        assert cached.get(sku) is before[sku]
    assert {sku: base.get(sku) for sku in SKUS} == before, "the previous version can still be read"
    assert base.get("new") is None
    assert cached.skus == sorted({*SKUS, "new"} - {SKUS[2]})
    page = base.page(1000, None, None, backward=False)
    assert page is not None
    assert [price.sku for price in page] == SKUS
    assert base.bytes < cached.bytes / 10, "it holds only the changed records"


async def test_older_versions_read_through_a_chain_of_merges(api: Api, store: Store) -> None:
    chain = [current(api.runtime.pointers)]
    for version in (2, 3):
        await merge(store, "retail", {SKUS[version]: f"{version}.00", SKUS[0]: f"{version}.00"})
        chain.append(await switched(api, version))
    assert [[amount(each.get(SKUS[index])) for index in (0, 2, 3, 4)] for each in chain] == [
        ["1.00", "1.00", "1.00", "1.00"],
        ["2.00", "2.00", "1.00", "1.00"],
        ["3.00", "2.00", "3.00", "1.00"],
    ]
    assert chain[0].get(SKUS[4]) is chain[1].get(SKUS[4]) is chain[2].get(SKUS[4])
    assert [each.is_whole for each in chain] == [False, False, True]


async def test_several_merges_are_warmed_together(api: Api, store: Store, gate: Gate, round_trips: RoundTrips) -> None:
    await merge(store, "retail", {SKUS[2]: "2.00"})
    await gate.waiting.wait()
    for version in (3, 4):
        await merge(store, "retail", {SKUS[version]: f"{version}.00", SKUS[0]: f"{version}.00"})
        revision = (await store.price_lists.get("retail")).revision
        await until(functools.partial(is_waiting, api, revision), "waiting")
    with round_trips.counted() as sent:
        gate.open.set()
        cached = await switched(api, 4)
    assert [amount(cached.get(SKUS[index])) for index in range(5)] == ["4.00", "1.00", "2.00", "3.00", "4.00"]
    assert sorted(sent) == [("find", "layer", 0)] * 3 + [("find", "snapshots", 1)]


async def is_waiting(api: Api, revision: int) -> bool:
    """Whether a pointer revision is to be switched to next."""
    switch = api.runtime.pointers._switches.get("retail")
    return switch is not None and switch._newest_revision == revision


async def test_a_merge_without_new_skus_shares_their_order_too(api: Api, store: Store) -> None:
    base = current(api.runtime.pointers)
    await merge(store, "retail", {SKUS[1]: "2.00"})
    assert (await switched(api, 2)).skus is base.skus


async def test_a_replaced_list_is_loaded_whole_and_shares_equal_records(api: Api, store: Store) -> None:
    base = current(api.runtime.pointers)
    await replace(store, "retail", {**dict.fromkeys(SKUS[:100], "1.00"), "new": "9.00"})
    cached = await switched(api, 2)
    assert cached.is_whole
    assert cached.get(SKUS[0]) is base.get(SKUS[0])
    assert (cached.get(SKUS[150]), amount(cached.get("new"))) == (None, "9.00")
    assert cached.skus == ["new", *SKUS[:100]]


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
    monkeypatch.setattr("loaders.cache.version_switch.MAX_SWITCH_DELAY_SECONDS", 0.01)
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


async def test_a_rollback_to_the_previous_version_finds_its_records_in_memory(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await switched(api, 2)
    with round_trips.counted() as sent:
        await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
        await switched(api, 1)
        for sku in SKUS[:3]:
            assert (await api.data(POINT, sku=sku))["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}
    assert sent == []


async def test_a_mutation_returns_once_its_process_serves_the_new_version(api: Api, store: Store, gate: Gate) -> None:
    publishing = asyncio.create_task(api.publish("retail", [row("a", "5.00")]))
    await gate.waiting.wait()
    assert not publishing.done()
    gate.open.set()
    version = await publishing
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
        cached = api.runtime.pointers.versions.current("retail")
        warm.append(cached is not None and cached.is_whole)
    assert warm == [True, True, True, False, False]


async def test_a_merge_into_a_large_list_takes_over_hot_records_and_reads_only_the_new_layer(
    partial: Api, store: Store, round_trips: RoundTrips
) -> None:
    base = current(partial.runtime.pointers)
    before = {sku: base.get(sku) for sku in SKUS[:10]}
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[1]: "2.00", SKUS[50]: "2.00"}, [SKUS[2]])
        cached = await switched(partial, 2)
    assert sorted(sent) == [("find", "layer", 0), ("find", "snapshots", 1)]
    assert [amount(cached.get(sku)) for sku in SKUS[1:3]] == ["2.00", None]
    assert [cached.get(sku) is before[sku] for sku in (SKUS[0], *SKUS[3:10])] == [True] * 8
    assert cached.get(SKUS[50]) is MISSING, "it was never read"
    assert {sku: base.get(sku) for sku in SKUS[:10]} == before

    async def price(version: int, sku: str) -> str:
        document = """query ($v: Int, $s: ID!) {
          snapshot(priceList: "retail", version: $v) { price(sku: $s) { amount } }
        }"""
        amount: str = (await partial.data(document, v=version, s=sku))["snapshot"]["price"]["amount"]
        return amount

    assert [await price(version, SKUS[50]) for version in (2, 1, 2, 1)] == ["2.00", "1.00", "2.00", "1.00"]
    assert [await price(version, SKUS[60]) for version in (1, 2)] == ["1.00", "1.00"]
    assert base.get(SKUS[60]) is cached.get(SKUS[60]), "a read of one version is cached for both"


async def test_the_hot_skus_of_a_replaced_large_list_are_looked_up(
    partial: Api, store: Store, round_trips: RoundTrips
) -> None:
    with round_trips.counted() as sent:
        await replace(store, "retail", dict.fromkeys(SKUS[5:], "2.00"))
        cached = await switched(partial, 2)
    assert sorted(sent) == [("find", "layer", 10), ("find", "snapshots", 1)]
    assert [amount(cached.get(sku)) for sku in SKUS[:10]] == [None] * 5 + ["2.00"] * 5
    assert cached.get(SKUS[11]) is MISSING


async def test_only_the_hottest_skus_are_looked_up_after_a_large_merge(
    partial: Api, store: Store, round_trips: RoundTrips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.warmer.MAX_HOT_RECORDS", 6)
    monkeypatch.setattr("loaders.cache.warmer.HOT_SKUS_PER_READ", 4)
    base = current(partial.runtime.pointers)
    kept = base.get(SKUS[9])
    with round_trips.counted() as sent:
        await merge(store, "retail", dict.fromkeys(SKUS[:8], "2.00"))
        cached = await switched(partial, 2)
    assert sorted(sent) == [("find", "layer", 2), ("find", "layer", 4), ("find", "snapshots", 1)]
    hot = [sku for sku in SKUS[:10] if cached.get(sku) is not MISSING]
    assert len(hot) == 6
    assert cached.get(SKUS[9]) is kept or SKUS[9] not in hot
    assert all(amount(cached.get(sku)) == ("2.00" if sku in SKUS[:8] else "1.00") for sku in hot)


async def test_a_merge_is_recognized_after_a_compaction_of_its_base(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    for version in (2, 3):
        await merge(store, "retail", {SKUS[version]: f"{version}.00"})
        await switched(api, version)
    manifest = await store.snapshots.get("retail", 3)
    assert manifest is not None
    await store.compactor.compact(manifest)
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[4]: "4.00"})
        cached = await switched(api, 4)
    assert ("find", "layer", 0) in sent
    assert len([command for command in sent if command[1] == "layer"]) == 1
    assert [amount(cached.get(SKUS[index])) for index in (1, 2, 3, 4)] == ["1.00", "2.00", "3.00", "4.00"]


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
    cached = await switched(api, 2)
    assert cached.is_whole
    assert calls == 2


async def test_a_version_is_served_even_if_warming_fails(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = LayerReader.read

    async def broken(reader: LayerReader, layers: Sequence[str]) -> AsyncIterator[object]:
        raise OSError("Connection lost.")
        yield

    monkeypatch.setattr(LayerReader, "read", broken)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await until(lambda: serves(api, 2), "switched")
    monkeypatch.setattr(LayerReader, "read", read)
    assert "Warming of version 2 of retail failed" in caplog.text
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 2, "price": {"amount": "2.00"}}
    assert (await api.data(POINT, sku=SKUS[1]))["snapshot"] == {"version": 2, "price": {"amount": "1.00"}}


async def test_a_version_that_was_read_by_number_is_still_warmed(api: Api, store: Store, gate: Gate) -> None:
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    by_number = '{ snapshot(priceList: "retail", version: 2) { price(sku: "sku-000") { amount } } }'
    assert await api.data(by_number) == {"snapshot": {"price": {"amount": "2.00"}}}
    gate.open.set()
    assert (await switched(api, 2)).is_whole
