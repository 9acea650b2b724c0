"""Creating and discarding releases."""

import datetime
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.admission import MAX_KEY_LENGTH
from storage.batches.batch import Batch, Refusal
from storage.batches.metrics import StorageMetrics
from storage.batches.publish_time import check_offset, check_publish_at, in_milliseconds
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.catalog.events import EventKind
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.catalog.releases import UNPUBLISHED, Release, ReleaseNotOpen, ReleaseRepository, ReleaseState
from storage.catalog.snapshots import SnapshotRepository
from storage.catalog.transactions import check_reason
from storage.errors import InvalidArgument
from storage.mongodb.connection import Client
from storage.mongodb.server_time import server_time
from storage.mongodb.transaction import commit
from storage.releases.errors import ReleaseKeyReused, TooManyOpenReleases
from storage.releases.lists import ListChange, ReleaseLists, check_operates

MAX_OPEN_RELEASES = 1000
"""Releases that may be OPEN or SCHEDULED at once. Concurrent requests may exceed it by their number minus 1."""

MAX_NAME_LENGTH = 255
"""Characters of a release's name."""

MAX_DISCARDED_AT_ONCE = 50
"""Idle releases that one run discards."""


class Discarded(NamedTuple):
    """A discarded release, and its batches that were rejected, before and after; None if there was nothing to do."""

    release: Release
    batches: Sequence[tuple[Batch, Batch]] | None = None


class ReleaseEditor:
    """Creates and discards releases."""

    def __init__(
        self,
        client: Client,
        releases: ReleaseRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        lists: ReleaseLists,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._releases = releases
        self._snapshots = snapshots
        self._batches = batches
        self._lists = lists
        self._metrics = metrics

    async def create(self, name: str, key: str, *, by: str, publish_at: datetime.datetime | None = None) -> Release:
        """Create a release, once for each idempotency key of a caller: again, it is returned as it is by then.

        Raises `InvalidArgument`, `InvalidPublishAt`, `ReleaseKeyReused` for another name or instant,
        `TooManyOpenReleases`.
        """
        _check(name, key)
        check_offset(publish_at)
        at = publish_at and in_milliseconds(publish_at)
        fingerprint = blake2b(msgspec.json.encode((name, at)), digest_size=16).hexdigest()
        release = await self._releases.by_key(by, key)
        if release is None:
            check_publish_at(at, await server_time(self._client))
            if await self._releases.count_unpublished() >= MAX_OPEN_RELEASES:
                raise TooManyOpenReleases(MAX_OPEN_RELEASES)
            release, _ = await self._releases.create(name, key, by, at, fingerprint)
        if release.fingerprint != fingerprint:
            raise ReleaseKeyReused(key, release.id)
        return release

    async def discard(self, release_id: str, *, by: str, reason: str, operates: ListFilter = ALL_LISTS) -> Release:
        """Discard a release that is not published, and reject its batches. A DISCARDED one is returned unchanged.

        Batches that are still coming in are rejected when they are sealed. Raises `InvalidArgument`,
        `ReleaseNotFound`, `ReleaseForbidden` unless all lists are in `operates`, `ReleaseNotOpen`.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> Discarded:
            release = await self._releases.get(release_id, session)
            check_operates(release, operates)
            if release.state is ReleaseState.DISCARDED:
                return Discarded(release)
            if release.state not in UNPUBLISHED:
                raise ReleaseNotOpen(release.id, release.state, "Only an OPEN or SCHEDULED release can be discarded.")
            return await self._discard(release, by, reason, session)

        return self._counted(await commit(self._client, act, self._is_stored))

    async def discard_idle(self, days: int) -> int:
        """Discard OPEN releases that were not changed for `days`, except those with a batch in progress.

        At most `MAX_DISCARDED_AT_ONCE`; returns how many.
        """
        done = [await self._discard_idle(idle, days) for idle in await self._releases.idle(days, MAX_DISCARDED_AT_ONCE)]
        return sum(each.state is ReleaseState.DISCARDED for each in done)

    async def _discard_idle(self, idle: Release, days: int) -> Release:
        """Discard a release unless it changed since it was found, or has a batch in progress."""

        async def act(session: AsyncClientSession) -> Discarded:
            release = await self._releases.get(idle.id, session)
            if release != idle or await self._batches.in_progress_of_release(release.id, 1, session):
                return Discarded(release)
            return await self._discard(release, "pricebook", f"It was not used for {days} days.", session)

        return self._counted(await commit(self._client, act, self._is_stored))

    async def _discard(self, release: Release, by: str, reason: str, session: AsyncClientSession) -> Discarded:
        """Reject the batches of a release with one write to each collection; a deleted list's are removed with it."""
        lists = await self._lists.read(release, session)
        held = await self._batches.get_all_held([item.batch for item in release.items], session)
        rejected = [batch for batch in held.values() if batch.price_list in lists and batch.version is not None]
        next_changes = await self._batches.next_changes([*lists.values()], [*held], session)
        moved = await self._lists.move(
            release,
            [
                ListChange(
                    lists[batch.price_list],
                    {"next_change_at": next_changes.get(batch.price_list)},
                    batch.id,
                    batch.version,
                )
                for batch in rejected
            ],
            session,
            kind=EventKind.REJECTED,
            by=by,
            reason=reason,
            marked=False,
        )
        after: list[Batch] = []
        if rejected:
            keys = [(batch.price_list, batch.version) for batch in rejected if batch.version is not None]
            await self._snapshots.withdraw_all(keys, session)
            refusal = Refusal("RELEASE_DISCARDED", reason)
            after = await self._batches.advance_held(
                rejected, BatchState.REJECTED, session, finished_at=moved[0].moved_at, refusal=refusal
            )
        discarded = await self._releases.update(release, session, state=ReleaseState.DISCARDED, publish_at=None)
        return Discarded(discarded, list(zip(rejected, after, strict=True)))

    def _counted(self, discarded: Discarded) -> Release:
        if discarded.batches is not None:
            self._metrics.releases["discarded"] += 1
        for before, after in discarded.batches or ():
            self._metrics.count_batch(before, after)
        return discarded.release

    async def _is_stored(self, discarded: Discarded) -> bool:
        """Whether the transaction with this result was committed."""
        return await self._releases.get(discarded.release.id) == discarded.release


def _check(name: str, key: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable() or not name.strip():
        raise InvalidArgument(
            f"The name of a release has 1 to {MAX_NAME_LENGTH} printable characters.", path=("input", "name")
        )
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidArgument(
            f"An idempotency key has 1 to {MAX_KEY_LENGTH} printable characters.", path=("input", "idempotencyKey")
        )
