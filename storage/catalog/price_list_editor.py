"""Creating price lists and changing their description, gates and retention; each with its event in one transaction."""

from collections.abc import Callable

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.gates import Gates, check_gates
from storage.catalog.price_lists import PriceList, PriceListRepository, check_description, check_name
from storage.catalog.retention import DEFAULT_RETENTION, Retention, check_retention
from storage.catalog.transactions import PointerChange, commit_pointer_change, event_of
from storage.errors import PriceListExists
from storage.mongodb.connection import Client
from storage.mongodb.transaction import instant


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

        Raises `InvalidArgument` for an invalid name, description, gate or retention, and `PriceListExists`.
        """
        check_name(name)
        check_description(description)
        check_gates(gates)
        check_retention(retention)
        now = instant()
        price_list = PriceList(name, description, None, 0, 1, None, now, gates=gates, retention=retention)

        created = PointerChange(price_list, Event(name, 1, EventKind.CREATED, now, by))

        async def act(session: AsyncClientSession) -> PointerChange:
            await self._price_lists.add(price_list, session)
            await self._events.append(created.event, session)
            return created

        try:
            return await commit_pointer_change(self._client, self._events, act)
        except DuplicateKeyError as error:
            raise PriceListExists(name) from error

    async def update(self, name: str, by: str, edit: Callable[[PriceList], PriceList]) -> PriceList:
        """Change the description, gates and retention of a list to those that `edit` returns.

        Raises `PriceListNotFound`, and `InvalidArgument` for an invalid description, gate or retention.
        """

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
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
            event = event_of(price_list, moved, EventKind.UPDATED, by, instant())
            await self._events.append(event, session)
            return PointerChange(moved, event)

        return await commit_pointer_change(self._client, self._events, act)
