"""A preview token reads the version of one held batch until it expires, is revoked, or the batch is rejected."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable

import pytest
from pymongo.errors import AutoReconnect

from storage import Batch, BatchNotFound, EventKind, InvalidArgument, Preview, PublishPolicy, Store
from storage.batches import previews
from storage.batches.previews import PreviewNotFound, TooManyPreviews
from storage.errors import BatchNotHeld, BatchSuperseded, UnknownFormat
from storage.mongodb import transaction
from storage.mongodb.transaction import instant
from tests.storage.commands import Commands
from tests.storage.factories import create, held, published, row, submit


def ahead(**length: float) -> datetime.datetime:
    """Return an instant that is this far ahead."""
    return instant() + datetime.timedelta(**length)


async def waiting(store: Store) -> Batch:
    """A batch that waits for an approval as version 2 of `retail`, whose version 1 is current."""
    await create(store)
    await published(store, [row("a")])
    return await submit(store, [row("a", "2")], publish=PublishPolicy.ON_APPROVAL)


async def grant(store: Store, batch: Batch, expires_at: datetime.datetime | None = None) -> str:
    token, _ = await store.previews.grant(batch.id, expires_at or ahead(days=1), by="ops", reason="for the shop")
    return token


async def expire(store: Store) -> None:
    """Let all tokens expire."""
    await store.db["previews"].update_many({}, {"$set": {"expiresAt": ahead(seconds=-1)}})


async def test_a_token_is_found_only_by_its_full_text(store: Store) -> None:
    batch = await waiting(store)
    token, granted = await store.previews.grant(batch.id, ahead(days=30), by="ops", reason="for the shop")
    assert granted.id == batch.id
    assert token.startswith("pbp_")
    assert await store.previews.find(token) == Preview(batch.id, "retail", 2)
    other = await grant(store, batch)
    for wrong in ("", "pbp_", token[:-1], f"{token}x", f"{token}, {token}", token.upper(), token[:20] + other[20:]):
        assert await store.previews.find(wrong) is None, wrong


async def test_it_is_looked_up_in_one_round_trip(watched: tuple[Store, Commands]) -> None:
    store, commands = watched
    token = await grant(store, await waiting(store))
    with commands.counted() as sent:
        await store.previews.find(token)
        await store.previews.find("pbp_x")
    assert [next(iter(command)) for command in sent] == ["aggregate"]


async def test_neither_the_token_nor_a_part_of_it_is_stored(store: Store) -> None:
    token = await grant(store, await waiting(store))
    for collection in await store.db.list_collection_names():
        async for document in store.db[collection].find():
            assert token[4:20] not in repr(document)


async def test_granting_and_revoking_are_events_with_a_reason_and_the_version(store: Store) -> None:
    batch = await waiting(store)
    token = await grant(store, batch)
    await store.previews.revoke(batch.id, by="boss", reason="seen by too many")
    revoked, granted, *_ = await store.events.newest("retail", 5)
    assert (granted.kind, granted.by, granted.reason) == (EventKind.PREVIEW_GRANTED, "ops", "for the shop")
    assert (revoked.kind, revoked.by, revoked.reason) == (EventKind.PREVIEW_REVOKED, "boss", "seen by too many")
    for event in (granted, revoked):
        assert (event.batch, event.version, event.from_version, event.to_version) == (batch.id, 2, 1, 1)
    assert await store.previews.find(token) is None


async def test_revoking_ends_all_tokens_of_the_batch_and_no_other(store: Store) -> None:
    batch = await waiting(store)
    other = await submit(store, [row("a", "3")], publish=PublishPolicy.ON_APPROVAL)
    tokens = [await grant(store, batch), await grant(store, batch)]
    kept = await grant(store, other)
    assert (await store.previews.revoke(batch.id, by="ops", reason="x")).id == batch.id
    assert [await store.previews.find(token) for token in tokens] == [None, None]
    assert await store.previews.find(kept) == Preview(other.id, "retail", 3)


async def test_without_a_valid_token_there_is_nothing_to_revoke(store: Store) -> None:
    batch = await waiting(store)
    revision = (await store.price_lists.get("retail")).revision
    with pytest.raises(PreviewNotFound):
        await store.previews.revoke(batch.id, by="ops", reason="x")
    await grant(store, batch)
    await expire(store)
    with pytest.raises(PreviewNotFound):
        await store.previews.revoke(batch.id, by="ops", reason="x")
    assert (await store.price_lists.get("retail")).revision == revision + 1
    with pytest.raises(BatchNotFound):
        await store.previews.revoke("none", by="ops", reason="x")


async def test_a_token_expires(store: Store) -> None:
    token = await grant(store, await waiting(store))
    await expire(store)
    assert await store.previews.find(token) is None


async def test_the_server_deletes_expired_tokens(store: Store) -> None:
    indexes = await store.db["previews"].index_information()
    assert indexes["expired"]["key"] == [("expiresAt", 1)]
    assert indexes["expired"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize(
    "expires_at",
    [
        pytest.param(lambda: ahead(seconds=-1), id="past"),
        pytest.param(lambda: ahead(days=30, seconds=60), id="too far"),
        pytest.param(lambda: ahead(days=1).replace(tzinfo=None), id="without an offset"),
        pytest.param(lambda: datetime.datetime.max.replace(tzinfo=datetime.UTC), id="last"),
    ],
)
async def test_the_expiry_is_within_the_next_thirty_days(
    store: Store, expires_at: Callable[[], datetime.datetime]
) -> None:
    batch = await waiting(store)
    with pytest.raises(InvalidArgument, match="expiresAt"):
        await grant(store, batch, expires_at())
    assert await store.db["previews"].count_documents({}) == 0


async def test_a_batch_has_a_limited_number_of_valid_tokens(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "MAX_PREVIEWS", 3)
    batch = await waiting(store)
    granted = await asyncio.gather(*(grant(store, batch) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(each, TooManyPreviews) for each in granted) == 3
    await expire(store)
    assert await grant(store, batch)


async def test_an_approved_batch_is_read_by_its_new_number(store: Store) -> None:
    batch = await waiting(store)
    token = await grant(store, batch)
    assert (await published(store, [row("a", "9")])).version == 3
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert approved.version == 4
    assert await store.previews.find(token) == Preview(batch.id, "retail", 4)


async def reject(store: Store, batch: Batch) -> None:
    await store.lifecycle.reject(batch.id, by="ops", reason="x")


async def delete(store: Store, batch: Batch) -> None:
    await store.deleter.delete("retail", by="ops", reason="x", force=True)
    await store.deleter.purge("retail")
    await create(store)


@pytest.mark.parametrize("end", [reject, delete])
async def test_a_batch_that_was_rejected_or_deleted_reads_nothing(
    store: Store, end: Callable[[Store, Batch], Awaitable[None]]
) -> None:
    batch = await waiting(store)
    token = await grant(store, batch)
    await end(store, batch)
    assert await store.previews.find(token) is None


async def test_only_a_held_batch_has_tokens(store: Store) -> None:
    batch = await waiting(store)
    first = await published(store, [row("b")])
    with pytest.raises(BatchNotHeld) as refused:
        await grant(store, first)
    assert (refused.value.code, refused.value.path) == ("BATCH_NOT_HELD", ("input", "batch"))
    await reject(store, batch)
    with pytest.raises(BatchNotHeld):
        await grant(store, batch)
    with pytest.raises(BatchNotFound):
        await store.previews.grant("none", ahead(days=1), by="ops", reason="x")
    assert await store.db["previews"].count_documents({}) == 0


async def test_a_superseded_batch_has_no_token(store: Store) -> None:
    await create(store)
    await published(store, [row("a")])
    older = await held(store, [row("a", "2")])
    await held(store, [row("a", "3")])
    await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    with pytest.raises(BatchSuperseded):
        await grant(store, older)


async def test_an_approval_at_the_same_time_and_a_grant_do_not_both_see_the_batch_held(store: Store) -> None:
    batch = await waiting(store)
    token, approved = await asyncio.gather(
        grant(store, batch), store.lifecycle.approve(batch.id, by="ops", reason="x"), return_exceptions=True
    )
    assert isinstance(approved, Batch)
    if isinstance(token, BaseException):
        assert isinstance(token, BatchNotHeld)
    else:
        kinds = [event.kind for event in await store.events.newest("retail", 2)]
        assert kinds == [EventKind.APPROVED, EventKind.PREVIEW_GRANTED]


async def test_a_commit_that_was_not_acknowledged_still_returns_its_token(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await waiting(store)
    run = transaction.in_transaction

    async def unacknowledged(*arguments: object) -> None:
        await run(*arguments)  # type: ignore[arg-type]
        raise AutoReconnect("lost")

    monkeypatch.setattr(transaction, "in_transaction", unacknowledged)
    assert await store.previews.find(await grant(store, batch))


@pytest.mark.parametrize("reason", ["", " ", "x" * 1001])
async def test_a_reason_is_required(store: Store, reason: str) -> None:
    batch = await waiting(store)
    with pytest.raises(InvalidArgument, match="reason"):
        await store.previews.grant(batch.id, ahead(days=1), by="ops", reason=reason)
    with pytest.raises(InvalidArgument, match="reason"):
        await store.previews.revoke(batch.id, by="ops", reason=reason)


async def test_a_token_of_a_later_release_is_refused(store: Store) -> None:
    token = await grant(store, await waiting(store))
    await store.db["previews"].update_one({}, {"$set": {"format": 99}})
    with pytest.raises(UnknownFormat):
        await store.previews.find(token)
