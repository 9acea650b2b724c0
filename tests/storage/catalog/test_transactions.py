"""A change whose commit is not acknowledged is reported as it turned out."""

from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from storage import Store, Unavailable, explain
from storage.mongodb import transaction
from storage.mongodb.transaction import in_transaction
from tests.storage.factories import create, current, versions


async def test_a_change_that_was_committed_although_the_answer_was_lost_succeeds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose_answer(*args: Any) -> None:
        await in_transaction(*args)
        raise AutoReconnect("The answer was lost.")

    await versions(store, 2)
    monkeypatch.setattr(transaction, "in_transaction", lose_answer)
    await create(store, "new")
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    assert moved == await store.price_lists.get("retail")
    assert (await store.pointer_moves.unpin("retail", by="ops", reason="x")).pin is None
    edited = await store.price_list_editor.update("retail", "ops", lambda seen: seen)
    assert edited.revision == moved.revision + 2


async def test_a_change_that_was_not_committed_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await versions(store, 2)

    async def abort(client: Any, act: Any) -> None:
        async def abort_after(session: Any) -> None:
            await act(session)
            # Another change takes the revision.
            raise AutoReconnect("The primary died.")

        try:
            await in_transaction(client, abort_after)
        finally:
            await store.db["events"].insert_one(
                {"list": "retail", "revision": 4, "kind": "UPDATED", "format": 1, "by": "other", "at": moment}
            )

    moment = (await store.price_lists.get("retail")).created_at
    monkeypatch.setattr(transaction, "in_transaction", abort)
    with pytest.raises(AutoReconnect):
        await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    assert await current(store) == 2


def test_a_commit_whose_outcome_is_unknown_says_so() -> None:
    error = AutoReconnect("x")
    error._add_error_label("UnknownTransactionCommitResult")
    known = explain(error)
    assert isinstance(known, Unavailable)
    assert "may still take effect" in known.message
    assert "idempotency key" in known.message
    assert "`events`" in known.message
