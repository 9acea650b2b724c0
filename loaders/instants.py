"""What a request reads as of instants, and whether its answers can still change."""

import datetime

from loaders.dataloaders import MoveByInstantLoader, ServerTimeLoader
from storage import Store

SETTLED_AFTER = datetime.timedelta(seconds=60)
"""An instant is settled when it is this long past: a transaction may commit with an earlier time until then.

A transaction lives at most a minute. The clocks of the members must not differ by more than that.
"""


class Instants:
    """The instants of a request, by the time of the database, which is read once.

    `are_settled` is False once a version was looked up at an instant that is not settled. `versions` are those that
    were found, by list and instant; 0 where the list had none.
    """

    def __init__(self, store: Store) -> None:
        self._time = ServerTimeLoader(store)
        self._moves = MoveByInstantLoader(store)
        self.are_settled = True
        self.versions: dict[str, int] = {}

    async def now(self) -> datetime.datetime:
        """Return the time of the database when the request first asked for it."""
        return await self._time.load(())

    async def version(self, name: str, instant: datetime.datetime) -> int | None:
        """Return the version of a list that was current at an instant; None before the first, and in the future."""
        now = await self.now()
        self.are_settled = self.are_settled and instant < now - SETTLED_AFTER
        move = await self._moves.load((name, instant)) if instant <= now else None
        version = move.to_version if move else None
        self.versions[f"{name}@{instant.isoformat()}"] = version or 0
        return version
