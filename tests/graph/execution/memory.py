"""A context whose loaders read from memory, so that every query can be executed without a store.

The list `retail` is valid; `faulty` has records with invalid values: nulls, strings for numbers, numbers out of range,
missing attributes.
"""

import datetime
from collections.abc import Iterable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from graph.context import Context
from graph.identity.callers import Caller
from graph.identity.scopes import EVERYTHING
from loaders import Between, DaysBefore, Page, Window
from loaders.dataloaders import Loader
from storage import (
    MISSING,
    BatchMode,
    BatchState,
    ChangeKind,
    EventKind,
    InvalidArgument,
    Price,
    PriceListNotFound,
    PricePeriod,
    Severity,
    SnapshotNotFound,
    Tier,
    Timelines,
)

NOW = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)

Record = Any


def price(number: int) -> Price:
    """A valid price."""
    return Price(
        Decimal(number) / 4 + 1,
        "EUR",
        (Tier(10, Decimal("0.9")), Tier(100, Decimal("0.8"))) if number % 2 else (),
        NOW.date() if number % 3 else None,
        None,
        {"shelf": [number, None, {"deep": True}]},
        sku=f"sku-{number}",
    )


def batch(id_: str, price_list: str, **more: Any) -> Record:
    finding = SimpleNamespace(
        gate="maxShrinkPercent",
        severity=Severity.HOLD,
        message="Too small.",
        observed=Decimal("50.0"),
        limit=Decimal(9),
    )
    return SimpleNamespace(
        **{
            "id": id_,
            "price_list": price_list,
            "state": BatchState.PUBLISHED,
            "mode": BatchMode.REPLACE,
            "version": 1,
            "checksum": None,
            "label": "spring",
            "submitted_by": "anonymous",
            "created_at": NOW,
            "finished_at": None,
            "findings": (finding,),
            "summary": SimpleNamespace(added=3, removed=0, changed=1, unchanged=2),
            "error_report": SimpleNamespace(id="report", count=3),
            "error_count": 3,
            "received": 4,
            "stored": 3,
            "expected": None,
            "revision": 3,
            **more,
        }
    )


def snapshot(price_list: str, version: int, **more: Any) -> Record:
    return SimpleNamespace(
        **{
            "price_list": price_list,
            "version": version,
            "size": 5,
            "state": "PUBLISHED",
            "created_at": NOW,
            "published_at": NOW if version > 1 else None,
            "label": None,
            "batch": f"batch-{version}",
            "layer_ids": (f"{price_list}-{version}",),
            **more,
        }
    )


def price_list(name: str, current: int | None, **more: Any) -> Record:
    gates = SimpleNamespace(
        max_shrink_percent=Decimal("12.5"),
        max_changed_percent=None,
        max_price_change_percent=None,
        allowed_currencies=("EUR", "CHF"),
        min_size=3,
    )
    return SimpleNamespace(
        **{
            "name": name,
            "description": None,
            "current_version": current,
            "pin": SimpleNamespace(version=1, reason="sale", by="ops", at=NOW),
            "gates": gates,
            "retention": SimpleNamespace(versions=30, days=7),
            "revision": 3,
            **more,
        }
    )


def event(list_name: str, revision: int, **more: Any) -> Record:
    return SimpleNamespace(
        **{
            "price_list": list_name,
            "revision": revision,
            "kind": EventKind.PUBLISHED,
            "at": NOW,
            "by": "anonymous",
            "reason": None,
            "from_version": None,
            "to_version": revision,
            "batch": f"batch-{revision}",
            **more,
        }
    )


_FAULTY_PRICE = SimpleNamespace(sku=None, amount="1.00", currency=7, tiers=[None], valid_from="today", attributes=None)

_FAULTY_RETENTION = SimpleNamespace(versions="all", days=None)

