"""Creating price lists and changing their description, gates and retention; each with its event in one transaction."""

from collections.abc import Callable

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.gates import Gates, check_gates
from storage.catalog.price_lists import NEVER, PriceList, PriceListRepository, check_description, check_name
from storage.catalog.retention import DEFAULT_RETENTION, Retention, check_retention
from storage.catalog.transactions import PointerChange, commit_pointer_change, event_of
from storage.errors import PriceListExists, Refused
from storage.mongodb.connection import Client


class PriceListBeingRemoved(Refused):
    """The list of this name was deleted, and its versions and batches are still being removed."""

    code = "PRICE_LIST_BEING_REMOVED"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The price list {name!r} was deleted, and its versions are still being removed. Try again in a minute.",
            path=("input", "name"),
        )


class GatesConflict(Refused):
    """The gates of a list are not those that the caller expected."""

    code = "CONFLICT"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The gates of {name!r} are not those that were expected: they were changed meanwhile. Review them and try "
            "again.",
            path=("input", "expectedGates"),
        )


class PriceListEditor:
    """Creates and updates price lists."""

    def __init__(self, client: Client, price_lists: PriceListRepository, events: EventRepository) -> None:
        self._client = client
        self._price_lists = price_lists
        self._events = events

    async def create(
        self, name: str, description: str | None, gates: Gates, by: str, retention: Retention = DEFAULT_RETENTION
    ) -> PriceList:
        """Create a list without a version.

        With the name of a deleted list, versions and revisions go on from where they ended. Raises `InvalidArgument`
        for an invalid name, description, gate or retention, `PriceListExists`, and `PriceListBeingRemoved`.
        """
        check_name(name)
        check_description(description)
        check_gates(gates)
        check_retention(retention)
        price_list = PriceList(name, description, None, 0, 1, None, NEVER, gates=gates, retention=retention)

        async def act(session: AsyncClientSession) -> PointerChange:
            created = await self._add(price_list, session)
            event = Event(name, created.revision, EventKind.CREATED, created.moved_at, by)
            await self._events.append(event, session)
            return PointerChange(created, event)

        try:
            return await commit_pointer_change(self._client, self._events, act)
        except DuplicateKeyError as error:
            raise PriceListExists(name) from error

    async def _add(self, price_list: PriceList, session: AsyncClientSession) -> PriceList:
        """Write a new list, in the place of a deleted one if there is one. Returns it as it is written."""
        earlier = await self._price_lists.find_with_deleted(price_list.name, session)
        if earlier is None:
            return await self._price_lists.create(price_list, session)
        if not earlier.deletion:
            raise PriceListExists(price_list.name)
        if not earlier.deletion.purged:
            raise PriceListBeingRemoved(price_list.name)
        continued = replace(price_list, last_version=earlier.last_version, revision=earlier.revision + 1)
        return await self._price_lists.create(continued, session)

    async def update(
        self, name: str, by: str, edit: Callable[[PriceList], PriceList], expected_gates: Gates | None = None
    ) -> PriceList:
        """Change the description, gates and retention of a list to those that `edit` returns.

        Raises `PriceListNotFound`, `GatesConflict` if the list has other gates than `expected_gates`, and
        `InvalidArgument` for an invalid description, gate or retention.
        """

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            if expected_gates not in (None, price_list.gates):
                raise GatesConflict(name)
            edited = edit(price_list)
            check_description(edited.description)
            check_gates(edited.gates)
            check_retention(edited.retention)
            moved = await self._price_lists.move(
                price_list,
                session,
                description=edited.description,
                gates=edited.gates,
                retention=edited.retention,
            )
            event = event_of(price_list, moved, EventKind.UPDATED, by)
            await self._events.append(event, session)
            return PointerChange(moved, event)

        return await commit_pointer_change(self._client, self._events, act)
