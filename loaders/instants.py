"""What a request reads as of instants, and whether its answers can still change."""

import datetime
from collections.abc import Mapping

from loaders.dataloaders import MoveByInstantLoader, ServerTimesLoader
from storage import PriceList, Store

SETTLED_AFTER = datetime.timedelta(seconds=120)
"""An instant is settled when a majority of the members has all writes of the time this long after it.

A transaction may commit with an earlier time until then: it lives at most a minute, or little longer until the server
ends it. The clocks of the members may differ by half a minute.
"""


class Instants:
    """The instants of a request, by the time of the database, which is read once.

    `are_settled` is False once a version was looked up at an instant that is not settled. `versions` are those that
    were found, by list and instant; 0 where the list had none.
    """

    def __init__(self, store: Store) -> None:
        self._times = ServerTimesLoader(store)
        self._moves = MoveByInstantLoader(store)
        self.are_settled = True
        self.versions: dict[str, int] = {}

    async def now(self) -> datetime.datetime:
        """Return the time of the database when the request first asked for it."""
        return (await self._times.load(())).now

    async def version(self, name: str, instant: datetime.datetime, followed: Mapping[str, PriceList]) -> int | None:
        """Return the version of a list that was current at an instant; None before the first, and in the future.

        It is never newer than the current version of a request that follows the list. `followed` are these pointers.
        """
        times = await self._times.load(())
        self.are_settled = self.are_settled and instant < times.majority - SETTLED_AFTER
        move = await self._moves.load((name, instant)) if instant <= times.now else None
        version = move.to_version if move else None
        pointer = followed.get(name)
        if move and pointer and move.revision > pointer.revision:
            version, self.are_settled = pointer.current_version, False
        self.versions[f"{name}@{instant.isoformat()}"] = version or 0
        return version
