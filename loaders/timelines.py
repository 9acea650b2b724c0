"""Timelines of prices by (list, window, sku): all skus with the same window in one look-up."""

import asyncio
import datetime
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from loaders.cache.version_reader import read_again
from loaders.dataloaders import batch_load
from loaders.instants import Instants
from storage import InvalidArgument, LookUpBudget, Store, Timelines

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


Window = Between | DaysBefore
"""The time that a timeline covers."""


class _Batch:
    """Skus of one list and window that are collected to be loaded together, and the task that loads them."""

    def __init__(self) -> None:
        self.skus: dict[str, None] = {}
        self.load: asyncio.Task[Timelines]


class TimelineLoader:
    """Loads the timelines of one request."""

    def __init__(self, store: Store, instants: Instants) -> None:
        self._timelines = store.price_timelines
        self._instants = instants
        self._budget = LookUpBudget()
        self._batches: dict[tuple[str, Window], _Batch] = {}
        self._loaded: dict[tuple[str, Window], Timelines] = {}

    async def load(self, price_list: str, window: Window, sku: str) -> Timelines:
        """Return timelines among which is that of a sku. Raises `InvalidArgument`, `ScanLimit`, `Corrupt`."""
        key = price_list, window
        loaded = self._loaded.get(key)
        if loaded is not None and sku in loaded.periods:
            return loaded
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch()
            batch.load = asyncio.create_task(self._load(price_list, window, batch))
            batch.load.add_done_callback(_retrieve_error)
        batch.skus[sku] = None
        return await asyncio.shield(batch.load)

    async def _load(self, price_list: str, window: Window, batch: _Batch) -> Timelines:
        now = await self._instants.now()  # meanwhile, tasks that are ready to run add their skus
        del self._batches[price_list, window]
        since, skus = window.start(now), list(batch.skus)
        found = []
        with batch_load("TimelineLoader", len(skus)):
            for start in range(0, len(skus), MAX_TIMELINE_SKUS):
                some = skus[start : start + MAX_TIMELINE_SKUS]
                read = partial(self._timelines.find, price_list, some, since, window.until, self._budget)
                found.append(await read_again(price_list, "a timeline", read))
        loaded = self._loaded[price_list, window] = _joined(found)
        return loaded


def _joined(timelines: Sequence[Timelines]) -> Timelines:
    if len(timelines) == 1:
        return timelines[0]
    periods = {sku: periods for each in timelines for sku, periods in each.periods.items()}
    return Timelines(timelines[0].since, periods, complete=all(each.complete for each in timelines))


def _check_past(argument: str, given: datetime.datetime | None, now: datetime.datetime) -> None:
    if given is not None and given > now:
        raise InvalidArgument(f"`{argument}` is in the future: it is {now.isoformat()} now.", path=(argument,))


def _retrieve_error(task: asyncio.Task[Timelines]) -> None:
    if not task.cancelled():
        task.exception()  # marks it as retrieved if every caller was cancelled