LISTS = {
    "retail": price_list("retail", 2),
    "empty": price_list("empty", None, pin=None),
    "faulty": price_list(
        "faulty",
        1,
        pin=SimpleNamespace(version="one", reason=None, by="ops"),
        gates=None,
        retention=SimpleNamespace(versions="all", days=None),
    ),
}
SNAPSHOTS = {
    ("retail", 1): snapshot("retail", 1),
    ("retail", 2): snapshot("retail", 2),
    ("faulty", 1): snapshot("faulty", 1, size=2**40, state="LOST", created_at=None, batch="batch-faulty"),
}
PRICES: dict[str, list[Record]] = {
    "retail-1": [price(number) for number in range(3)],
    "retail-2": [price(number) for number in range(5)],
    "faulty-1": [price(0), _FAULTY_PRICE, price(1)],
}
BATCHES = {
    "batch-1": batch("batch-1", "retail"),
    "batch-2": batch("batch-2", "retail", version=2, revision=None, state=BatchState.HELD),
    "batch-faulty": batch("batch-faulty", "faulty", state="NO_STATE", findings=[None], summary=7, received=None),
}
EVENTS = {
    "retail": [event("retail", revision) for revision in (3, 2, 1)],
    "faulty": [event("faulty", 1, kind=None, at="never"), event("faulty", 2, batch="batch-faulty")],
}


class _View:
    """Has `retail` in memory, and loads the others."""

    is_private = False

    def known(self, name: str) -> Record:
        return LISTS[name] if name == "retail" else None

    def known_current(self, name: str) -> Record:
        return SNAPSHOTS["retail", 2] if name == "retail" else None

    async def find(self, name: str) -> Record:
        return LISTS.get(name)

    async def current(self, name: str) -> Record:
        found = LISTS.get(name)
        if found is None:
            raise PriceListNotFound(name)
        return None if found.current_version is None else await self.version(name, found.current_version)

    async def version(self, name: str, version: int) -> Record:
        if (name, version) not in SNAPSHOTS:
            raise SnapshotNotFound(name, version)
        return SNAPSHOTS[name, version]

    async def as_of(self, name: str, instant: datetime.datetime) -> Record:
        return await self.version(name, 1 if instant < NOW else 2) if name in LISTS else None


def _page(records: Sequence[Record], size: int) -> Page[Record]:
    return Page(records[:size], len(records) > size, has_previous=False)


class _Pages:
    async def prices(self, snapshot: Record, window: Window[str]) -> Page[Record]:
        return _page(PRICES[snapshot.layer_ids[0]], window.size)

    async def price_lists(self, size: int, _after: Any, _lists: Any) -> Page[Record]:
        return _page([*LISTS.values()], size)

    async def snapshots(self, name: str, size: int, _after: Any) -> Page[Record]:
        return _page([record for key, record in SNAPSHOTS.items() if key[0] == name], size)

    async def events(self, name: str, size: int, _after: Any) -> Page[Record]:
        return _page(EVENTS.get(name, []), size)

    async def exposures(self, name: str, _version: int) -> list[Record]:
        return [SimpleNamespace(from_=NOW, until=None, event=event) for event in EVENTS.get(name, [])]

    async def batches(self, _price_list: Any, _state: Any, size: int, _after: Any, _lists: Any) -> Page[Record]:
        return _page([*BATCHES.values()], size)

    async def count_price_lists(self, _lists: Any) -> int:
        return len(LISTS)

    async def count_snapshots(self, _name: str) -> int:
        return len(SNAPSHOTS)

    async def count_batches(self, _price_list: Any, _state: Any, _lists: Any) -> int:
        return len(BATCHES)


class RecordingLoader(Loader[Any, Any]):
    """A loader that calls a function for each key, and records the keys of each batch."""

    def __init__(self, found: Any) -> None:
        super().__init__(self._load)
        self._found = found
        self.calls: list[list[Any]] = []

    async def _load(self, keys: Iterable[Any]) -> list[Any]:
        keys = [*keys]
        self.calls.append(keys)
        return [self._found(key) for key in keys]


