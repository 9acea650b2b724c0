"""Preview tokens: each reads the version of one held batch until it expires. Only the hash of a token is stored."""

import datetime
import re
from dataclasses import dataclass

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.assessment import check_not_superseded
from storage.batches.batch import Batch
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.secrets import hash_secret, new_secret
from storage.catalog.transactions import PointerChange, check_reason, commit_pointer_change, event_of
from storage.errors import InvalidArgument, Refused
from storage.mongodb.connection import FORMAT, Client, Database, Document, check_format

TOKEN_PREFIX = "pbp"  # noqa: S105 - not a secret
"""Prefix of every token, by which secret scanners recognize it."""

MAX_PREVIEW_DAYS = 30
"""Days after which a token expires at the latest."""

MAX_PREVIEWS = 20
"""Number of tokens of a batch that are valid at once."""

FIND_TIMEOUT_SECONDS = 2.0
"""Time to look a token up. Requests wait for it before anything else, also if MongoDB does not respond."""

_is_token = re.compile(rf"{TOKEN_PREFIX}_[A-Za-z0-9_-]{{43}}", re.ASCII).fullmatch

_LIVE: Document = {"$expr": {"$gt": ["$expiresAt", "$$NOW"]}}
"""A token is valid until its time by the clock of the database. The server deletes it within minutes afterwards."""

_READABLE_STATES = [BatchState.HELD, BatchState.PUBLISHED]


class TooManyPreviews(Refused):
    """The batch has as many valid preview tokens as it may have."""

    code = "TOO_MANY_PREVIEWS"

    def __init__(self, batch: str) -> None:
        super().__init__(
            f"Batch {batch} has {MAX_PREVIEWS} valid preview tokens, the most that it may have. Share one of them, or "
            "revoke them with revokePreview and grant new ones.",
            path=("input", "batch"),
        )


class PreviewNotFound(Refused):
    """The batch has no valid preview token to revoke."""

    code = "PREVIEW_NOT_FOUND"

    def __init__(self, batch: str) -> None:
        super().__init__(f"Batch {batch} has no valid preview token. Nothing was changed.", path=("input", "batch"))


@dataclass(frozen=True, slots=True)
class Preview:
    """The version that a preview token reads: that of its batch, at the time of the look-up."""

    batch: str
    price_list: str
    version: int


class Previews:
    """The preview tokens of a database: granted for a held batch, looked up by their hash, and revoked by batch."""

    def __init__(
        self,
        client: Client,
        db: Database,
        price_lists: PriceListRepository,
        batches: BatchRepository,
        events: EventRepository,
    ) -> None:
        self._client = client
        self._collection = db["previews"]
        self._price_lists = price_lists
        self._batches = batches
        self._events = events

    async def grant(self, batch_id: str, expires_at: datetime.datetime, *, by: str, reason: str) -> tuple[str, Batch]:
        """Grant a token that reads the version of a held batch until `expires_at`; return it and the batch.

        The token cannot be shown again. Raises `BatchNotFound`, `BatchNotHeld`, `TooManyPreviews`, and
        `InvalidArgument` for an invalid reason, or a time that is not within the next `MAX_PREVIEW_DAYS`.
        """
        check_reason(reason)
        price_list = (await self._batches.get(batch_id)).price_list
        token = f"{TOKEN_PREFIX}_{new_secret()}"
        batch: Batch | None = None

        async def act(session: AsyncClientSession) -> PointerChange:
            nonlocal batch
            seen = await self._price_lists.get(price_list, session)
            moved = await self._price_lists.move(seen, session)
            _check_expiry(expires_at, moved.moved_at)
            # Each change of a batch moves the pointer as well: from here on no other transaction can review this one.
            batch = await self._batches.get_held(batch_id, session)
            check_not_superseded(batch, seen)
            if await self._collection.count_documents({"batch": batch_id, **_LIVE}, session=session) >= MAX_PREVIEWS:
                raise TooManyPreviews(batch_id)
            document = {"_id": hash_secret(token), "format": FORMAT, "batch": batch_id, "expiresAt": expires_at}
            await self._collection.insert_one(document, session=session)
            kind, version = EventKind.PREVIEW_GRANTED, batch.version
            event = event_of(seen, moved, kind, by, batch=batch_id, version=version, reason=reason)
            await self._events.append(event, session)
            return PointerChange(moved, event)

        await commit_pointer_change(self._client, self._events, act)
        if batch is None:
            raise AssertionError("A committed transaction has read the batch.")
        return token, batch

    async def revoke(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Revoke all tokens of a batch, from this moment on. Returns the batch.

        Raises `InvalidArgument`, `BatchNotFound`, and `PreviewNotFound` if no token is valid.
        """
        check_reason(reason)
        batch = await self._batches.get(batch_id)

        async def act(session: AsyncClientSession) -> PointerChange:
            seen = await self._price_lists.get(batch.price_list, session)
            moved = await self._price_lists.move(seen, session)
            if not (await self._collection.delete_many({"batch": batch_id, **_LIVE}, session=session)).deleted_count:
                raise PreviewNotFound(batch_id)
            kind, version = EventKind.PREVIEW_REVOKED, batch.version
            event = event_of(seen, moved, kind, by, batch=batch_id, version=version, reason=reason)
            await self._events.append(event, session)
            return PointerChange(moved, event)

        await commit_pointer_change(self._client, self._events, act)
        return batch

    async def find(self, token: str) -> Preview | None:
        """Return what a token reads now; None for any other text, and after the token has expired or was revoked.

        A rejected batch has nothing to read, and neither has one that was removed with its list. Raises an error of
        the driver after `FIND_TIMEOUT_SECONDS`.
        """
        if not _is_token(token):
            return None
        pipeline: list[Document] = [
            {"$match": {"_id": hash_secret(token), **_LIVE}},
            {
                "$lookup": {
                    "from": "batches",
                    "localField": "batch",
                    "foreignField": "_id",
                    "pipeline": [
                        {"$match": {"state": {"$in": _READABLE_STATES}}},
                        {"$project": {"list": 1, "version": 1}},
                    ],
                    "as": "batches",
                }
            },
        ]
        with pymongo.timeout(FIND_TIMEOUT_SECONDS):
            found = await (await self._collection.aggregate(pipeline)).to_list()
        for document in found:
            check_format("preview", document)
            for batch in document["batches"]:
                return Preview(batch["_id"], batch["list"], batch["version"])
        return None


def _check_expiry(expires_at: datetime.datetime, now: datetime.datetime) -> None:
    path = ("input", "expiresAt")
    if expires_at.tzinfo is None:
        raise InvalidArgument("`expiresAt` has no offset from UTC. Append one, such as `Z` or `+01:00`.", path=path)
    if not now < expires_at <= now + datetime.timedelta(days=MAX_PREVIEW_DAYS):
        raise InvalidArgument(
            f"`expiresAt` must be in the future, at most {MAX_PREVIEW_DAYS} days ahead. By the clock of the database "
            f"it is {now.isoformat(timespec='seconds')}.",
            path=path,
        )
