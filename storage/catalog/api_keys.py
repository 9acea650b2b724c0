"""API keys: who may call without a token. Of a key only the hash is stored."""

import datetime
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from pymongo import ReturnDocument

from storage.errors import InvalidArgument, Refused
from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.mongodb.transaction import instant

PREFIX = "pbk"
"""What every key begins with, so that those who look for secrets in the wrong places find it."""

MAX_NAME = 100

_TAKEN = frozenset({"anonymous"})
_ID_BYTES = 6
_SECRET_BYTES = 32


class ApiKeyNotFound(Refused):
    """No key that can be used has that id."""

    code = "API_KEY_NOT_FOUND"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key {key_id!r} that could be revoked. `pricebook keys list` names them.")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key. `grants` are texts as `prices:read:shop`; `last_used_at` is exact to a minute."""

    id: str
    name: str
    grants: tuple[str, ...]
    created_at: datetime.datetime
    created_by: str
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    last_used_at: datetime.datetime | None

    def unused_for(self, seconds: float) -> bool:
        """Whether its last use was so long ago, or there was none."""
        return self.last_used_at is None or (instant() - self.last_used_at).total_seconds() > seconds


class ApiKeyRepository:
    """The keys of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["api_keys"]

    async def create(
        self, name: str, grants: Sequence[str], by: str, lifetime: datetime.timedelta | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key; return what is known of it, and the key itself, which nobody can tell again.

        Raises `InvalidArgument` for a name that events could not show.
        """
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name in _TAKEN:
            raise InvalidArgument(
                f"{name[:80]!r} cannot name a caller: use 1 to {MAX_NAME} characters that can be seen."
            )
        key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        now = instant()
        document = {
            "_id": key_id,
            "format": FORMAT,
            "name": name,
            "hash": _hash(secret),
            "grants": list(grants),
            "createdAt": now,
            "createdBy": by,
            "expiresAt": lifetime and now + lifetime,
            "revokedAt": None,
            "lastUsedAt": None,
        }
        await self._collection.insert_one(document)
        return _from_document(document), f"{PREFIX}_{key_id}_{secret}"

    async def find(self, key: str) -> ApiKey | None:
        """Return what is known of a key that may be used now; None for any other text."""
        key_id, secret = _parts(key)
        usable = {"$or": [{"expiresAt": None}, {"$expr": {"$gt": ["$expiresAt", "$$NOW"]}}]}
        found = await self._collection.find_one({"_id": key_id, "revokedAt": None, **usable})
        if found is None or not secrets.compare_digest(found["hash"], _hash(secret)):
            return None
        return _from_document(found)

    async def all(self) -> list[ApiKey]:
        """Return what is known of every key, the newest first."""
        return [_from_document(document) async for document in self._collection.find().sort("createdAt", -1)]

    async def revoke(self, key_id: str) -> ApiKey:
        """Let a key not be used any more. Raises `ApiKeyNotFound` where there is none, or it was revoked before."""
        revoked = await self._collection.find_one_and_update(
            {"_id": key_id, "revokedAt": None},
            [{"$set": {"revokedAt": "$$NOW"}}],
            return_document=ReturnDocument.AFTER,
        )
        if revoked is None:
            raise ApiKeyNotFound(key_id)
        return _from_document(revoked)

    async def used(self, key_id: str) -> None:
        """Note that a key was used just now."""
        await self._collection.update_one({"_id": key_id}, [{"$set": {"lastUsedAt": "$$NOW"}}])


def is_api_key(credentials: str) -> bool:
    """Whether credentials are a key, by how they look."""
    return credentials.startswith(f"{PREFIX}_")


def _parts(key: str) -> tuple[str, str]:
    _, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return key_id, secret


def _hash(secret: str) -> str:
    # A secret of 256 random bits needs no salt and no slow hash: it cannot be guessed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _from_document(document: Document) -> ApiKey:
    check_format("API key", document)
    return ApiKey(
        document["_id"],
        document["name"],
        tuple(document["grants"]),
        document["createdAt"],
        document["createdBy"],
        document["expiresAt"],
        document["revokedAt"],
        document["lastUsedAt"],
    )
