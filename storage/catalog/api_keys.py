"""API keys: credentials for callers without a token. Only the hash of a key is stored."""

import datetime
import secrets
from collections.abc import Sequence

import msgspec
from pymongo import ReturnDocument

from storage.catalog.secrets import hash_secret, new_secret
from storage.errors import InvalidArgument, Refused
from storage.mongodb.connection import Database, Document, check_format
from storage.mongodb.documents import read_each, to_document
from storage.mongodb.transaction import instant

KEY_PREFIX = "pbk"
"""Prefix of every key, by which secret scanners recognize it."""

MAX_NAME_LENGTH = 100
"""Number of characters that the name of a key may have."""

_RESERVED_NAMES = frozenset({"anonymous"})
_ID_BYTES = 6


class ApiKeyNotFound(Refused):
    """The id belongs to no active key."""

    code = "API_KEY_NOT_FOUND"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no active key {key_id!r}. `pricebook keys list` lists the keys.")


class ApiKey(msgspec.Struct, frozen=True, rename="camel"):
    """The record of a key. A grant reads like `prices:read:shop`; `last_used_at` is exact to a minute."""

    id: str = msgspec.field(name="_id")
    name: str
    grants: tuple[str, ...]
    created_at: datetime.datetime
    created_by: str
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    last_used_at: datetime.datetime | None

    def unused_for(self, seconds: float) -> bool:
        """Whether the key was not used in the last `seconds`."""
        return self.last_used_at is None or (instant() - self.last_used_at).total_seconds() > seconds


class ApiKeyRepository:
    """The keys of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["api_keys"]

    async def create(
        self, name: str, grants: Sequence[str], by: str, lifetime: datetime.timedelta | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key; return its record and the key itself, which cannot be shown again.

        Raises `InvalidArgument` for a name that is too long, not printable or reserved.
        """
        if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable() or name in _RESERVED_NAMES:
            raise InvalidArgument(
                f"{name[:80]!r} cannot name a caller: use 1 to {MAX_NAME_LENGTH} printable characters."
            )
        key_id, secret = secrets.token_hex(_ID_BYTES), new_secret()
        now = instant()
        key = ApiKey(key_id, name, tuple(grants), now, by, now + lifetime if lifetime else None, None, None)
        await self._collection.insert_one({**to_document(key), "hash": hash_secret(secret)})
        return key, f"{KEY_PREFIX}_{key_id}_{secret}"

    async def find(self, key: str) -> ApiKey | None:
        """Return the record of a key that is valid now; None for any other text."""
        key_id, secret = _split(key)
        usable = {"$or": [{"expiresAt": None}, {"$expr": {"$gt": ["$expiresAt", "$$NOW"]}}]}
        found = await self._collection.find_one({"_id": key_id, "revokedAt": None, **usable})
        if found is None or not secrets.compare_digest(found["hash"], hash_secret(secret)):
            return None
        return _from_document(found)

    async def all(self) -> list[ApiKey]:
        """Return the records of all readable keys, newest first."""
        return await read_each(self._collection.find().sort("createdAt", -1), _from_document)

    async def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key. Raises `ApiKeyNotFound` for an unknown or revoked key."""
        revoked = await self._collection.find_one_and_update(
            {"_id": key_id, "revokedAt": None},
            [{"$set": {"revokedAt": "$$NOW"}}],
            return_document=ReturnDocument.AFTER,
        )
        if revoked is None:
            raise ApiKeyNotFound(key_id)
        return _from_document(revoked)

    async def record_use(self, key_id: str) -> None:
        """Set the time of a key's last use to now."""
        await self._collection.update_one({"_id": key_id}, [{"$set": {"lastUsedAt": "$$NOW"}}])


def is_api_key(credentials: str) -> bool:
    """Whether credentials have the prefix of a key."""
    return credentials.startswith(f"{KEY_PREFIX}_")


def _split(key: str) -> tuple[str, str]:
    _, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return key_id, secret


def _from_document(document: Document) -> ApiKey:
    check_format("API key", document)
    return msgspec.convert(document, ApiKey)
