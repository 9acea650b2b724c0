"""Replace, merge, remove, roll back, approve and compact, in any order: a list behaves like a dictionary."""

import asyncio
import secrets
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from storage import BatchMode, BatchState, DiffSummary, Gates, PublishPolicy, Snapshot, Store
from tests.storage.factories import compact, order, row, source

SKUS = [f"s{number:02}" for number in range(12)]

CONCURRENT, EXAMPLES = 20, 6
"""Sequences that one example runs at a time, each on its own list, and examples: 120 sequences."""

Prices = dict[str, str]


@dataclass(frozen=True)
class Act:
    """One step. Which fields are used depends on `kind`."""

    kind: str
    prices: Prices
    removed: frozenset[str]
    back: int


ACTS = st.builds(
    Act,
    st.sampled_from(["replace", "merge", "merge", "merge", "rollback", "compact", "approve", "reject"]),
    st.dictionaries(st.sampled_from(SKUS), st.sampled_from(["1.00", "2.00", "3.00"]), min_size=1, max_size=6),
    st.frozensets(st.sampled_from(SKUS), max_size=5),
    st.integers(0, 3),
)
LONG = st.lists(ACTS, min_size=5, max_size=12)
SEQUENCES = st.lists(st.lists(ACTS, min_size=2, max_size=4), min_size=CONCURRENT, max_size=CONCURRENT)


@dataclass
class Model:
    """The prices of each version of a list, and the version that is current."""

    versions: dict[int, Prices] = field(default_factory=dict)
    published: list[int] = field(default_factory=list)
    current: int | None = None

    @property
    def now(self) -> Prices:
        return self.versions[self.current] if self.current else {}

    def after(self, act: Act) -> Prices:
        if act.kind == "replace":
            return dict(act.prices)
        kept = {sku: amount for sku, amount in self.now.items() if sku not in act.removed}
        return kept | act.prices

    def publish(self, version: int, prices: Prices) -> None:
        self.versions[version] = prices
        self.published.append(version)
        self.current = version


def summary(before: Prices, after: Prices) -> DiffSummary:
    both = before.keys() & after.keys()
    changed = sum(before[sku] != after[sku] for sku in both)
    return DiffSummary(len(after.keys() - before), len(before.keys() - after), changed, len(both) - changed)


async def read_all(store: Store, snapshot: Snapshot, page: int) -> tuple[Prices, Prices, Prices]:
    """All prices of a version: by sku, by pages forward, by pages backward."""
    layers = snapshot.layers
    found = {sku: str(price.amount) for sku, price in (await store.layer_reader.find(layers, SKUS)).items()}
    forward: Prices = {}
    while run := await store.layer_reader.page(layers, page, after=max(forward, default=None)):
        forward |= {price.sku: str(price.amount) for price in run}
    backward: Prices = {}
    while run := await store.layer_reader.page(layers, page, before=min(backward, default=None), backward=True):
        backward |= {price.sku: str(price.amount) for price in run}
    return found, forward, backward


async def step(store: Store, name: str, model: Model, act: Act) -> None:
    if act.kind == "rollback":
        earlier = [version for version in model.published if version != model.current]
        if earlier:
            to = earlier[-1 - act.back % len(earlier)]
            await store.pointer_moves.rollback(name, to, by="ops", reason="x", pin=False)
            model.current = to
    elif act.kind == "compact":
        current = await store.snapshots.get(name, model.current) if model.current else None
        if current and len(current.layers) > 1:
            compacted = await compact(store, current)
            assert len(compacted.layers) < len(current.layers)
    else:
        await _send(store, name, model, act)


async def _send(store: Store, name: str, model: Model, act: Act) -> None:
    mode = BatchMode.REPLACE if act.kind == "replace" else BatchMode.MERGE
    removed = () if mode is BatchMode.REPLACE else sorted(act.removed - act.prices.keys())
    held = act.kind in ("approve", "reject")
    policy = PublishPolicy.ON_APPROVAL if held else PublishPolicy.WHEN_VALID
    rows = await source([row(sku, amount) for sku, amount in act.prices.items()])
    batch = await store.submitter.submit(replace(order(name, publish=policy), mode=mode), rows, removed)
    after = model.after(act)
    assert batch.summary == summary(model.now, after)
    if held:
        assert batch.state is BatchState.HELD
        if act.kind == "reject":
            await store.lifecycle.reject(batch.id, by="ops", reason="x")
            return
        batch = await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert batch.state is BatchState.PUBLISHED
    assert batch.version is not None
    assert batch.version > max(model.published, default=0), "versions only grow"
    model.publish(batch.version, after)


async def run(store: Store, acts: list[Act], page: int) -> None:
    name = f"list-{secrets.token_hex(6)}"
    await store.price_list_editor.create(name, None, Gates(), "ops")
    model = Model()
    for act in acts:
        await step(store, name, model, act)
        assert (await store.price_lists.get(name)).current_version == model.current
    for version, prices in model.versions.items():
        snapshot = await store.snapshots.get(name, version)
        assert snapshot is not None
        assert snapshot.size == len(prices)
        for found in await read_all(store, snapshot, page):
            assert found == prices, (version, acts)


THOROUGH = settings(
    max_examples=EXAMPLES,
    # Failing examples are not shrunk: shrinking twenty lists takes longer than reading them.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


async def run_all(store: Store, sequences: list[list[Act]], page: int) -> None:
    await asyncio.gather(*(run(store, acts, page) for acts in sequences))
    for layer in await store.layer_writer.all():  # thousands of collections slow the server down
        await store.layer_writer.drop(layer)


@pytest.mark.timeout(1200)
@given(SEQUENCES, st.integers(1, 5))
@THOROUGH
async def test_a_list_behaves_like_a_dictionary(store: Store, sequences: list[list[Act]], page: int) -> None:
    await run_all(store, sequences, page)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@given(st.lists(LONG, min_size=CONCURRENT, max_size=CONCURRENT), st.integers(1, 5))
@settings(THOROUGH, max_examples=50 * EXAMPLES)
async def test_a_list_behaves_like_a_dictionary_in_long_sequences(
    store: Store, sequences: list[list[Act]], page: int
) -> None:
    await run_all(store, sequences, page)
