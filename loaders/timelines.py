"""Timelines of prices by (list, window, sku): all skus with the same window in one look-up."""

import asyncio
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from loaders.cache.move_cache import MoveCache
from loaders.cache.version_reader import read_again
from loaders.dataloaders import batch_load
from loaders.view import View
from storage import (
    InvalidArgument,
    LayerGone,
    LookUpBudget,
    LowestPrice,
    Manifests,
    Moves,
    PricePeriod,
    Store,
    Timelines,
    yield_to_loop,
)

T = TypeVar("T")

MAX_TIMELINE_SKUS = 1000
"""Skus of one look-up: for each, the layers of a run of versions are held in memory at once."""

MAX_DAYS = 3650
"""Length of a window that is given in days."""

_FIRST_INSTANT = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class Between(NamedTuple):
    """A window from `since` to before `until`; to now if it is None."""

    since: datetime.datetime
    until: datetime.datetime | None

    def start(self, now: datetime.datetime) -> datetime.datetime:
        """Return the start of the window. Raises `InvalidArgument` for a future or an early end."""
        _check_past("until", self.until, now)
        if self.since > (self.until or now):
            end = "`until`" if self.until else f"now, {now.isoformat()}"
            raise InvalidArgument(f"`since` is after {end}. Give an earlier `since`.", path=("since",))
        return self.since


class DaysBefore(NamedTuple):
    """The `days` before an instant; before now if it is None."""

    days: int
    until: datetime.datetime | None

    def start(self, now: datetime.datetime) -> datetime.datetime:
        """Return the start of the window. Raises `InvalidArgument` for a wrong length or a future end."""
        if not 1 <= self.days <= MAX_DAYS:
            raise InvalidArgument(f"`days` must be from 1 to {MAX_DAYS}, not {self.days}.", path=("days",))
        _check_past("before", self.until, now)
        end = self.until or now
        return end - min(datetime.timedelta(self.days), end - _FIRST_INSTANT)


TimeWindow = Between | DaysBefore
"""The time that a timeline covers."""

_Key = tuple[str, TimeWindow, int | None]
"""List, window, and the revision of the pointer that the request follows; None if it does not follow the list."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A future that waits for what is read of the timelines among which is that of a sku."""

    sku: str
    future: asyncio.Future[Any]
    read: Callable[[Timelines], Any]

    def settle(self, timelines: Timelines) -> None:
        """Set the result, or the error of reading it."""
        try:
            result = self.read(timelines)
        except Exception as error:
            self.fail(error)
        else:
            if not self.future.done():
                self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Set an error."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # marks it as retrieved: those that a failed request did not await are no news


class _LookUp:
    """Who waits for skus of one key, which are collected to be looked up together, and the task that does it."""

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []
        self.task: asyncio.Task[None]


class TimelineLoader:
    """Loads the timelines of one request. They end with the version that the `view` of the request follows.

    Each call has a future of its own, so that cancelling one does not cancel those of the same sku.
    """

    def __init__(self, store: Store, moves: MoveCache, view: View) -> None:
        self._timelines = store.price_timelines
        self._moves = moves
        self._view = view
        self._budget = LookUpBudget()
        self._look_ups: dict[_Key, _LookUp] = {}
        self._loaded: dict[_Key, Timelines] = {}

    def periods(self, price_list: str, window: TimeWindow, sku: str) -> asyncio.Future[Sequence[PricePeriod]]:
        """Return the timeline of a sku within a window. Raises `InvalidArgument`, `ScanLimit`, `Corrupt`."""

        def read(timelines: Timelines) -> Sequence[PricePeriod]:
            periods = timelines.clipped(sku)
            self._budget.spend_periods(len(periods))
            return periods

        return self._wait(price_list, window, sku, read)

    def lowest(
        self, price_list: str, window: TimeWindow, sku: str, currency: str
    ) -> asyncio.Future[LowestPrice | None]:
        """Return the lowest amount of a sku in a window. Raises `InvalidArgument`, `ScanLimit`, `Corrupt`."""
        return self._wait(price_list, window, sku, lambda timelines: timelines.lowest(sku, currency))

    def _wait(self, price_list: str, window: TimeWindow, sku: str, read: Callable[[Timelines], T]) -> asyncio.Future[T]:
        key = price_list, window, self._view.followed_revision(price_list)
        waiting = _Waiting(sku, asyncio.get_running_loop().create_future(), read)
        loaded = self._loaded.get(key)
        if loaded is not None and sku in loaded.periods:
            waiting.settle(loaded)
            return waiting.future
        look_up = self._look_ups.get(key)
        if look_up is None:
            look_up = self._look_ups[key] = _LookUp()
            look_up.task = asyncio.create_task(self._look_up(key, look_up))
        look_up.waiting.append(waiting)
        return waiting.future

    async def _look_up(self, key: _Key, look_up: _LookUp) -> None:
        waiting = look_up.waiting
        try:
            try:
                now = await self._view.instants.now()  # meanwhile, others add their skus
            finally:
                del self._look_ups[key]
            timelines = await self._load(key, list(dict.fromkeys(each.sku for each in waiting)), now)
            for each in waiting:
                each.settle(timelines)
                await yield_to_loop()
        except BaseException as error:
            for each in waiting:
                each.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _load(self, key: _Key, skus: Sequence[str], now: datetime.datetime) -> Timelines:
        price_list, window, revision = key
        with batch_load("TimelineLoader", len(skus)):
            since, until = window.start(now), window.until
            if revision is None:
                moves, manifests = await self._timelines.moves(price_list, since, until, to=now), Manifests()
            else:
                moves, manifests = await self._moves.within(price_list, revision, since, until)
            self._budget.spend(moves, len(skus))
            found = []
            for start in range(0, len(skus), MAX_TIMELINE_SKUS):
                read = partial(self._find, moves, skus[start : start + MAX_TIMELINE_SKUS], manifests)
                found.append(await read_again(price_list, "a timeline", read))
        before = self._loaded.get(key)
        loaded = self._loaded[key] = _joined([before, *found] if before else found)
        return loaded

    async def _find(self, moves: Moves, skus: Sequence[str], manifests: Manifests) -> Timelines:
        try:
            return await self._timelines.find(moves, skus, manifests)
        except LayerGone:
            manifests.clear()  # a compaction replaced layers, without another revision
            raise


def _joined(timelines: Sequence[Timelines]) -> Timelines:
    if len(timelines) == 1:
        return timelines[0]
    periods = {sku: periods for each in timelines for sku, periods in each.periods.items()}
    return Timelines(timelines[0].since, periods, complete=all(each.complete for each in timelines))


def _check_past(argument: str, given: datetime.datetime | None, now: datetime.datetime) -> None:
    if given is not None and given > now:
        raise InvalidArgument(f"`{argument}` is in the future: it is {now.isoformat()} now.", path=(argument,))
