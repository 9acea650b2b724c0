"""What was shown when equals what a model shows that replays all moves of a pointer, life by life."""

import asyncio
import datetime
import secrets
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pymongo.asynchronous.client_session import AsyncClientSession

from storage import BatchMode, BatchState, Gates, Layer, LookUpBudget, Store, Timelines, find_exposures
from storage import store as store_module
from storage.errors import ScanLimit
from storage.layers import timeline
from storage.layers.reader import LayerReader
from storage.layers.version_prices import LayerPriceReader, LayerPrices
from storage.mongodb.transaction import in_transaction
from tests.storage.factories import compact, create, merge, order, published, row, snapshot, source, versions

SKUS = ["s0", "s1", "s2", "absent"]
BASE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
CONCURRENT, EXAMPLES = 6, 9
"""Sequences that one example runs at a time, each on its own list, and examples."""

GAP = "gap"
Shown = str | None
"""An amount, None without a price, or GAP."""
Period = tuple[datetime.datetime, datetime.datetime | None, int, str | None]


@dataclass(frozen=True)
class Act:
    """One step, and the milliseconds from the one before to it. Which fields are used depends on `kind`."""

    kind: str
    wait: int
    prices: dict[str, str]
    back: int
    flag: bool


ACTS = st.builds(
    Act,
    st.sampled_from(
        ["replace", "merge", "merge", "merge", "rollback", "rollback", "pin", "unpin", "expire", "compact", "delete"]
    ),
    st.sampled_from([0, 0, 1, 1000, 60_000, 86_400_000]),
    st.dictionaries(st.sampled_from(SKUS[:3]), st.sampled_from(["1.00", "1.0", "2.00"]), min_size=1, max_size=3),
    st.integers(0, 3),
    st.booleans(),
)
SEQUENCES = st.lists(st.lists(ACTS, min_size=8, max_size=24), min_size=CONCURRENT, max_size=CONCURRENT)


@dataclass
class Model:
    """A list: its moves since it was created last, the contents of its versions, and which of them have expired."""

    moves: list[tuple[datetime.datetime, int]] = field(default_factory=list)
    contents: dict[int, dict[str, str]] = field(default_factory=dict)
    was_current: set[int] = field(default_factory=set)
    expired: set[int] = field(default_factory=set)
    current: int | None = None
    pinned: bool = False

    def move(self, at: datetime.datetime, version: int) -> None:
        if version != self.current:
            self.moves.append((at, version))
            self.current = version
            self.was_current.add(version)

    def as_of(self, instant: datetime.datetime) -> int | None:
        versions = [version for at, version in self.moves if at <= instant]
        return versions[-1] if versions else None

    def shown(self, sku: str, instant: datetime.datetime) -> tuple[int, Shown]:
        version = self.as_of(instant)
        assert version is not None
        return version, GAP if version in self.expired else self.contents[version].get(sku)

    def start(self, since: datetime.datetime) -> datetime.datetime:
        """Return when the version of an instant became current; the instant itself without a version."""
        return max((at for at, _ in self.moves if at <= since), default=since)

    def periods(self, sku: str, since: datetime.datetime, until: datetime.datetime | None) -> list[Period]:
        """Return the periods by looking at what was shown between any two moves."""
        times = sorted({at for at, _ in self.moves if at > since and (until is None or at < until)} | {since})
        times = [time for time in times if self.as_of(time) is not None and (until is None or time < until)]
        shown = [(begin, end, *self.shown(sku, begin)) for begin, end in pairwise([*times, until]) if begin]
        runs = [list(run) for _, run in groupby(shown, key=lambda each: each[3])]
        return [(run[0][0], run[-1][1], run[0][2], amount) for run in runs if (amount := run[0][3]) != GAP]

    def is_complete(self, since: datetime.datetime, until: datetime.datetime | None) -> bool:
        during = [at for at, _ in self.moves if at > since and (until is None or at < until)]
        versions = [self.as_of(time) for time in [since, *during]]
        if until is not None and since >= until:
            return versions != [None]
        return None not in versions and not self.expired.intersection(version for version in versions if version)

    def exposures(self, version: int) -> list[tuple[datetime.datetime, datetime.datetime | None]]:
        ends = [*(at for at, _ in self.moves[1:]), None][: len(self.moves)]
        return [(at, end) for (at, each), end in zip(self.moves, ends, strict=True) if each == version][::-1]


