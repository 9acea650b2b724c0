"""The moves that timelines follow, in memory: the newest of each list, up to the revision that is read now."""

import datetime
from dataclasses import dataclass, field
from typing import NamedTuple

from loaders.lru import LRU
from storage import MAX_MOVES, Manifests, Moves, Store

MAX_LIST_MOVES = MAX_MOVES
"""Moves of one list that are kept in memory. Windows that begin before these are read from the database."""

MAX_CACHED_MOVES = 20_000
"""Moves that a process keeps in memory, of all lists: with the manifests of their versions, some 50 MB."""

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
    """The cached moves of a process."""

    def __init__(self, store: Store) -> None:
        self._timelines = store.price_timelines
        self._moves = store.moves
        self._lists: LRU[str, _ListMoves] = LRU(MAX_CACHED_MOVES, lambda _, each: each.weight)

    async def within(
        self, price_list: str, revision: int, since: datetime.datetime, until: datetime.datetime | None
    ) -> WindowMoves:
        """Return the moves of a window, up to a revision of the pointer."""
        known = self._lists.get(price_list)
        if known is None or known.revision != revision:
            newest = await self._moves.within(price_list, _FIRST_INSTANT, None, MAX_LIST_MOVES, to_revision=revision)
            known = _ListMoves(revision, newest)
            self._lists.put(price_list, known)
        if known.cover(since):
            return WindowMoves(known.moves.between(since, until), known.manifests)
        return WindowMoves(await self._timelines.moves(price_list, since, until, to_revision=revision), {})
