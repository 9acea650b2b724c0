"""The version cache: bounded by bytes that are really there; what is old goes first, then what was not read lately."""

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


def known(records: CachedVersion, numbers: Iterable[int]) -> list[int]:
    """Which of those are in memory; looking does not count as reading."""
    return [number for number in numbers if f"sku-{number:05}" in {**records.young, **records.old}]


async def current(versions: VersionCache, version: int = 1, price_list: str = "retail") -> CachedVersion:
    records = versions.of(snapshot(version, price_list))
    versions.turn(price_list, version)
    return records


def complete(versions: VersionCache, records: CachedVersion, count: int) -> bool:
    """Put so many records into a version, and have it whole."""
    return versions.add(records, prices(range(count))) and versions.complete(
        records, [s for s, _ in prices(range(count))]
    )


async def test_what_was_not_read_lately_is_evicted_first() -> None:
    versions = VersionCache(WEIGHT * 100)
    records = await current(versions)
    assert versions.add(records, prices(range(90)))
    assert versions.add(records, prices(range(90, 110))), "some of the first have to go"
    hot = known(records, range(110))[:10]
    for number in range(110, 600):
        for each in hot:
            assert records.get(f"sku-{each:05}") is not MISSING
        assert versions.add(records, prices([number]))
        assert versions.bytes <= versions.budget
    assert known(records, hot) == hot
    assert versions.evictions == 600 - len(known(records, range(600)))
    assert len(known(records, range(600))) > 80, "no more than has to go"


async def test_old_versions_go_before_anything_of_a_current_one() -> None:
    versions = VersionCache(WEIGHT * 100)
    old = await current(versions, 1)
    assert versions.add(old, prices(range(60)))
    new = await current(versions, 2)
    assert versions.add(new, prices(range(70)))
    assert versions.find("retail", 1) is None
    assert (known(new, range(70)), known(old, range(70))) == (list(range(70)), [])
    assert versions.bytes == new.bytes


async def test_only_some_versions_that_are_not_current_are_kept() -> None:
    versions = VersionCache()
    for version in range(1, 10):
        versions.add(await current(versions, version), prices(range(3)))
    kept = [version for version in range(1, 10) if versions.find("retail", version)]
    assert kept == list(range(9 - MAX_OLD_VERSIONS, 10))
    assert versions.bytes == WEIGHT * 3 * (MAX_OLD_VERSIONS + 1)


async def test_a_list_may_be_whole_if_it_takes_a_third_of_the_budget_and_two_of_them_if_they_fit() -> None:
    versions = VersionCache(WEIGHT * 300)
    lists = [await current(versions, price_list=name) for name in ("a", "b", "c")]
    assert not versions.fits_whole(lists[0], WEIGHT * 101)
    for records in lists[:2]:
        assert complete(versions, records, 95)
        records.read = True
    assert not versions.make_way(lists[2], WEIGHT * 90), "the others are read"
    lists[1].read = True
    assert versions.make_way(lists[2], WEIGHT * 90), "since then nobody read the first of them"
    assert [versions.find(name, 1) is not None for name in "abc"] == [False, True, True]


async def test_a_whole_list_gives_nothing_to_records_of_others() -> None:
    versions = VersionCache(WEIGHT * 300)
    small, large = await current(versions, price_list="small"), await current(versions, price_list="large")
    assert complete(versions, small, 90)
    for number in range(0, 2000, 10):
        assert versions.add(large, prices(range(number, number + 10)))
    assert small.whole
    assert known(small, range(90)) == list(range(90))
    assert versions.bytes <= versions.budget


async def test_a_list_of_which_something_was_evicted_is_not_whole() -> None:
    versions = VersionCache(WEIGHT * 300)
    records = await current(versions)
    versions.add(records, prices(range(90)))
    records.evict(1)
    assert not versions.complete(records, [sku for sku, _ in prices(range(90))])
    assert not records.whole


async def test_a_version_that_was_rolled_back_to_outlives_the_one_it_was_read_through() -> None:
    versions = VersionCache()
    base, newer = await current(versions, 1), CachedVersion(snapshot(2), 0.0)
    newer.coming = True
    assert complete(versions, base, 90)
    with MergeOverlay(versions, base, newer) as succession:
        assert succession.say([*prices([95]), ("sku-00001", None)])
        assert succession.finish()
    assert (newer.whole, base.whole, known(base, range(99))) == (True, False, [1, 95])
    versions.drop(newer)
    assert [base.get(f"sku-{number:05}") is MISSING for number in (0, 1, 2)] == [True, False, True]
    assert base.get("sku-00095") is None
    assert (base.newer, base.skus) == (None, None), "it can be loaded again"
    assert versions.bytes == base.bytes == WEIGHT + weigh("sku-00095", None)
    assert versions.add(base, prices(range(90)))


