"""A transaction takes effect as a whole or not at all, and leaves nothing locked."""

import asyncio
from typing import Any

import pymongo
import pytest
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from storage import Store
from storage.mongodb import transaction
from storage.mongodb.connection import Document
from storage.mongodb.transaction import in_transaction
from tests.storage.factories import create


async def test_a_transaction_whose_deadline_is_over_is_aborted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)
    sessions: list[Any] = []

    async def write_until_the_deadline(session: AsyncClientSession) -> None:
        sessions.append(session.session_id["id"])
        changes = {"$inc": {"compactions": 1}}
        await store.db["price_lists"].update_one({"_id": "retail"}, changes, session=session)
        await asyncio.sleep(0.6)
        await store.price_lists.get("retail", session)

    monkeypatch.setattr(transaction, "deadline", lambda _: pymongo.timeout(0.5))
    with pytest.raises(PyMongoError):
        await in_transaction(store.client, write_until_the_deadline)
    stages: list[Document] = [
        {"$currentOp": {"allUsers": True, "idleSessions": True}},
        {"$match": {"lsid.id": {"$in": sessions}, "transaction": {"$exists": True}}},
    ]
    assert await (await store.client.admin.aggregate(stages)).to_list() == [], "what it wrote is no longer locked"
