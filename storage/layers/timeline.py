"""What a price list showed when: the prices of skus by the moves of its pointer, rollbacks included."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import msgspec

from storage.catalog.events import Event
from storage.catalog.moves import MoveRepository, Moves
from storage.catalog.snapshots import Snapshot, SnapshotRepository, SnapshotState
from storage.errors import ScanLimit
from storage.fair_yield import yield_to_loop
from storage.layers.version_prices import LayerPriceReader, LayerPrices, VersionPrices
from storage.mongodb.documents import raise_if_unreadable
from storage.prices.price import Price, same_row

MAX_MOVES = 10_000
"""Moves of a pointer that a timeline may follow: 30 days of a change every five minutes."""

MAX_LOOK_UPS = 100_000
"""Prices that the timelines of one request may look up: skus times moves."""

MAX_PERIODS = 100_000
"""Periods that the timelines of one request may return."""

PERIODS_PER_STEP = 50
"""Periods whose layers are held in memory at once."""

Manifests = dict[int, Snapshot | None]
"""Manifests by version; None for a version that has expired."""


class PricePeriod(msgspec.Struct, gc=False):
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
    """The periods of some skus by sku, oldest first, in a window from `since` on.

    The first period begins when its version became current, which may be before the window; the last one
    ends at the latest with the window. Periods of expired versions are missing. `complete` is False if any are,
    or if the list had no version at the start.
    """

    since: datetime.datetime
    periods: Mapping[str, Sequence[PricePeriod]]
    complete: bool

    def clipped(self, sku: str) -> Sequence[PricePeriod]:
        """Return the periods of a sku within the window."""
        periods = self.periods[sku]
        if not periods or periods[0].from_ >= self.since:
            return periods
        return [msgspec.structs.replace(periods[0], from_=self.since), *periods[1:]]

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
    """The look-ups, and the periods to return, that the timelines of one request have left."""

    def __init__(self, left: int = MAX_LOOK_UPS) -> None:
        self._left = left
        self._periods_left = MAX_PERIODS

    def spend(self, moves: Moves, skus: int) -> None:
        """Subtract the look-ups of timelines of as many skus. Raises `ScanLimit`."""
        self._left -= len(moves.later) * skus
        if len(moves.later) > MAX_MOVES or self._left < 0:
            raise ScanLimit(
                f"The current version of {moves.price_list!r} changed too often for this timeline: "
                f"at most {MAX_MOVES:,} times, and all timelines of a request follow at most {MAX_LOOK_UPS:,} changes, "
                "each counted once for each sku. Request a shorter period, or fewer skus."
            )

    def spend_periods(self, periods: int) -> None:
        """Subtract periods that are returned, also those of a look-up that was paid for. Raises `ScanLimit`."""
        self._periods_left -= periods
        if self._periods_left < 0:
            raise ScanLimit(
                f"The timelines of this request have more than {MAX_PERIODS:,} periods. Request shorter periods, or "
                "fewer timelines."
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

    async def moves(
        self,
        price_list: str,
        since: datetime.datetime,
        until: datetime.datetime | None,
        *,
        to_revision: int | None = None,
        to: datetime.datetime | None = None,
    ) -> Moves:
        """Return the moves that timelines from `since` to before `until` follow, or to the last one if it is None.

        Only those up to a revision and an instant, if these are given. A `LookUpBudget` refuses too many of them.
        """
        limit = MAX_MOVES + 1
        return await self._moves.within(price_list, since, until, limit, to_revision=to_revision, to=to)

    async def find(self, moves: Moves, skus: Sequence[str], manifests: Manifests) -> Timelines:
        """Return the timelines of some skus by the moves. The manifests that are read are added to `manifests`.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        price_list, since, until = moves.price_list, moves.since, moves.until
        begun = [*([moves.in_force] if moves.in_force else []), *moves.later]
        periods = list(_version_periods(begun, until)) if until is None or since < until else []
        traces = _Traces(skus)
        prices = VersionPrices(self._layer_prices)
        for start in range(0, len(periods), PERIODS_PER_STEP):
            step = periods[start : start + PERIODS_PER_STEP]
            readable = await self._readable(price_list, {period.version for period in step}, manifests)
            await prices.look_up(readable.values(), skus)
            for period in step:
                snapshot = readable.get(period.version)
                if snapshot is None:
                    traces.skip(period)
                else:
                    traces.visit(period, snapshot, prices.stack(snapshot))
                await yield_to_loop()
        traces.end(until)
        return Timelines(since, traces.periods, complete=moves.in_force is not None and not traces.has_gaps)

    async def _readable(self, price_list: str, versions: set[int], manifests: Manifests) -> dict[int, Snapshot]:
        """Return the manifests of those versions that have not expired."""
        known = {each: manifests[each] for each in versions if each in manifests}
        missing = [(price_list, each) for each in versions if each not in known]
        if missing:
            for key, found in zip(missing, await self._snapshots.get_many(missing), strict=True):
                snapshot = raise_if_unreadable(found)
                is_readable = snapshot is not None and snapshot.state is not SnapshotState.RETIRED
                known[key[1]] = manifests[key[1]] = snapshot if is_readable else None
        return {version: snapshot for version, snapshot in known.items() if snapshot}


