"""A transaction takes effect as a whole or not at all, and leaves nothing locked."""

import asyncio

import pymongo
import pytest
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from storage import Store
from storage.mongodb import transaction
from storage.mongodb.transaction import in_transaction
from tests.storage.factories import create


async def test_a_transaction_whose_deadline_is_over_releases_what_it_wrote(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    lists = store.db["price_lists"]

    async def write(session: AsyncClientSession) -> None:
        await lists.update_one({"_id": "retail"}, {"$inc": {"compactions": 1}}, session=session)

    def expired(_: object) -> object:
        return pymongo.timeout(0.2)

    monkeypatch.setattr(transaction, "deadline", expired)

    async def write_until_the_deadline(session: AsyncClientSession) -> None:
        await write(session)
        await asyncio.sleep(0.25)
        await lists.find_one({"_id": "retail"}, session=session)

    with pytest.raises(PyMongoError):
        await in_transaction(store.client, write_until_the_deadline)
    monkeypatch.undo()
    await in_transaction(store.client, write)
    assert (await store.price_lists.get("retail")).compactions == 1
