"""The moves that timelines follow, in memory: each list's up to the revision of its pointer that is read now."""

import datetime
from dataclasses import dataclass, field
from typing import NamedTuple

from loaders.lru import LRU
from storage import Manifests, Moves, Store

MAX_LIST_MOVES = 1000
"""Moves of a list that is kept in memory. Of others, the moves of each window are read from the database."""

MAX_CACHED_MOVES = 5000
"""Moves that a process keeps in memory, of all lists; the manifest of a version takes a few kilobytes."""

_FIRST_INSTANT = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class WindowMoves(NamedTuple):
    """The moves of a window, and the manifests of versions that are known so far."""

    moves: Moves
    manifests: Manifests


@dataclass(frozen=True, slots=True)
class _ListMoves:
    """All moves of a list up to a revision; None if there are too many. A manifest stays as it is at a revision."""

    revision: int
    moves: Moves | None
    manifests: Manifests = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return len(self.moves.later) + 1 if self.moves else 1


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
        if known is None or (known.moves and known.revision != revision):
            known = await self._read(price_list, revision)
            self._lists.put(price_list, known)
        if known.moves is None:
            return WindowMoves(await self._timelines.moves(price_list, since, until, to_revision=revision), {})
        return WindowMoves(known.moves.between(since, until), known.manifests)

    async def _read(self, price_list: str, revision: int) -> _ListMoves:
        limit = MAX_LIST_MOVES + 1
        moves = await self._moves.within(price_list, _FIRST_INSTANT, None, limit, to_revision=revision)
        return _ListMoves(revision, moves if len(moves.later) <= MAX_LIST_MOVES else None)