class _Prices:
    """Has `sku-0` in memory, and loads the others."""

    def __init__(self) -> None:
        self.loader = RecordingLoader(_price)

    def cached(self, snapshot: Record, sku: str) -> Record:
        return PRICES[snapshot.layer_ids[0]][0] if sku == "sku-0" else MISSING

    def cached_many(self, snapshot: Record, skus: Sequence[str]) -> Record:
        found = [self.cached(snapshot, sku) for sku in skus]
        return None if MISSING in found else found

    async def load(self, snapshot: Record, sku: str) -> Record:
        return await self.loader.load((snapshot.layer_ids[0], sku))

    async def load_many(self, snapshot: Record, skus: Sequence[str]) -> list[Record]:
        return await self.loader.load_many([(snapshot.layer_ids[0], sku) for sku in skus])


class _Selections:
    async def page(self, snapshot: Record, _selection: Any, window: Window[Any]) -> Page[Record]:
        return _page(PRICES[snapshot.layer_ids[0]][::-1], window.size)

    async def count(self, _snapshot: Record, _selection: Any) -> int:
        return 2


class _Diffs:
    """Differences between versions; that of `faulty` with itself has invalid prices."""

    async def page(self, before: Record, after: Record, window: Window[str]) -> Page[Record]:
        old, new = (PRICES[each.layer_ids[0]] for each in (before, after))
        diffs = [
            SimpleNamespace(sku=price.sku, change=ChangeKind.ADDED, versions=(before, after), before=None, after=price)
            for price in new[len(old) - 1 :]
        ]
        return _page(
            [*diffs, SimpleNamespace(sku="gone", change="LOST", versions=(before, after), before=old[0], after=None)],
            window.size,
        )

    async def summary(self, before: Record, after: Record) -> Record:
        return SimpleNamespace(added=after.version, removed=None if before is after else 1, changed=0, unchanged=2)


def _timelines(key: tuple[str, Between | DaysBefore, str]) -> Record:
    name, window, sku = key
    try:
        since = window.start(NOW)
    except InvalidArgument as error:
        return error
    past = SNAPSHOTS[name, 1]
    until = None if name == "retail" else cast("Any", 7)
    prices = (None, price(3), price(1))
    periods = [PricePeriod(NOW, until, past, each) for each in prices]
    return Timelines(since, {sku: periods}, complete=True)


class _Timelines:
    def __init__(self) -> None:
        self.loader = RecordingLoader(_timelines)

    async def load(self, price_list: str, window: Between | DaysBefore, sku: str) -> Record:
        return await self.loader.load((price_list, window, sku))


def _history(key: tuple[str, int, str, int]) -> list[Record]:
    name, version, sku, count = key
    past = SNAPSHOTS[name, 1]
    changes = [SimpleNamespace(snapshot=past, price=price(number)) for number in range(version)]
    return [*changes, SimpleNamespace(snapshot=past, price=None)][:count] if sku else []


def _price(key: tuple[str, str]) -> Record:
    layer, sku = key
    if sku == "boom":
        return ValueError("The shelf is on fire.")
    return next((record for record in PRICES[layer] if record.sku == sku), None)


def _item_errors(key: tuple[str, str, int, int]) -> list[Record]:
    batch_id, _, start, end = key
    count = "many" if batch_id == "batch-faulty" else 3
    error = {"sku": None, "field": "amount", "line": 2, "code": "BAD", "message": "No amount."}
    return [SimpleNamespace(index=count, **error) for _ in range(3)][start:end]


def _served(key: tuple[str, int]) -> Record:
    return SimpleNamespace(by=key[1], of=None if key[1] > 2 else 3)


class Loaders:
    """The loaders of one request."""

    def __init__(self) -> None:
        self.prices = _Prices()
        self.batches = RecordingLoader(BATCHES.get)
        self.part_numbers = RecordingLoader(lambda id_: [1, "two"] if id_ == "batch-faulty" else [1, 2])
        self.item_errors = RecordingLoader(_item_errors)
        self.served = RecordingLoader(_served)
        self.pages = _Pages()
        self.selections = _Selections()
        self.histories = RecordingLoader(_history)
        self.timelines = _Timelines()
        self.diffs = _Diffs()
        self.view = _View()


def context() -> Any:
    """A context for one request."""
    return Context(
        store=cast("Any", None),
        pointers=cast("Any", None),
        loaders=cast("Any", Loaders()),
        caller=Caller("anybody", EVERYTHING),
    )
