"""Keeping a version until an instant, whatever retention says: one transaction of the manifest, pointer and event.

The expiration of a version changes its pointer, too, so the two cannot both take effect: the later one sees the other.
"""

import datetime

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.events import EventKind, EventRepository
from storage.catalog.expiration import ExpirationRepository
from storage.catalog.keep import Keep
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.rollback import check_published
from storage.catalog.snapshots import SnapshotRepository
from storage.catalog.transactions import PointerChange, check_reason, commit_pointer_change, event_of
from storage.errors import InvalidArgument, Refused
from storage.mongodb.connection import Client

MAX_KEEP_YEARS = 10
"""Number of years for which a version can be kept from now on."""

_MAX_KEEP = datetime.timedelta(days=MAX_KEEP_YEARS * 366)


class InvalidUntil(InvalidArgument):
    """The instant until which to keep a version has no offset, is over, or is too far ahead."""

    code = "INVALID_UNTIL"

    def __init__(self) -> None:
        super().__init__(
            f"`until` must be an instant with an offset, such as Z, that is still to come and at most {MAX_KEEP_YEARS} "
            "years ahead. Give a later or an earlier one.",
            path=("input", "until"),
        )


class NotKept(Refused):
    """The version that should be kept no longer is not kept until an instant."""

    code = "NOT_KEPT"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} is not kept until an instant. Nothing was changed.")


class VersionKeeper:
    """Keeps versions until an instant."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        expirations: ExpirationRepository,
        events: EventRepository,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._expirations = expirations
        self._events = events

    async def keep(
        self, name: str, version: int, *, until: datetime.datetime | None, by: str, reason: str
    ) -> PriceList:
        """Keep a version `until` an instant, or no longer with None, in the place of what was decided before.

        The time of the database decides whether the instant is still to come. Raises `InvalidUntil`, `NotKept`,
        `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
        """
        check_reason(reason)
        if until is not None and until.tzinfo is None:
            raise InvalidUntil

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            snapshot = await check_published(self._snapshots, name, version, session)
            if until is None and snapshot.keep is None:
                raise NotKept(name, version)
            moved = await self._price_lists.move(price_list, session)
            keep = None if until is None else Keep(_checked(until, moved.moved_at), by, reason, moved.moved_at)
            await self._expirations.set_keep(name, version, keep, session)
            event = event_of(price_list, moved, EventKind.KEPT, by, reason=reason, version=version)
            await self._events.append(event, session)
            return PointerChange(moved, event)

        return await commit_pointer_change(self._client, self._events, act)


def _checked(until: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
    """Return an instant if it is ahead of `now`, but not too far. Raises `InvalidUntil`."""
    if not now < until <= now + _MAX_KEEP:
        raise InvalidUntil
    return until