class _Traces:
    """Follows some skus from period to period, oldest first."""

    def __init__(self, skus: Sequence[str]) -> None:
        self.periods: dict[str, list[PricePeriod]] = {sku: [] for sku in skus}
        self.has_gaps = False
        self._open: dict[str, PricePeriod] = {}
        self._before: tuple[Snapshot, Sequence[LayerPrices]] | None = None

    def visit(self, period: _VersionPeriod, snapshot: Snapshot, stack: Sequence[LayerPrices]) -> None:
        """Follow the skus into the next period."""
        begun, periods, begin = self._open, self.periods, period.from_
        open_, only = begun.get, stack[0].get if len(stack) == 1 else None
        for sku in self._changed(snapshot, stack):
            if only:
                price = only(sku)
            else:
                price = None
                for prices in stack:  # as `visible_price`: this loop is nearly all that a timeline takes
                    if sku in prices:
                        price = prices[sku]
                        break
            before = open_(sku)
            if before is not None:
                old = before.price
                if old is price or (old == price and same_row(old, price)):
                    continue
                before.until = begin
            begun[sku] = added = PricePeriod(begin, None, snapshot, price)
            periods[sku].append(added)
        self._before = snapshot, stack

    def skip(self, period: _VersionPeriod) -> None:
        """Skip the next period, whose version has expired."""
        self.end(period.from_)
        self.has_gaps = True

    def end(self, until: datetime.datetime | None) -> None:
        """End all periods."""
        for last in self._open.values():
            last.until = until
        self._open.clear()
        self._before = None

    def _changed(self, snapshot: Snapshot, stack: Sequence[LayerPrices]) -> Iterable[str]:
        """Return the skus whose prices may differ from those of the version before: those in layers of one of them."""
        if self._before is None:
            return self.periods
        before, before_stack = self._before
        shared = 0
        for one, other in zip(reversed(before.layers), reversed(snapshot.layers), strict=False):
            if one.id != other.id:
                break
            shared += 1
        if not shared:
            return self.periods
        own = (*before_stack[: len(before_stack) - shared], *stack[: len(stack) - shared])
        return own[0] if len(own) == 1 else {sku for prices in own for sku in prices}


def _version_periods(moves: Sequence[Event], until: datetime.datetime | None) -> Iterator[_VersionPeriod]:
    """Yield the periods between moves. A version that was current for less than a millisecond has none."""
    for move, following in pairwise([*moves, None]):
        end = until if following is None else following.at
        if move is not None and move.to_version is not None and move.at != end:
            yield _VersionPeriod(move.to_version, move.at, end)
