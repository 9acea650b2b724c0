"""The switch of a process to changed pointers: in their order, once the published versions are warm or time is up."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from loaders.cache.warmer import Warmer
from storage import PriceList

log = logging.getLogger("pricebook.warming")

MAX_SWITCH_DELAY_SECONDS = 2.0
"""How long published versions are warmed before the process switches to them even if they are still cold."""


class _Warming(NamedTuple):
    """The warming of a version."""

    version: int | None
    task: asyncio.Task[None]


class PointerSwitch:
    """Switches a process to changed pointers, so that all lists are always served as they were at one moment.

    A change that publishes versions waits until they are warm, and later changes of versions wait behind it; those
    that arrive meanwhile become one change. A change that makes an earlier version current, or none, waits for nothing:
    all that waits is served with it, cold. One that leaves the versions as they are is served at once, unless its list
    waits. `serve` is called with the pointers to turn to together; `served` returns that of a list, or None.
    """

    def __init__(
        self,
        warmer: Warmer,
        served: Callable[[str], PriceList | None],
        serve: Callable[[Sequence[PriceList]], None],
    ) -> None:
        self._warmer = warmer
        self._served = served
        self._serve = serve
        self._warmed: dict[str, PriceList] = {}
        """The pointers that are served next, by list."""
        self._waiting: dict[str, PriceList] = {}
        """Those that are served after them."""
        self._deadline = 0.0
        self._warmings: dict[str, _Warming] = {}
        self._task: asyncio.Task[None] | None = None

    def follow(self, pointers: Sequence[PriceList]) -> None:
        """Switch to pointers of one moment, as far as they are newer than those that are known."""
        newer = [pointer for pointer in pointers if self._is_newer(pointer)]
        if not newer:
            return
        if any(self._goes_back(pointer) for pointer in newer):
            self.follow_now(newer)
        elif self._is_free(newer):
            self._serve(newer)
        else:
            self._wait_for(newer)

    def follow_now(self, pointers: Sequence[PriceList]) -> None:
        """Switch to pointers of one moment at once, and to all that wait."""
        newer = [pointer for pointer in pointers if self._is_newer(pointer)]
        changes = {**self._warmed, **self._waiting, **{pointer.name: pointer for pointer in newer}}
        self._warmed, self._waiting = {}, {}
        if self._task:
            self._task.cancel()
            self._task = None
        for pointer in changes.values():
            warming = self._warmings.pop(pointer.name, None)
            if warming and warming.version != pointer.current_version:
                warming.task.cancel()
        if changes:
            self._serve([*changes.values()])

    def cancel(self) -> None:
        """Stop warming and switching."""
        if self._task:
            self._task.cancel()
        for warming in self._warmings.values():
            warming.task.cancel()

    def _known(self, name: str) -> PriceList | None:
        """Return the newest pointer of a list, which may still wait."""
        return self._waiting.get(name) or self._warmed.get(name) or self._served(name)

    def _is_newer(self, pointer: PriceList) -> bool:
        known = self._known(pointer.name)
        return known is None or pointer.revision > known.revision

    def _goes_back(self, pointer: PriceList) -> bool:
        """Whether another version becomes current that is not new, or none."""
        known = self._known(pointer.name)
        moves = known is not None and pointer.current_version != known.current_version
        return moves and pointer.current_version != pointer.published_version

    def _is_free(self, pointers: Sequence[PriceList]) -> bool:
        """Whether pointers need not wait: no version is to be warmed, and no earlier change of a version waits."""
        if not self._warmed and not self._waiting:
            return not any(self._is_to_warm(pointer) for pointer in pointers)
        for pointer in pointers:
            served = self._served(pointer.name)
            if served is not self._known(pointer.name):
                return False
            if pointer.current_version != (served.current_version if served else None):
                return False
        return True

    def _is_to_warm(self, pointer: PriceList) -> bool:
        served = self._served(pointer.name)
        return (
            served is not None
            and served.published_version < pointer.published_version == pointer.current_version
            and self._warmer.is_read(pointer.name)
        )

    def _wait_for(self, pointers: Sequence[PriceList]) -> None:
        if not self._waiting:
            self._deadline = asyncio.get_running_loop().time() + MAX_SWITCH_DELAY_SECONDS
        for pointer in pointers:
            self._waiting[pointer.name] = pointer
            if pointer.name not in self._warmed:
                self._warm(pointer)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="switch of pointers")

    def _warm(self, pointer: PriceList) -> None:
        """Start to warm the version of a pointer, unless it is being warmed."""
        known = self._warmings.get(pointer.name)
        if known and known.version == pointer.current_version:
            return
        if known:
            known.task.cancel()
        if self._is_to_warm(pointer):
            self._warmings[pointer.name] = _Warming(pointer.current_version, self._warmer.start(pointer))

    async def _run(self) -> None:
        while self._waiting:
            deadline = self._deadline
            self._warmed, self._waiting = self._waiting, {}
            try:
                await self._until_warm(deadline)
            except Exception:  # the versions are served without
                log.exception("Warming new versions failed.")
            changes, self._warmed = self._warmed, {}
            try:
                self._serve([*changes.values()])
            except Exception:
                log.exception("Switching to new versions failed.")
        self._task = None

    async def _until_warm(self, deadline: float) -> None:
        """Return when the versions that are served next are warm, or at the deadline."""
        for pointer in self._warmed.values():
            self._warm(pointer)
        tasks = [self._warmings[name].task for name in self._warmed if name in self._warmings]
        if tasks:
            remaining = deadline - asyncio.get_running_loop().time()
            await asyncio.wait(tasks, timeout=max(0.0, remaining))
        for name in self._warmed:
            if name in self._warmings and self._warmings[name].task.done():
                del self._warmings[name]