async def test_a_succession_that_is_broken_off_leaves_everything_as_it_was() -> None:
    versions = VersionCache()
    base, newer = await current(versions, 1), CachedVersion(snapshot(2), 0.0)
    assert complete(versions, base, 90)
    before, weight = dict(base.young), versions.bytes
    with MergeOverlay(versions, base, newer) as succession:
        assert succession.say(
            [*prices([95]), ("sku-00001", None), ("sku-00002", Price("sku-00002", Decimal(2), "EUR"))]
        )
        assert base.get("sku-00001") == before["sku-00001"]
    assert (base.whole, base.young, versions.bytes, base.bytes) == (True, before, weight, weight)
    assert (newer.young, newer.bytes) == ({}, 0)


async def test_a_succession_ends_when_its_base_is_dropped() -> None:
    versions = VersionCache()
    base, newer = await current(versions, 1), CachedVersion(snapshot(2), 0.0)
    assert complete(versions, base, 90)
    with MergeOverlay(versions, base, newer) as succession:
        assert succession.say(prices([95]))
        versions.drop(base)
        assert not succession.say(prices([96]))
        assert not succession.finish()
    assert (versions.bytes, newer.young) == (0, {})


async def test_without_a_budget_nothing_but_the_manifest_is_kept() -> None:
    versions = VersionCache(0)
    records = await current(versions)
    assert not versions.add(records, prices(range(3)))
    assert (versions.bytes, known(records, range(3))) == (0, [])
    assert versions.current("retail") is records


async def test_what_cannot_fit_is_not_kept() -> None:
    versions = VersionCache(WEIGHT * 3)
    records = await current(versions)
    records.newer = CachedVersion(snapshot(2), 0.0)  # nothing can be taken from one that is read through another
    records.changed = {sku for sku, _ in prices(range(9))}
    assert versions.add(records, prices(range(3)))
    assert not versions.add(records, prices(range(3, 9)))
    assert known(records, range(9)) == [0, 1, 2]
    assert versions.bytes == WEIGHT * 3


async def test_records_of_a_version_that_was_dropped_meanwhile_are_not_kept() -> None:
    versions = VersionCache()
    records = await current(versions)
    versions.drop(records)
    assert not versions.add(records, prices(range(3)))
    assert versions.bytes == 0


PLAIN = {"colour": "blue", "size": 7}
NESTED = {"size": {"width": 3.5, "marks": ["a", "b", {"deep": True}]}, "names": [f"name {n}" for n in range(20)]}


@pytest.mark.parametrize("kind", ["bare", "attributes", "nested", "own names", "tiers and dates", "absent"])
def test_what_is_claimed_is_really_taken(kind: str) -> None:
    count = 20_000
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    records = CachedVersion(snapshot(1), 0.0)
    for number in range(count):
        records.add(*made(kind, number))
    records.skus = sorted(records.young)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    claimed = records.bytes + 8 * count
    assert 0.9 * taken <= claimed <= 1.7 * taken, f"{claimed / count:.0f} claimed, {taken / count:.0f} taken"


def made(kind: str, number: int) -> tuple[str, Price | None]:
    """A record of a kind, nothing of which any other shares, but names of attributes."""
    sku, amount = f"SKU-{number:08}", Decimal(f"{number}.50")
    match kind:
        case "bare":
            return sku, Price(sku, amount, "EUR")
        case "attributes":
            return sku, Price(sku, amount, "EUR", attributes={**PLAIN, "name": f"Item {number}"})
        case "nested":
            marks = [f"mark {number}", {"deep": float(number)}]
            return sku, Price(sku, amount, "EUR", attributes={"size": {"width": number + 0.5, "marks": marks}})
        case "own names":
            return sku, Price(sku, amount, "EUR", attributes={f"name {number} {place}": True for place in range(5)})
        case "tiers and dates":
            tiers = tuple(Tier(1000 + number + place, Decimal(f"{number}.{place}")) for place in range(3))
            day = NOW.date() + datetime.timedelta(number % 1000)
            return sku, Price(sku, amount, "EUR", tiers, day, day + datetime.timedelta(1))
        case _:
            return sku, None
