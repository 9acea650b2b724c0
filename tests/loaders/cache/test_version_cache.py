"""The version cache: bounded by real memory; evicts old versions first, then the least recently read cached."""

import datetime
import gc
import tracemalloc
from collections.abc import Iterable
from decimal import Decimal

import pytest

from loaders.cache.cached_version import MISSING, CachedVersion
from loaders.cache.memory_size import weigh
from loaders.cache.merge_overlay import MergeOverlay
from loaders.cache.version_cache import MAX_OLD_VERSIONS, VersionCache
from storage import Layer, Price, Snapshot, SnapshotState, Tier

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
WEIGHT = weigh("sku-00000", Price("sku-00000", Decimal("1.00"), "EUR"))


def snapshot(version: int, price_list: str = "retail", size: int = 100) -> Snapshot:
    layers = (Layer(f"{price_list}-{version}", size, ""),)
    return Snapshot(price_list, version, layers, size, SnapshotState.PUBLISHED, NOW, NOW, None, "x", None)


def prices(numbers: Iterable[int]) -> list[tuple[str, Price | None]]:
    return [(f"sku-{number:05}", Price(f"sku-{number:05}", Decimal("1.00"), "EUR")) for number in numbers]


def known(cached: CachedVersion, numbers: Iterable[int]) -> list[int]:
    """Return the numbers whose records are cached, without counting as a read."""
    return [number for number in numbers if f"sku-{number:05}" in {**cached.young, **cached.old}]


async def current(versions: VersionCache, version: int = 1, price_list: str = "retail") -> CachedVersion:
    cached = versions.get_or_add(snapshot(version, price_list))
    versions.set_current(price_list, version)
    return cached


def complete(versions: VersionCache, cached: CachedVersion, count: int) -> bool:
    """Add `count` records to a version, and mark it as whole."""
    return versions.add(cached, prices(range(count))) and versions.complete(
        cached, [s for s, _ in prices(range(count))]
    )


async def test_the_least_recently_read_records_are_evicted_first() -> None:
    versions = VersionCache(WEIGHT * 100)
    cached = await current(versions)
    assert versions.add(cached, prices(range(90)))
    assert versions.add(cached, prices(range(90, 110))), "some of the first ones are evicted"
    hot = known(cached, range(110))[:10]
    for number in range(110, 600):
        for each in hot:
            assert cached.get(f"sku-{each:05}") is not MISSING
        assert versions.add(cached, prices([number]))
        assert versions.bytes <= versions.budget
    assert known(cached, hot) == hot
    assert versions.evictions == 600 - len(known(cached, range(600)))
    assert len(known(cached, range(600))) > 80, "no more than necessary is evicted"


async def test_old_versions_are_evicted_before_records_of_a_current_one() -> None:
    versions = VersionCache(WEIGHT * 100)
    old = await current(versions, 1)
    assert versions.add(old, prices(range(60)))
    new = await current(versions, 2)
    assert versions.add(new, prices(range(70)))
    assert versions.find("retail", 1) is None
    assert (known(new, range(70)), known(old, range(70))) == (list(range(70)), [])
    assert versions.bytes == new.bytes


async def test_only_the_newest_old_versions_are_kept() -> None:
    versions = VersionCache()
    for version in range(1, 10):
        versions.add(await current(versions, version), prices(range(3)))
    kept = [version for version in range(1, 10) if versions.find("retail", version)]
    assert kept == list(range(9 - MAX_OLD_VERSIONS, 10))
    assert versions.bytes == WEIGHT * 3 * (MAX_OLD_VERSIONS + 1)


async def test_a_whole_list_may_take_a_third_of_the_budget_and_all_whole_lists_two_thirds() -> None:
    versions = VersionCache(WEIGHT * 300)
    lists = [await current(versions, price_list=name) for name in ("a", "b", "c")]
    assert not versions.fits_whole(lists[0], WEIGHT * 101)
    for cached in lists[:2]:
        assert complete(versions, cached, 95)
        cached.was_read = True
    assert not versions.make_room_for_whole(lists[2], WEIGHT * 90), "the others were read"
    lists[1].was_read = True
    assert versions.make_room_for_whole(lists[2], WEIGHT * 90), "the first was not read since"
    assert [versions.find(name, 1) is not None for name in "abc"] == [False, True, True]


async def test_a_whole_list_is_not_evicted_for_records_of_others() -> None:
    versions = VersionCache(WEIGHT * 300)
    small, large = await current(versions, price_list="small"), await current(versions, price_list="large")
    assert complete(versions, small, 90)
    for number in range(0, 2000, 10):
        assert versions.add(large, prices(range(number, number + 10)))
    assert small.is_whole
    assert known(small, range(90)) == list(range(90))
    assert versions.bytes <= versions.budget


async def test_a_list_with_evicted_records_is_not_whole() -> None:
    versions = VersionCache(WEIGHT * 300)
    cached = await current(versions)
    versions.add(cached, prices(range(90)))
    cached.evict(1)
    assert not versions.complete(cached, [sku for sku, _ in prices(range(90))])
    assert not cached.is_whole


