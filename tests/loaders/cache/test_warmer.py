"""Warming: a process turns to a version that was published once what its readers want of it is in memory."""

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
    """A list `retail` with one version that was read, and is in memory as a whole."""
    await cached_api.create("retail")
    await cached_api.publish("retail", [row(sku, "1.00") for sku in SKUS])
    await cached_api.data(POINT, sku=SKUS[0])
    await whole(cached_api)
    return cached_api


@pytest.fixture
async def partial(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The same, but the list is too large to be whole: the first 10 skus were read."""
    pointers = api.runtime.pointers
    pointers.versions.drop(current(pointers))
    monkeypatch.setattr("loaders.cache.warmer.LEAST_WEIGHT", 1 << 40)
    snapshot = await api.runtime.context(ANYBODY).loaders.view.current("retail")
    assert snapshot is not None
    await api.runtime.context(ANYBODY).loaders.prices.load_many(snapshot, SKUS[:10])
    assert not current(pointers).whole
    return api


def current(pointers: PointerCache) -> CachedVersion:
    records = pointers.versions.current("retail")
    assert records is not None
    return records


async def is_at(api: Api, version: int, price_list: str = "retail") -> bool:
    """Whether readers are given that version."""
    head = api.runtime.pointers.known(price_list)
    return head is not None and head.current_version == version


async def turned(api: Api, version: int) -> CachedVersion:
    """The records of a version, once readers are given it."""
    await until(lambda: is_at(api, version), f"turned to {version}")
    return current(api.runtime.pointers)


def amount(found: object) -> str | None:
    assert isinstance(found, Price | None)
    return None if found is None else str(found.amount)


class Gate:
    """A door in front of the layers: whoever reads whole layers waits there while it is closed."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, read = Gate(), LayerReader.read

    async def gated(stack: LayerReader, layers: Sequence[str]) -> AsyncGenerator[list[tuple[str, Price | None]], None]:
        gate.waiting.set()
        await gate.open.wait()
        async for part in read(stack, layers):
            yield part

    monkeypatch.setattr(LayerReader, "read", gated)
    monkeypatch.setattr("loaders.cache.version_switch.MAX_SWITCH_DELAY_SECONDS", 60.0)  # however slow the machine is
    yield gate
    gate.open.set()


async def test_a_merge_is_laid_over_what_is_in_memory_and_shares_what_it_does_not_change(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    base = current(api.runtime.pointers)
    before = {sku: base.get(sku) for sku in SKUS}
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[1]: "2.00", "new": "3.00", SKUS[3]: "1.00"}, [SKUS[2]])
        records = await turned(api, 2)
        data = await api.data(POINT, sku="new")
    assert data["snapshot"] == {"version": 2, "price": {"amount": "3.00"}}
    assert sorted(sent) == [("find", "layer", 0), ("find", "snapshots", 1)], "of the layers, only the new one is read"
    assert records.whole
    assert [amount(records.get(sku)) for sku in (SKUS[1], SKUS[2], "new")] == ["2.00", None, "3.00"]
    for sku in (SKUS[0], SKUS[3], *SKUS[4:]):
        assert records.get(sku) is before[sku]
    assert {sku: base.get(sku) for sku in SKUS} == before, "who is still on the version before sees that"
    assert base.get("new") is None
    assert records.skus == sorted({*SKUS, "new"} - {SKUS[2]})
    run = base.run(1000, None, None, backward=False)
    assert run is not None
    assert [price.sku for price in run] == SKUS
    assert base.bytes < records.bytes / 10, "it holds only what was changed"


async def test_merges_follow_one_another_and_older_versions_read_through_them(api: Api, store: Store) -> None:
    chain = [current(api.runtime.pointers)]
    for version in (2, 3):
        await merge(store, "retail", {SKUS[version]: f"{version}.00", SKUS[0]: f"{version}.00"})
        chain.append(await turned(api, version))
    assert [[amount(each.get(SKUS[place])) for place in (0, 2, 3, 4)] for each in chain] == [
        ["1.00", "1.00", "1.00", "1.00"],
        ["2.00", "2.00", "1.00", "1.00"],
        ["3.00", "2.00", "3.00", "1.00"],
    ]
    assert chain[0].get(SKUS[4]) is chain[1].get(SKUS[4]) is chain[2].get(SKUS[4])
    assert [each.whole for each in chain] == [False, False, True]


async def test_what_several_merges_laid_upon_it_is_read_at_once(
    api: Api, store: Store, gate: Gate, round_trips: RoundTrips
) -> None:
    await merge(store, "retail", {SKUS[2]: "2.00"})
    await gate.waiting.wait()
    for version in (3, 4):
        await merge(store, "retail", {SKUS[version]: f"{version}.00", SKUS[0]: f"{version}.00"})
        revision = (await store.price_lists.get("retail")).revision
        await until(functools.partial(is_told, api, revision), "told")
    with round_trips.counted() as sent:
        gate.open.set()
        records = await turned(api, 4)
    assert [amount(records.get(SKUS[place])) for place in range(5)] == ["4.00", "1.00", "2.00", "3.00", "4.00"]
    assert sorted(sent) == [("find", "layer", 0)] * 3 + [("find", "snapshots", 1)]


