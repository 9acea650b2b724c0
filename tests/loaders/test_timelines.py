"""Timelines of one request: of its moment, each sku looked up once, and each look-up counted once."""

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from loaders import Between, DaysBefore, Loaders
from storage import Layer, LayerGone, ScanLimit
from storage.layers.version_prices import LayerPriceReader
from tests.graph.api import Api, expire_past_versions, row
from tests.loaders.conftest import RoundTrips
from tests.waiting import until

WINDOW = Between(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), None)


@pytest.fixture
async def retail(counted_api: Api) -> Api:
    """A list whose skus cost 1 in version 1, and 2 in version 2."""
    await counted_api.create("retail")
    for amount in ("1", "2"):
        await counted_api.publish("retail", [row("a", amount), row("b", amount)])
    return counted_api


def loaders(api: Api) -> Loaders:
    return Loaders(api.runtime.store, api.runtime.pointers)


async def shown(loaders: Loaders, sku: str = "a") -> list[tuple[int, bool]]:
    """Return the versions of a timeline to now, and whether they last."""
    periods = await loaders.timelines.periods("retail", WINDOW, sku)
    return [(each.snapshot.version, each.until is None) for each in periods]


@pytest.fixture
def layers_read(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The skus of every look-up in a layer."""
    read: list[Sequence[str]] = []
    layer_prices = LayerPriceReader.in_memory

    def recorded(reader: LayerPriceReader, layer: Layer, skus: Sequence[str]) -> Any:
        read.append(skus)
        return layer_prices(reader, layer, skus)

    monkeypatch.setattr(LayerPriceReader, "in_memory", recorded)
    return read


async def test_a_timeline_ends_with_the_version_that_the_request_follows(retail: Api) -> None:
    request = loaders(retail)
    await request.view.current("retail")
    await retail.publish("retail", [row("a", "0.5")])
    assert await shown(request) == [(1, False), (2, True)]
    lowest = await request.timelines.lowest("retail", DaysBefore(30, None), "a", "EUR")
    assert lowest is not None
    assert (str(lowest.amount), lowest.version) == ("1", 1)
    assert await shown(loaders(retail)) == [(1, False), (2, False), (3, True)]


async def test_without_the_current_version_a_timeline_ends_with_the_time_of_the_request(retail: Api) -> None:
    request = loaders(retail)
    await request.view.instants.now()
    await retail.publish("retail", [row("a", "3")])
    assert await shown(request) == [(1, False), (2, True)]


async def test_after_a_mutation_a_timeline_has_what_it_published(retail: Api) -> None:
    request = loaders(retail)
    await request.view.current("retail")
    assert await shown(request) == [(1, False), (2, True)]
    await retail.publish("retail", [row("a", "3")])
    request.view.renew()
    await request.view.current("retail")
    assert await shown(request) == [(1, False), (2, False), (3, True)]


async def test_an_instant_is_not_newer_than_the_current_version(retail: Api) -> None:
    request = loaders(retail)
    await request.view.current("retail")
    await retail.publish("retail", [row("a", "3")])
    instant = await retail.runtime.store.now()
    snapshot = await request.view.as_of("retail", instant)
    assert snapshot is not None
    assert snapshot.version == 2
    assert not request.view.instants.are_settled
    newest = await loaders(retail).view.as_of("retail", instant)
    assert newest is not None
    assert newest.version == 3


def count_reads(sent: list[tuple[str, str, int]]) -> tuple[int, int]:
    """Return the number of reads of moves and of manifests."""
    collections = [collection for _, collection, _ in sent]
    return collections.count("events"), collections.count("snapshots")


def lose_a_layer_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Raise `LayerGone` at the first look-up in a layer, and return a list to which the layer is added."""
    layer_prices, gone = LayerPriceReader.in_memory, list[str]()

    def gone_once(reader: LayerPriceReader, layer: Layer, skus: Sequence[str]) -> Any:
        if not gone:
            gone.append(layer.id)
            raise LayerGone(layer.id)
        return layer_prices(reader, layer, skus)

    monkeypatch.setattr(LayerPriceReader, "in_memory", gone_once)
    return gone


async def following(retail: Api) -> Loaders:
    """The loaders of a request that follows the list."""
    request = loaders(retail)
    await request.view.current("retail")
    return request


async def test_the_moves_and_manifests_of_a_list_are_read_once_for_each_revision(
    retail: Api, round_trips: RoundTrips
) -> None:
    for versions in ([(1, False), (2, True)], [(1, False), (2, False), (3, True)]):
        for reads in ((1, 1), (0, 0)):
            request = await following(retail)
            with round_trips.counted() as sent:
                assert await shown(request) == versions
                assert await request.timelines.lowest("retail", DaysBefore(30, None), "b", "EUR")
            assert count_reads(sent) == reads
        await retail.publish("retail", [row("a", "3"), row("b", "3")])


async def test_a_version_that_expires_is_missing_from_the_next_revision_on(retail: Api) -> None:
    assert await shown(await following(retail)) == [(1, False), (2, True)]
    await expire_past_versions(retail.runtime.store)

    async def is_missing() -> bool:
        return await shown(await following(retail)) == [(2, True)]

    await until(is_missing, "missing")


async def test_a_window_that_begins_before_the_moves_in_memory_is_read(
    retail: Api, round_trips: RoundTrips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.move_cache.MAX_LIST_MOVES", 1)
    second = (await retail.runtime.store.events.newest("retail", 1))[0].at
    millisecond = datetime.timedelta(milliseconds=1)
    assert await shown(await following(retail)) == [(1, False), (2, True)]
    for since, versions, reads in (
        (second - millisecond, [(1, False), (2, True)], (1, 1)),
        (second, [(2, True)], (0, 1)),
        (second + millisecond, [(2, True)], (0, 0)),
    ):
        request = await following(retail)
        with round_trips.counted() as sent:
            periods = await request.timelines.periods("retail", Between(since, None), "a")
        assert [(each.snapshot.version, each.until is None) for each in periods] == versions
        assert count_reads(sent) == reads


async def test_requests_at_once_share_one_read_of_the_moves(retail: Api, round_trips: RoundTrips) -> None:
    requests = [await following(retail) for _ in range(20)]
    with round_trips.counted() as sent:
        found = await asyncio.gather(*(shown(each) for each in requests))
    assert found == [[(1, False), (2, True)]] * 20
    assert count_reads(sent)[0] == 1


async def test_after_a_compaction_manifests_are_read_again(
    retail: Api, round_trips: RoundTrips, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await shown(await following(retail)) == [(1, False), (2, True)]
    gone = lose_a_layer_once(monkeypatch)
    request = await following(retail)
    with round_trips.counted() as sent:
        assert await shown(request) == [(1, False), (2, True)]
    assert gone
    assert count_reads(sent) == (0, 1)


async def test_skus_stay_loaded_when_others_of_their_window_follow(
    retail: Api, layers_read: list[Sequence[str]]
) -> None:
    request = loaders(retail)
    for sku in ("a", "b", "a", "b"):
        assert await shown(request, sku) == [(1, False), (2, True)]
    assert layers_read == [["a"]] * 2 + [["b"]] * 2


async def test_the_look_ups_of_a_timeline_that_is_read_again_count_once(
    retail: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.layers.timeline.LookUpBudget.__init__.__defaults__", (3,))
    gone = lose_a_layer_once(monkeypatch)
    request = loaders(retail)
    assert await shown(request) == [(1, False), (2, True)]
    assert gone
    with pytest.raises(ScanLimit):
        await shown(request, "b")
