"""What a price list showed when: the prices of skus by the moves of its pointer, rollbacks included."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from storage.catalog.events import Event
from storage.catalog.moves import MoveRepository
from storage.catalog.snapshots import Snapshot, SnapshotRepository, SnapshotState
from storage.errors import ScanLimit
from storage.fair_yield import yield_to_loop
from storage.layers.version_prices import LayerPriceReader, LayerPrices, VersionPrices, visible_price
from storage.mongodb.documents import raise_if_unreadable
from storage.prices.price import Price, same_row

MAX_MOVES = 1000
"""Moves of a pointer that a timeline may follow."""

MAX_LOOK_UPS = 100_000
"""Prices that the timelines of one request may look up: skus times moves."""

PERIODS_PER_STEP = 50
"""Periods whose manifests and layers are held in memory at once."""


class PricePeriod(NamedTuple):
    """A period in which a list had one price of a sku, from version `snapshot` on; None if it had none.

    `until` is None while the period lasts.
    """

    from_: datetime.datetime
    until: datetime.datetime | None
    snapshot: Snapshot
    price: Price | None


@dataclass(frozen=True, slots=True)
class LowestPrice:
    """The lowest amount of a sku in a window, which the list had from `from_` on, in `version`.

    `complete` is False if the list has no version, or an expired one, for a part of the window.
    """

    amount: Decimal
    currency: str
    version: int
    from_: datetime.datetime
    complete: bool


@dataclass(frozen=True, slots=True)
class Timelines:
    """The periods of some skus by sku, oldest first.

    The first period begins when its version became current, which may be before the start of the timeline; the last
    one ends at the latest with the timeline. Periods of expired versions are missing. `complete` is False if any are,
    or if the list had no version at the start.
    """

    periods: Mapping[str, Sequence[PricePeriod]]
    complete: bool

    def since(self, sku: str, start: datetime.datetime) -> list[PricePeriod]:
        """Return the periods of a sku, of which the first begins at `start` at the earliest."""
        return [period._replace(from_=max(start, period.from_)) for period in self.periods[sku]]

    def lowest(self, sku: str, currency: str) -> LowestPrice | None:
        """Return the lowest amount of a sku in a currency, the earliest of equal ones; None if it has no price."""
        found: tuple[PricePeriod, Price] | None = None
        for period in self.periods[sku]:
            price = period.price
            if price and price.currency == currency and (found is None or price.amount < found[1].amount):
                found = period, price
        if found is None:
            return None
        period, price = found
        return LowestPrice(price.amount, currency, period.snapshot.version, period.from_, self.complete)


class LookUpBudget:
    """The look-ups that the timelines of one request have left."""

    def __init__(self, left: int = MAX_LOOK_UPS) -> None:
        self._left = left

    def spend(self, price_list: str, moves: int, skus: int) -> None:
        """Subtract the look-ups of a timeline. Raises `ScanLimit`."""
        self._left -= moves * skus
        if moves > MAX_MOVES or self._left < 0:
            raise ScanLimit(
                f"The current version of {price_list!r} changed too often for this timeline: at most {MAX_MOVES:,} "
                f"times, and all timelines of a request follow at most {MAX_LOOK_UPS:,} changes, each counted once for "
                "each sku. Request a shorter period, or fewer skus."
            )


@dataclass(frozen=True, slots=True)
class _VersionPeriod:
    """A period in which a version was current."""

    version: int
    from_: datetime.datetime
    until: datetime.datetime | None


class PriceTimelines:
    """Reads timelines of prices."""

    def __init__(self, moves: MoveRepository, snapshots: SnapshotRepository, layer_prices: LayerPriceReader) -> None:
        self._moves = moves
        self._snapshots = snapshots
        self._layer_prices = layer_prices

    async def find(
        self,
        price_list: str,
        skus: Sequence[str],
        since: datetime.datetime,
        until: datetime.datetime | None,
        budget: LookUpBudget,
    ) -> Timelines:
        """Return the timelines of some skus from `since` to before `until`, or up to now if it is None.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`, and `ScanLimit` for more than `MAX_MOVES` or a spent `budget`.
        """
        moves = await self._moves.within(price_list, since, until, MAX_MOVES + 1)
        budget.spend(price_list, len(moves.later), len(skus))
        begun = [*([moves.in_force] if moves.in_force else []), *moves.later]
        periods = list(_version_periods(begun, until)) if until is None or since < until else []
        traces = _Traces(skus)
        prices = VersionPrices(self._layer_prices)
        for start in range(0, len(periods), PERIODS_PER_STEP):
            step = periods[start : start + PERIODS_PER_STEP]
            readable = await self._readable(price_list, {period.version for period in step})
            await prices.look_up(readable.values(), skus)
            for period in step:
                snapshot = readable.get(period.version)
                if snapshot is None:
                    traces.skip(period)
                else:
                    traces.visit(period, snapshot, prices.stack(snapshot))
                await yield_to_loop()
        traces.end(until)
        return Timelines(traces.periods, complete=moves.in_force is not None and not traces.has_gaps)

    async def _readable(self, price_list: str, versions: set[int]) -> dict[int, Snapshot]:
        """Return the manifests of those versions that have not expired."""
        found = map(raise_if_unreadable, await self._snapshots.get_many([(price_list, each) for each in versions]))
        return {each.version: each for each in found if each and each.state is not SnapshotState.RETIRED}


class _Open(NamedTuple):
    """A period that has not ended yet."""

    from_: datetime.datetime
    snapshot: Snapshot
    price: Price | None


class _Traces:
    """Follows some skus from period to period, oldest first."""

    def __init__(self, skus: Sequence[str]) -> None:
        self.periods: dict[str, list[PricePeriod]] = {sku: [] for sku in skus}
        self.has_gaps = False
        self._open: dict[str, _Open] = {}
        self._before: tuple[Snapshot, Sequence[LayerPrices]] | None = None

    def visit(self, period: _VersionPeriod, snapshot: Snapshot, stack: Sequence[LayerPrices]) -> None:
        """Follow the skus into the next period."""
        for sku in self._changed(snapshot, stack):
            price, before = visible_price(stack, sku), self._open.get(sku)
            if before is not None:
                if same_row(before.price, price):
                    continue
                self._close(sku, before, period.from_)
            self._open[sku] = _Open(period.from_, snapshot, price)
        self._before = snapshot, stack

    def skip(self, period: _VersionPeriod) -> None:
        """Skip the next period, whose version has expired."""
        self.end(period.from_)
        self.has_gaps = True

    def end(self, until: datetime.datetime | None) -> None:
        """End all periods."""
        for sku, before in self._open.items():
            self._close(sku, before, until)
        self._open.clear()
        self._before = None

    def _close(self, sku: str, before: _Open, until: datetime.datetime | None) -> None:
        self.periods[sku].append(PricePeriod(before.from_, until, before.snapshot, before.price))

    def _changed(self, snapshot: Snapshot, stack: Sequence[LayerPrices]) -> Iterator[str]:
        """Yield the skus whose prices may differ from those of the version before: those in layers of one of them."""
        if self._before is None:
            return iter(self.periods)
        before, before_stack = self._before
        shared = 0
        for one, other in zip(reversed(before.layers), reversed(snapshot.layers), strict=False):
            if one.id != other.id:
                break
            shared += 1
        if not shared:
            return iter(self.periods)
        own = (*before_stack[: len(before_stack) - shared], *stack[: len(stack) - shared])
        return iter(dict.fromkeys(sku for prices in own for sku in prices))


def _version_periods(moves: Sequence[Event], until: datetime.datetime | None) -> Iterator[_VersionPeriod]:
    """Yield the periods between moves. A version that was current for less than a millisecond has none."""
    for move, following in pairwise([*moves, None]):
        end = until if following is None else following.at
        if move is not None and move.to_version is not None and move.at != end:
            yield _VersionPeriod(move.to_version, move.at, end)