async def is_told(api: Api, revision: int) -> bool:
    """Whether a pointer is known that is to be turned to next."""
    turning = api.runtime.pointers._turnings.get("retail")
    return turning is not None and turning._newest == revision


async def test_a_merge_without_new_skus_shares_their_order_too(api: Api, store: Store) -> None:
    base = current(api.runtime.pointers)
    await merge(store, "retail", {SKUS[1]: "2.00"})
    assert (await turned(api, 2)).skus is base.skus


async def test_a_new_list_is_read_as_a_whole_and_shares_what_is_equal(api: Api, store: Store) -> None:
    base = current(api.runtime.pointers)
    await replace(store, "retail", {**dict.fromkeys(SKUS[:100], "1.00"), "new": "9.00"})
    records = await turned(api, 2)
    assert records.whole
    assert records.get(SKUS[0]) is base.get(SKUS[0])
    assert (records.get(SKUS[150]), amount(records.get("new"))) == (None, "9.00")
    assert records.skus == ["new", *SKUS[:100]]


async def test_readers_are_given_a_version_when_it_is_warm_and_not_before(api: Api, store: Store, gate: Gate) -> None:
    pointers = api.runtime.pointers
    revision = pointers.revisions()["retail"]
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    following = asyncio.create_task(pointers.beyond("retail", revision))
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}
    assert pointers.revisions() == {"retail": revision}, "others are told what is answered by"
    assert not following.done()
    gate.open.set()
    assert (await following).current_version == 2
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 2, "price": {"amount": "2.00"}}
    assert pointers.revisions() == {"retail": revision + 1}


async def test_a_version_is_not_kept_back_for_longer_than_its_time(
    api: Api, store: Store, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.version_switch.MAX_SWITCH_DELAY_SECONDS", 0.01)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    await until(lambda: is_at(api, 2), "turned")
    assert not gate.open.is_set()
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 2, "price": {"amount": "2.00"}}
    gate.open.set()
    await whole(api)
    assert (await api.data(POINT, sku=SKUS[1]))["snapshot"] == {"version": 2, "price": {"amount": "1.00"}}


async def nothing_turns() -> bool:
    return not any(task.get_name().startswith("turn of") for task in asyncio.all_tasks())


async def test_a_rollback_holds_at_once_whatever_is_being_warmed(api: Api, store: Store, gate: Gate) -> None:
    gate.open.set()
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await turned(api, 2)
    await api.data(POINT, sku=SKUS[0])
    gate.open.clear()
    gate.waiting.clear()
    await merge(store, "retail", {SKUS[0]: "3.00"})
    await gate.waiting.wait()
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    await turned(api, 1)
    gate.open.set()
    await until(nothing_turns, "left")
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}
    assert api.runtime.pointers.revisions()["retail"] == moved.revision


