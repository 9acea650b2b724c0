"""The moves that timelines follow, in memory: the newest of each list, up to the revision that is read now."""

import datetime
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from loaders.lru import LRU
from loaders.single_flight import SingleFlight
from storage import MAX_MOVES, Manifests, Moves, Store

MAX_LIST_MOVES = MAX_MOVES
"""Moves of one list that are kept in memory. Windows that begin before these are read from the database."""

MAX_CACHED_MOVES = 20_000
"""Moves that a process keeps in memory, of all lists: some 35 MB with the manifests of versions of three layers."""

_FIRST_INSTANT = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class WindowMoves(NamedTuple):
    """The moves of a window, and the manifests of versions that are known so far."""

    moves: Moves
    manifests: Manifests


@dataclass(frozen=True, slots=True)
class _ListMoves:
    """The newest moves of a list up to a revision of its pointer, at which the manifests stay as they are."""

    revision: int
    moves: Moves
    manifests: Manifests = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return len(self.moves.later) + 1

    def cover(self, since: datetime.datetime) -> bool:
        """Whether these are all moves from the one in force at an instant on."""
        later = self.moves.later
        return len(later) < MAX_LIST_MOVES or later[0].at <= since


class MoveCache:
    """The cached moves of a process. Concurrent calls for the same revision of a list share one read."""

    def __init__(self, store: Store) -> None:
        self._timelines = store.price_timelines
        self._moves = store.moves
        self._lists: LRU[str, _ListMoves] = LRU(MAX_CACHED_MOVES, lambda _, each: each.weight)
        self._reading: SingleFlight[tuple[str, int], _ListMoves] = SingleFlight("read moves")

    async def within(
        self, price_list: str, revision: int, since: datetime.datetime, until: datetime.datetime | None
    ) -> WindowMoves:
        """Return the moves of a window, up to a revision of the pointer."""
        known = self._lists.get(price_list)
        if known is None or known.revision != revision:
            known = await self._reading.run((price_list, revision), partial(self._read, price_list, revision))
        if known.cover(since):
            return WindowMoves(known.moves.between(since, until), known.manifests)
        return WindowMoves(await self._timelines.moves(price_list, since, until, to_revision=revision), {})

    async def _read(self, price_list: str, revision: int) -> _ListMoves:
        moves = await self._moves.within(price_list, _FIRST_INSTANT, None, MAX_LIST_MOVES, to_revision=revision)
        read = _ListMoves(revision, moves)
        self._lists.put(price_list, read)
        return read