async def step(store: Store, name: str, model: Model, act: Act, at: datetime.datetime) -> None:
    readable = sorted(model.was_current - model.expired)
    if act.kind in ("replace", "merge"):
        await _publish(store, name, model, act, at)
    elif act.kind == "rollback" and (others := [version for version in readable if version != model.current]):
        to = others[-1 - act.back % len(others)]
        await store.pointer_moves.rollback(name, to, by="ops", reason="x", pin=act.flag)
        model.pinned = model.pinned or act.flag
        model.move(at, to)
    elif act.kind == "pin" and readable:
        to = readable[-1 - act.back % len(readable)]
        await store.pointer_moves.pin(name, to, by="ops", reason="x")
        model.pinned = True
        model.move(at, to)
    elif act.kind == "unpin" and model.pinned:
        await store.pointer_moves.unpin(name, by="ops", reason="x")
        model.pinned = False
    elif act.kind == "expire" and (others := [version for version in readable if version != model.current]):
        version = others[-1 - act.back % len(others)]
        await expire(store, name, version, released=act.flag)
        model.expired.add(version)
    elif act.kind == "compact" and model.current:
        current = await snapshot(store, model.current, name)
        if len(current.layers) > 1:
            await compact(store, current)
    elif act.kind == "delete" and act.back == 0:
        await store.deleter.delete(name, by="ops", reason="x", force=True)
        await store.deleter.purge(name)
        await store.price_list_editor.create(name, None, Gates(), "ops")
        model.__init__()  # type: ignore[misc]


async def _publish(store: Store, name: str, model: Model, act: Act, at: datetime.datetime) -> None:
    mode = BatchMode.REPLACE if act.kind == "replace" else BatchMode.MERGE
    before = model.contents[model.current] if model.current else {}
    removed = [] if mode is BatchMode.REPLACE else [SKUS[act.back % 3]]
    removed = [sku for sku in removed if act.flag and sku not in act.prices and sku in before]
    rows = await source([row(sku, amount) for sku, amount in act.prices.items()])
    batch = await store.submitter.submit(replace(order(name), mode=mode), rows, removed)
    assert batch.version is not None
    kept = {} if mode is BatchMode.REPLACE else {sku: each for sku, each in before.items() if sku not in removed}
    model.contents[batch.version] = kept | act.prices
    assert (batch.state is BatchState.HELD) == model.pinned, batch
    if not model.pinned:
        model.move(at, batch.version)


async def expire(store: Store, name: str, version: int, *, released: bool) -> None:
    """Expire a version, and remove its layers if it is `released`."""

    async def act(session: AsyncClientSession) -> None:
        await store.expirations.expire(name, version, session)
        if released:
            await store.snapshots.release_layers(name, [version], datetime.datetime.max, session)

    await in_transaction(store.client, act)


async def replay(store: Store, acts: Sequence[Act]) -> tuple[str, Model, list[datetime.datetime]]:
    """Run a sequence on a new list and on a model. The events get the times of the acts that caused them."""
    name, model, at = f"list-{secrets.token_hex(6)}", Model(), BASE
    await store.price_list_editor.create(name, None, Gates(), "ops")
    times, revision = [], 0
    for act in acts:
        at += act.wait * MILLISECOND
        await step(store, name, model, act, at)
        changed = (await store.price_lists.get(name)).revision
        await store.db["events"].update_many(
            {"list": name, "revision": {"$gt": revision, "$lte": changed}}, {"$set": {"at": at}}
        )
        revision = changed
        times.append(at)
    return name, model, times


FIRST_INSTANT = datetime.datetime.min.replace(tzinfo=datetime.UTC)


async def find(
    store: Store, name: str, since: datetime.datetime, until: datetime.datetime | None, skus: Sequence[str] = SKUS
) -> Timelines:
    """Find timelines, by moves that are the same whether they are read for the window or taken from all of the list."""
    moves = await store.price_timelines.moves(name, since, until)
    assert (await store.price_timelines.moves(name, FIRST_INSTANT, None)).between(since, until) == moves
    return await store.price_timelines.find(moves, skus, {})


def shown(found: Timelines, sku: str) -> list[Period]:
    return [
        (each.from_, each.until, each.snapshot.version, str(each.price.amount) if each.price else None)
        for each in found.clipped(sku)
    ]


async def compare(store: Store, acts: Sequence[Act]) -> None:
    name, model, times = await replay(store, acts)
    probes = sorted({time + delta * MILLISECOND for time in times for delta in (-1, 0, 1)})
    moves = await store.moves.as_of([(name, probe) for probe in probes])
    assert [move and move.to_version for move in moves] == [model.as_of(probe) for probe in probes]
    for version in {*model.contents, *range(1, 4)}:
        exposures = await find_exposures(store.moves, name, version)
        assert [(each.from_, each.until) for each in exposures] == model.exposures(version)
        assert all(each.event.to_version == version for each in exposures)
    for since, until in ranges(probes):
        found = await find(store, name, since, until)
        assert found.complete == model.is_complete(since, until), (since, until)
        for sku in SKUS:
            assert shown(found, sku) == model.periods(sku, since, until), (sku, since, until)
            is_empty = until is not None and since >= until
            unclipped = [] if is_empty else model.periods(sku, model.start(since), until)
            amounts = [(float(amount), begin, version) for begin, _, version, amount in unclipped if amount]
            lowest = found.lowest(sku, "EUR")
            assert (lowest and (float(lowest.amount), lowest.from_, lowest.version)) == min(
                amounts, key=lambda each: each[0], default=None
            )
            assert found.lowest(sku, "USD") is None