async def test_a_rollback_to_the_version_before_finds_its_records_in_memory(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await turned(api, 2)
    with round_trips.counted() as sent:
        await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
        await turned(api, 1)
        for sku in SKUS[:3]:
            assert (await api.data(POINT, sku=sku))["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}
    assert sent == []


async def test_a_mutation_is_answered_when_its_process_answers_by_it(api: Api, store: Store, gate: Gate) -> None:
    publishing = asyncio.create_task(api.publish("retail", [row("a", "5.00")]))
    await gate.waiting.wait()
    assert not publishing.done()
    gate.open.set()
    version = await publishing
    assert (await api.data(POINT, sku="a"))["snapshot"] == {"version": version, "price": {"amount": "5.00"}}


async def test_a_list_that_nobody_reads_is_not_warmed(cached_api: Api, store: Store, round_trips: RoundTrips) -> None:
    await cached_api.create("quiet")
    await replace(store, "quiet", {"a": "1.00"})
    with round_trips.counted() as sent:
        await replace(store, "quiet", {"a": "2.00"})
        await until(lambda: is_at(cached_api, 2, "quiet"), "turned")
    assert sent == []


async def test_a_list_that_is_no_longer_read_is_warmed_for_some_versions_and_then_let_go(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.warmer.IDLE_VERSIONS", 2)
    warm = []
    for version in range(2, 7):
        await merge(store, "retail", {SKUS[0]: f"{version}.00"})
        await until(functools.partial(is_at, api, version), "turned")
        records = api.runtime.pointers.versions.current("retail")
        warm.append(records is not None and records.whole)
    assert warm == [True, True, True, False, False]


async def test_of_a_large_list_what_was_hot_is_taken_over_and_only_the_new_layer_is_read(
    partial: Api, store: Store, round_trips: RoundTrips
) -> None:
    base = current(partial.runtime.pointers)
    before = {sku: base.get(sku) for sku in SKUS[:10]}
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[1]: "2.00", SKUS[50]: "2.00"}, [SKUS[2]])
        records = await turned(partial, 2)
    assert sorted(sent) == [("find", "layer", 0), ("find", "snapshots", 1)]
    assert [amount(records.get(sku)) for sku in SKUS[1:3]] == ["2.00", None]
    assert [records.get(sku) is before[sku] for sku in (SKUS[0], *SKUS[3:10])] == [True] * 8
    assert records.get(SKUS[50]) is MISSING, "nobody had asked for it"
    assert {sku: base.get(sku) for sku in SKUS[:10]} == before

    async def price(version: int, sku: str) -> str:
        document = """query ($v: Int, $s: ID!) {
          snapshot(priceList: "retail", version: $v) { price(sku: $s) { amount } }
        }"""
        amount: str = (await partial.data(document, v=version, s=sku))["snapshot"]["price"]["amount"]
        return amount

    assert [await price(version, SKUS[50]) for version in (2, 1, 2, 1)] == ["2.00", "1.00", "2.00", "1.00"]
    assert [await price(version, SKUS[60]) for version in (1, 2)] == ["1.00", "1.00"]
    assert base.get(SKUS[60]) is records.get(SKUS[60]), "what is read of one version is known of both"


async def test_of_a_large_list_that_is_replaced_what_was_hot_is_looked_up(
    partial: Api, store: Store, round_trips: RoundTrips
) -> None:
    with round_trips.counted() as sent:
        await replace(store, "retail", dict.fromkeys(SKUS[5:], "2.00"))
        records = await turned(partial, 2)
    assert sorted(sent) == [("find", "layer", 10), ("find", "snapshots", 1)]
    assert [amount(records.get(sku)) for sku in SKUS[:10]] == [None] * 5 + ["2.00"] * 5
    assert records.get(SKUS[11]) is MISSING


async def test_a_merge_of_more_than_may_be_read_has_only_the_hottest_looked_up(
    partial: Api, store: Store, round_trips: RoundTrips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.warmer.HOT_RECORDS", 6)
    monkeypatch.setattr("loaders.cache.warmer.CHUNK", 4)
    base = current(partial.runtime.pointers)
    kept = base.get(SKUS[9])
    with round_trips.counted() as sent:
        await merge(store, "retail", dict.fromkeys(SKUS[:8], "2.00"))
        records = await turned(partial, 2)
    assert sorted(sent) == [("find", "layer", 2), ("find", "layer", 4), ("find", "snapshots", 1)]
    hot = [sku for sku in SKUS[:10] if records.get(sku) is not MISSING]
    assert len(hot) == 6
    assert records.get(SKUS[9]) is kept or SKUS[9] not in hot
    assert all(amount(records.get(sku)) == ("2.00" if sku in SKUS[:8] else "1.00") for sku in hot)


async def test_versions_that_were_folded_meanwhile_are_still_known_to_be_laid_upon_the_one_before(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    for version in (2, 3):
        await merge(store, "retail", {SKUS[version]: f"{version}.00"})
        await turned(api, version)
    manifest = await store.snapshots.get("retail", 3)
    assert manifest is not None
    await store.compactor.compact(manifest)
    with round_trips.counted() as sent:
        await merge(store, "retail", {SKUS[4]: "4.00"})
        records = await turned(api, 4)
    assert ("find", "layer", 0) in sent
    assert len([command for command in sent if command[1] == "layer"]) == 1
    assert [amount(records.get(SKUS[place])) for place in (1, 2, 3, 4)] == ["1.00", "2.00", "3.00", "4.00"]


async def test_a_manifest_that_a_new_primary_does_not_know_yet_is_asked_for_again(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = api.runtime.store.snapshots
    get_many, asked = snapshots.get_many, 0

    async def late(keys: Sequence[tuple[str, int]]) -> list[object]:
        nonlocal asked
        asked += 1
        return [None for _ in keys] if asked == 1 else list(await get_many(keys))

    monkeypatch.setattr(snapshots, "get_many", late)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    records = await turned(api, 2)
    assert records.whole
    assert asked == 2


async def test_what_cannot_be_warmed_is_turned_to_all_the_same(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = LayerReader.read

    async def broken(stack: LayerReader, layers: Sequence[str]) -> AsyncIterator[object]:
        raise OSError("The line is cut.")
        yield

    monkeypatch.setattr(LayerReader, "read", broken)
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await until(lambda: is_at(api, 2), "turned")
    monkeypatch.setattr(LayerReader, "read", read)
    assert "could not be warmed" in caplog.text
    assert (await api.data(POINT, sku=SKUS[0]))["snapshot"] == {"version": 2, "price": {"amount": "2.00"}}
    assert (await api.data(POINT, sku=SKUS[1]))["snapshot"] == {"version": 2, "price": {"amount": "1.00"}}


async def test_a_version_that_somebody_read_by_its_number_before_is_warmed_too(
    api: Api, store: Store, gate: Gate
) -> None:
    await merge(store, "retail", {SKUS[0]: "2.00"})
    await gate.waiting.wait()
    by_number = '{ snapshot(priceList: "retail", version: 2) { price(sku: "sku-000") { amount } } }'
    assert await api.data(by_number) == {"snapshot": {"price": {"amount": "2.00"}}}
    gate.open.set()
    assert (await turned(api, 2)).whole
