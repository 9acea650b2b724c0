"""API keys are shown once, stored as hashes, and valid until they expire or are revoked."""

from datetime import UTC, datetime, timedelta

import pytest

from storage import ApiKeyNotFound, InvalidArgument, Store, is_api_key
from storage.errors import UnknownFormat

GRANTS = ("prices:read", "batches:write:shop")


async def test_a_key_is_found_only_by_its_full_text(store: Store) -> None:
    made, key = await store.api_keys.create("ada", GRANTS, "ops")
    assert is_api_key(key)
    assert await store.api_keys.find(key) == made
    assert (made.name, made.grants, made.created_by) == ("ada", GRANTS, "ops")
    _, other = await store.api_keys.create("bob", GRANTS, "ops")
    mixed = f"{key[:17]}{other[17:]}"
    for wrong in ("", "pbk", "pbk_", f"pbk_{made.id}", f"pbk_{made.id}_", key[:-1], f"{key}x", mixed, key.upper()):
        assert await store.api_keys.find(wrong) is None, wrong


async def test_the_secret_is_not_stored(store: Store) -> None:
    _, key = await store.api_keys.create("ada", GRANTS, "ops")
    secret = key.split("_", 2)[2]
    async for document in store.db["api_keys"].find():
        assert secret not in repr(document)


async def test_a_revoked_key_is_invalid_and_cannot_be_revoked_again(store: Store) -> None:
    made, key = await store.api_keys.create("ada", GRANTS, "ops")
    revoked = await store.api_keys.revoke(made.id)
    assert revoked.revoked_at is not None
    assert await store.api_keys.find(key) is None
    for key_id in (made.id, "000000000000"):
        with pytest.raises(ApiKeyNotFound, match="pricebook keys list"):
            await store.api_keys.revoke(key_id)


async def test_a_key_expires(store: Store) -> None:
    _, expired = await store.api_keys.create("ada", GRANTS, "ops", timedelta(seconds=-1))
    later, valid = await store.api_keys.create("ada", GRANTS, "ops", timedelta(days=1))
    assert await store.api_keys.find(expired) is None
    assert (await store.api_keys.find(valid)) == later


async def test_the_last_use_is_noted(store: Store) -> None:
    made, key = await store.api_keys.create("ada", GRANTS, "ops")
    assert made.unused_for(60)
    await store.api_keys.record_use(made.id)
    found = await store.api_keys.find(key)
    assert found is not None
    assert not found.unused_for(60)


async def test_all_keys_are_listed_newest_first_with_the_invalid_ones(store: Store) -> None:
    first, _ = await store.api_keys.create("ada", GRANTS, "ops", timedelta(seconds=-1))
    await store.db["api_keys"].update_one({"_id": first.id}, {"$set": {"createdAt": datetime(2020, 1, 1, tzinfo=UTC)}})
    second, _ = await store.api_keys.create("bob", GRANTS, "ops")
    await store.api_keys.revoke(second.id)
    assert [key.name for key in await store.api_keys.all()] == ["bob", "ada"]


@pytest.mark.parametrize("name", ["", "anonymous", "a\nb", "x" * 101])
async def test_an_invalid_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot name a caller"):
        await store.api_keys.create(name, GRANTS, "ops")


async def test_a_key_of_a_later_release_is_refused(store: Store) -> None:
    made, key = await store.api_keys.create("ada", GRANTS, "ops")
    await store.db["api_keys"].update_one({"_id": made.id}, {"$set": {"format": 99}})
    with pytest.raises(UnknownFormat):
        await store.api_keys.find(key)