def ranges(probes: Sequence[datetime.datetime]) -> Iterator[tuple[datetime.datetime, datetime.datetime | None]]:
    """Yield some ranges with their ends near moves."""
    yield BASE - datetime.timedelta(days=1), None
    for place in range(0, len(probes), 5):
        yield probes[place], None
        yield probes[place], probes[place + (place * 7) % (len(probes) - place)]


@pytest.mark.timeout(900)
@given(sequences=SEQUENCES, per_step=st.integers(1, 4))
@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_what_was_shown_equals_what_a_model_shows(
    store: Store, sequences: list[list[Act]], per_step: int
) -> None:
    with patch.object(timeline, "PERIODS_PER_STEP", per_step):
        await asyncio.gather(*(compare(store, acts) for acts in sequences))


async def test_skus_are_looked_up_once_in_each_layer(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    for version in range(2, 7):
        await merge(store, [row("b", str(version))])
    layers_read: list[str] = []
    layer_prices = LayerPriceReader.in_memory

    def recorded(reader: LayerPriceReader, layer: Layer, skus: Sequence[str]) -> LayerPrices | None:
        assert set(skus) == {"a", "b"}
        layers_read.append(layer.id)
        return layer_prices(reader, layer, skus)

    with patch.object(LayerPriceReader, "in_memory", recorded):
        found = await find(store, "retail", BASE, None, ["a", "b"])
    assert [version for _, _, version, _ in shown(found, "a")] == [1]
    assert [version for _, _, version, _ in shown(found, "b")] == [1, 2, 3, 4, 5, 6]
    assert sorted(layers_read) == sorted(layer.id for layer in (await snapshot(store, 6)).layers)


async def test_timelines_and_histories_share_the_limit_of_layers_that_are_read_at_once(store: Store) -> None:
    await versions(store, 6)
    layer_prices, reading = LayerReader.layer_prices, [0, 0]

    async def counted(reader: LayerReader, layer: Layer, skus: Sequence[str]) -> object:
        reading[0] += 1
        reading[1] = max(reading)
        await asyncio.sleep(0.01)
        reading[0] -= 1
        return await layer_prices(reader, layer, skus)

    with (
        patch.object(store_module, "MAX_CONCURRENT_LAYER_READS", 2),
        patch.object(LayerReader, "layer_prices", counted),
        patch.object(LayerReader, "layer_prices_in_memory", return_value=None),
    ):
        limited = Store(store.client, store.db.name)
        await asyncio.gather(
            find(limited, "retail", BASE, None, ["a"]), limited.price_history.find("retail", 6, {"a": 9})
        )
    assert reading == [0, 2]


async def test_a_period_lasts_while_the_row_is_the_same(store: Store) -> None:
    """Prices that Python takes for equal may have different rows, and rows of different layers may be the same."""
    await create(store)
    attributes: list[object] = [1, 1, 1.0, True, "1", None]
    for value in attributes:
        await published(store, [row("a", attributes={"x": value})])
    for amount in ("1.0", "1.00"):
        await published(store, [row("a", amount)])
    found = await find(store, "retail", BASE, None, ["a"])
    assert [version for _, _, version, _ in shown(found, "a")] == [1, 3, 4, 5, 6, 7, 8]


async def test_the_moves_of_a_timeline_are_limited(store: Store) -> None:
    await versions(store, 4)
    for limit, is_refused in ((4, False), (3, True)):
        with patch.object(timeline, "MAX_MOVES", limit):
            moves = await store.price_timelines.moves("retail", BASE, None)
            with pytest.raises(ScanLimit, match="shorter period") if is_refused else nullcontext():
                LookUpBudget().spend(moves, 1)
    assert len(shown(await find(store, "retail", BASE, None, ["a"]), "a")) == 4
    budget, moves = LookUpBudget(11), await store.price_timelines.moves("retail", BASE, None)
    budget.spend(moves, 2)
    with pytest.raises(ScanLimit, match="fewer skus"):
        budget.spend(moves, 1)


async def test_a_list_without_a_version_has_no_timeline(store: Store) -> None:
    await create(store)
    found = await find(store, "retail", BASE, None)
    assert (found.periods, found.complete) == ({sku: [] for sku in SKUS}, False)
    assert found.lowest("s0", "EUR") is None
    assert await store.moves.as_of([("retail", BASE), ("nothing", BASE)]) == [None, None]
    assert await store.moves.as_of([]) == []
