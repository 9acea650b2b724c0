"""Publishing a release: its transaction, repeated while single batches overtake it.

The facts of each batch were stored when it was held, so that nothing is compared as a rule. Batches whose list changed
since are compared outside of the transaction, a few at a time. Another release that changed a list wins: see
`storage.releases.publication`.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from time import monotonic
from types import MappingProxyType

from storage.batches.comparison import BaseMoved, BatchComparer, Comparison
from storage.batches.metrics import StorageMetrics
from storage.batches.turns import MAX_OVERTAKEN, MAX_TURN_WAIT_SECONDS, Turns
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.catalog.releases import Release, ReleaseRepository
from storage.catalog.transactions import check_reason
from storage.mongodb.connection import Client
from storage.mongodb.transaction import commit
from storage.releases.errors import MovedTooOften, ReleaseRefused, objection
from storage.releases.lists import ReleaseLists
from storage.releases.members import ListsMoved
from storage.releases.publication import Published, PublishRequest, ReleasePublication

MAX_ATTEMPTS = 10
"""How often the transaction of a release is tried, while other batches of its lists are published."""

MAX_CONCURRENT_COMPARISONS = 4
"""Batches of a release that are compared at once."""


class ReleasePublisher:
    """Publishes releases."""

    def __init__(
        self,
        client: Client,
        releases: ReleaseRepository,
        lists: ReleaseLists,
        publication: ReleasePublication,
        comparer: BatchComparer,
        turns: Turns,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._releases = releases
        self._lists = lists
        self._publication = publication
        self._comparer = comparer
        self._turns = turns
        self._metrics = metrics

    async def publish(
        self,
        release_id: str,
        *,
        by: str,
        reason: str | None = None,
        expected: Mapping[str, int] = MappingProxyType({}),
        operates: ListFilter = ALL_LISTS,
    ) -> Release:
        """Publish all batches of a release in one transaction, or none. A PUBLISHED release is returned unchanged.

        `expected` are versions that must be current, by list, instead of those that the batches expect; 0 stands for
        none. Raises `ReleaseRefused` with all that stands against it, `ReleaseNotFound`, `ReleaseForbidden` unless
        all lists are in `operates`, `ReleaseNotOpen`, `EmptyRelease`, `InvalidArgument`, `LayerGone`, `Corrupt`.
        """
        if reason is not None:
            check_reason(reason)
        start = monotonic()
        seen = await self._lists.revisions(await self._releases.get(release_id))
        published = await self._run(PublishRequest(release_id, by, reason, expected, operates), seen)
        if published.batches:
            self._metrics.releases["published"] += 1
            self._metrics.release_seconds.add(monotonic() - start)
        for before, after in published.batches:
            self._metrics.count_batch(before, after)
        return published.release

    async def _run(self, request: PublishRequest, seen: Mapping[str, int]) -> Published:
        """Run the transaction, again whenever a batch is not compared with the version that is current by then."""
        comparisons: dict[str, Comparison] = {}
        overtaken = Counter[str]()
        async with AsyncExitStack() as turns:
            for _ in range(MAX_ATTEMPTS):
                try:
                    return await self._commit(request, seen, comparisons)
                except ListsMoved as error:
                    names = sorted(each.batch.price_list for each in error.moved)
                    overtaken.update(names)
                    # The first comparison of a list comes from a change before the release was published.
                    await self._take_turns([each for each in names if overtaken[each] == MAX_OVERTAKEN + 1], turns)
                    comparisons |= await self._compare(error.moved, comparisons)
        raise ReleaseRefused(request.release, [objection(MovedTooOften(name), name) for name in names])

    async def _commit(
        self, request: PublishRequest, seen: Mapping[str, int], comparisons: Mapping[str, Comparison]
    ) -> Published:
        return await commit(
            self._client,
            lambda session: self._publication.publish(request, seen, comparisons, session),
            self._is_stored,
        )

    async def _compare(self, moved: Sequence[BaseMoved], known: Mapping[str, Comparison]) -> dict[str, Comparison]:
        """Compare batches with the versions that are current, and return the comparisons by batch."""
        slots = asyncio.Semaphore(MAX_CONCURRENT_COMPARISONS)

        async def compare(each: BaseMoved) -> Comparison:
            async with slots:
                return await self._comparer.compare(each.batch, each.base, known.get(each.batch.id))

        return {each.batch: each for each in await asyncio.gather(*map(compare, moved))}

    async def _take_turns(self, names: Sequence[str], turns: AsyncExitStack) -> None:
        """Let the next batches of lists wait until the release is published, within a bounded time for all lists."""
        start = monotonic()
        for name in names:
            if monotonic() - start < MAX_TURN_WAIT_SECONDS:
                await (await turns.enter_async_context(self._turns.queue(name))).take()

    async def _is_stored(self, published: Published) -> bool:
        """Whether the transaction with this result was committed."""
        return await self._releases.get(published.release.id) == published.release
