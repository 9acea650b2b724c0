"""A model test: under any publishes, rollbacks, reads and evictions, reads return the prices of their version."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.cache.response_cache import ResponseCache
from graph.identity.authenticator import Authenticator
from graph.runtime import Runtime
from loaders import PointerCache, Window
from storage import MISSING, BlockCache, Gates, Store
from tests.graph.api import ANYBODY
from tests.loaders.publishing import compact, merge, replace

SKUS = [f"sku-{number:03}" for number in range(100)]
ENDS = [None, "", *SKUS[::7], "z"]

BUDGETS = [0, 4_000, 12_000, 40_000, 1_000_000]
"""Cache sizes in bytes: none, a few blocks, some decoded blocks, all of it."""

Prices = dict[str, str]


@dataclass
class Model:
    """The expected prices of each version of a list."""

    versions: list[Prices] = field(default_factory=list)
    current: int = 0

    def publish(self, prices: Prices) -> None:
        self.versions.append(prices)
        self.current = len(self.versions)


@dataclass(frozen=True)
class Change:
    """A change of the list: `skus` are the prices of a batch, `removed` the tombstones of a merge."""

    name: str
    skus: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    back: int = 0

    async def run(self, store: Store, name: str, model: Model, step: int) -> None:
        amounts = {sku: f"{step}.{index:02}" for index, sku in enumerate(self.skus)}
        current = model.versions[model.current - 1] if model.current else {}
        if self.name == "replace":
            model.publish(amounts)
            await replace(store, name, amounts)
        elif self.name == "merge":
            removed = [sku for sku in self.removed if sku not in amounts]
            model.publish({sku: a for sku, a in {**current, **amounts}.items() if sku not in removed})
            await merge(store, name, amounts, removed)
        elif self.name == "compact":
            if model.current:
                await compact(store, name, model.current)
        elif model.versions and 1 + self.back % len(model.versions) != model.current:
            model.current = 1 + self.back % len(model.versions)
            await store.pointer_moves.rollback(name, model.current, by="ops", reason="x", pin=False)


@dataclass(frozen=True)
class Read:
    """A request for some skus and a page, of the current or an older version."""

    skus: tuple[str, ...]
    window: Window[str]
    back: int | None

    async def run(self, runtime: Runtime, name: str, model: Model, published: int) -> None:
        loaders = runtime.context(ANYBODY).loaders
        if self.back is None or not published:
            snapshot = await loaders.view.current(name)
        else:
            snapshot = await loaders.view.version(name, 1 + self.back % published)
        if snapshot is None:
            return
        prices = model.versions[snapshot.version - 1]
        found = loaders.prices.cached_many(snapshot, self.skus)
        if found is None:
            found = await loaders.prices.load_many(snapshot, self.skus)
        assert [price and str(price.amount) for price in found] == [prices.get(sku) for sku in self.skus]
        for sku in self.skus[:2]:
            cached = loaders.prices.cached(snapshot, sku)
            price = await loaders.prices.load(snapshot, sku) if cached is MISSING else cached
            assert (price and str(price.amount)) == prices.get(sku)
        page = await loaders.pages.prices(snapshot, self.window)
        shown, more = expected(prices, self.window)
        assert {price.sku: str(price.amount) for price in page.records} == {sku: prices[sku] for sku in shown}
        assert [price.sku for price in page.records] == shown
        assert (page.has_previous if self.window.backward else page.has_next) is more


def expected(prices: Prices, window: Window[str]) -> tuple[list[str], bool]:
    after, before = window.after or "", "~" if window.before is None else window.before
    within = [sku for sku in sorted(prices) if after < sku < before]
    shown = within[-window.size :] if window.backward else within[: window.size]
    return shown, len(within) > len(shown)


SOME = st.lists(st.sampled_from(SKUS), max_size=12, unique=True).map(tuple)
AT_LEAST_ONE = st.lists(st.sampled_from(SKUS), min_size=1, max_size=100, unique=True).map(tuple)
CHANGES = st.one_of(
    st.builds(Change, st.just("replace"), AT_LEAST_ONE),
    st.builds(Change, st.just("merge"), AT_LEAST_ONE, SOME),
    st.builds(Change, st.just("merge"), st.tuples(st.sampled_from(SKUS)), SOME),
    st.builds(Change, st.just("rollback"), back=st.integers(0, 5)),
    st.builds(Change, st.just("compact")),
)
WINDOWS = st.builds(Window, st.integers(1, 12), st.sampled_from(ENDS), st.sampled_from(ENDS), backward=st.booleans())
READS = st.lists(st.builds(Read, SOME, WINDOWS, st.none() | st.integers(0, 5)), max_size=4)
STEPS = st.lists(st.tuples(CHANGES, READS, READS), min_size=2, max_size=8)


def check_size(cache: BlockCache) -> None:
    assert cache.total_bytes - cache.directory_bytes <= max(0, cache.budget - cache.directory_bytes)


@given(steps=STEPS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_reads_return_the_prices_of_their_version(
    store: Store, steps: Sequence[tuple[Change, list[Read], list[Read]]]
) -> None:
    name, model = f"list-{secrets.token_hex(6)}", Model()
    await store.price_list_editor.create(name, None, Gates(), "ops")
    runtimes = []
    for budget in BUDGETS:
        process = Store(store.client, store.db.name, cache_bytes=budget)
        pointers = PointerCache(process)
        responses, authenticator = ResponseCache(pointers, 0), Authenticator(ANYBODY, store.api_keys)
        runtimes.append(Runtime(process, pointers, responses, authenticator))
    for runtime in runtimes:
        await runtime.pointers.start()
    for step, (change, during, after) in enumerate(steps):
        published = len(model.versions)
        reads = [read.run(runtime, name, model, published) for read in during for runtime in runtimes]
        await asyncio.gather(change.run(store, name, model, step), *reads)
        pointer = await store.price_lists.get(name)
        assert pointer.current_version == (model.current or None)
        for runtime in runtimes:
            await runtime.pointers.switch_to({pointer.name: pointer.revision})
            assert (await runtime.pointers.get(name)).revision == pointer.revision
        for read in after:
            await asyncio.gather(*(read.run(runtime, name, model, len(model.versions)) for runtime in runtimes))
            for runtime in runtimes:
                check_size(runtime.store.block_cache)
    for runtime in runtimes:
        await runtime.pointers.stop()