async def test_a_base_survives_the_newer_version_that_it_reads_through() -> None:
    versions = VersionCache()
    base, newer = await current(versions, 1), CachedVersion(snapshot(2), 0.0)
    newer.is_next = True
    assert complete(versions, base, 90)
    with MergeOverlay(versions, base, newer) as overlay:
        assert overlay.apply([*prices([95]), ("sku-00001", None)])
        assert overlay.finish()
    assert (newer.is_whole, base.is_whole, known(base, range(99))) == (True, False, [1, 95])
    versions.drop(newer)
    assert [base.get(f"sku-{number:05}") is MISSING for number in (0, 1, 2)] == [True, False, True]
    assert base.get("sku-00095") is None
    assert (base.newer, base.skus) == (None, None), "it can be loaded whole again"
    assert versions.bytes == base.bytes == WEIGHT + weigh("sku-00095", None)
    assert versions.add(base, prices(range(90)))


async def test_an_unfinished_overlay_restores_the_base() -> None:
    versions = VersionCache()
    base, newer = await current(versions, 1), CachedVersion(snapshot(2), 0.0)
    assert complete(versions, base, 90)
    before, weight = dict(base.young), versions.bytes
    with MergeOverlay(versions, base, newer) as overlay:
        assert overlay.apply([*prices([95]), ("sku-00001", None), ("sku-00002", Price("sku-00002", Decimal(2), "EUR"))])
        assert base.get("sku-00001") == before["sku-00001"]
    assert (base.is_whole, base.young, versions.bytes, base.bytes) == (True, before, weight, weight)
    assert (newer.young, newer.bytes) == ({}, 0)


async def test_an_overlay_stops_when_its_base_is_dropped() -> None:
    versions = VersionCache()
    base, newer = await current(versions, 1), CachedVersion(snapshot(2), 0.0)
    assert complete(versions, base, 90)
    with MergeOverlay(versions, base, newer) as overlay:
        assert overlay.apply(prices([95]))
        versions.drop(base)
        assert not overlay.apply(prices([96]))
        assert not overlay.finish()
    assert (versions.bytes, newer.young) == (0, {})


async def test_without_a_budget_only_the_manifest_is_cached() -> None:
    versions = VersionCache(0)
    cached = await current(versions)
    assert not versions.add(cached, prices(range(3)))
    assert (versions.bytes, known(cached, range(3))) == (0, [])
    assert versions.current("retail") is cached


async def test_records_that_do_not_fit_are_not_cached() -> None:
    versions = VersionCache(WEIGHT * 3)
    cached = await current(versions)
    cached.newer = CachedVersion(snapshot(2), 0.0)  # such a version is not evictable
    cached.changed = {sku for sku, _ in prices(range(9))}
    assert versions.add(cached, prices(range(3)))
    assert not versions.add(cached, prices(range(3, 9)))
    assert known(cached, range(9)) == [0, 1, 2]
    assert versions.bytes == WEIGHT * 3


async def test_records_of_a_dropped_version_are_not_cached() -> None:
    versions = VersionCache()
    cached = await current(versions)
    versions.drop(cached)
    assert not versions.add(cached, prices(range(3)))
    assert versions.bytes == 0


PLAIN = {"colour": "blue", "size": 7}
NESTED = {"size": {"width": 3.5, "marks": ["a", "b", {"deep": True}]}, "names": [f"name {n}" for n in range(20)]}


@pytest.mark.parametrize("kind", ["bare", "attributes", "nested", "distinct names", "tiers and dates", "absent"])
def test_the_estimated_size_matches_the_memory_taken(kind: str) -> None:
    count = 20_000
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    cached = CachedVersion(snapshot(1), 0.0)
    for number in range(count):
        cached.add(*make_record(kind, number))
    cached.skus = sorted(cached.young)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    estimated = cached.bytes + 8 * count
    assert 0.9 * taken <= estimated <= 1.7 * taken, f"{estimated / count:.0f} estimated, {taken / count:.0f} taken"


def make_record(kind: str, number: int) -> tuple[str, Price | None]:
    """Return a record of a kind that shares no objects with other records except attribute names."""
    sku, amount = f"SKU-{number:08}", Decimal(f"{number}.50")
    match kind:
        case "bare":
            return sku, Price(sku, amount, "EUR")
        case "attributes":
            return sku, Price(sku, amount, "EUR", attributes={**PLAIN, "name": f"Item {number}"})
        case "nested":
            marks = [f"mark {number}", {"deep": float(number)}]
            return sku, Price(sku, amount, "EUR", attributes={"size": {"width": number + 0.5, "marks": marks}})
        case "distinct names":
            return sku, Price(sku, amount, "EUR", attributes={f"name {number} {index}": True for index in range(5)})
        case "tiers and dates":
            tiers = tuple(Tier(1000 + number + index, Decimal(f"{number}.{index}")) for index in range(3))
            day = NOW.date() + datetime.timedelta(number % 1000)
            return sku, Price(sku, amount, "EUR", tiers, day, day + datetime.timedelta(1))
        case _:
            return sku, None
