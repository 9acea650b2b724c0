"""Admission of batches: what an order may contain, and how many batches may be open at once."""

import asyncio
from collections.abc import Sequence

from storage.batches.batch import Batch, BatchMode, BatchOrder, PublishPolicy
from storage.batches.publish_time import check_offset, check_publish_at
from storage.batches.repository import BatchRepository
from storage.catalog.price_lists import PriceList, PriceListRepository, is_name
from storage.catalog.releases import ReleaseRepository, check_room
from storage.errors import InvalidArgument, PriceListNotFound, Refused, RemoveInReplace
from storage.mongodb.connection import Client
from storage.mongodb.server_time import server_time

MAX_KEY_LENGTH = 255
"""Characters of an idempotency key or a label."""

MAX_REMOVALS = 10_000
"""Skus that one request may remove."""

MAX_OPEN_BATCHES = 100
"""Default limit of the batches in progress, for each price list and for each caller."""

MAX_HELD_BATCHES = 3_000
"""Held batches of a price list. Each keeps its layer; those that an unpin supersedes are rejected 50 at a time."""

MAX_CONCURRENT_OPENINGS = 8
"""Batches that a process opens at once. Those that others are opening are not counted yet, so each process may exceed a
limit by this number minus 1."""


class TooManyOpenBatches(Refused):
    """The price list, or the caller, has as many batches in progress as are allowed."""

    code = "TOO_MANY_OPEN_BATCHES"

    def __init__(self, owner: str, count: int, limit: int) -> None:
        super().__init__(
            f"{owner} has {count} batches in progress; PRICEBOOK_MAX_OPEN_BATCHES allows {limit}. Commit or abort some "
            "of them (`batches(state: OPEN)` lists them), and try again.",
            path=("input", "priceList"),
        )


class TooManyHeldBatches(Refused):
    """As many batches of the price list are held as are allowed."""

    code = "TOO_MANY_HELD_BATCHES"

    def __init__(self, price_list: str, count: int, limit: int) -> None:
        super().__init__(
            f"{price_list!r} has {count} held batches; at most {limit} may wait. Approve or reject some of them, which "
            "`batches(state: HELD)` lists, or unpin the list, and try again.",
            path=("input", "priceList"),
        )


class BatchAdmission:
    """Opens batches, each once for its idempotency key, and limits how many are in progress.

    `max_open` limits the batches in OPEN and SEALING, of each list and of each caller.
    """

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        batches: BatchRepository,
        releases: ReleaseRepository,
        max_open: int = MAX_OPEN_BATCHES,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._batches = batches
        self._releases = releases
        self._max_open = max_open
        self._openings = asyncio.Semaphore(MAX_CONCURRENT_OPENINGS)

    async def open(self, order: BatchOrder, fingerprint: str | None, expected: int | None) -> tuple[Batch, bool]:
        """Return the batch of the order's idempotency key, and whether this call opened it.

        The limits do not apply to a batch that exists, and its `publish_at` may have passed. Raises
        `PriceListNotFound`, `Conflict`, `InvalidPublishAt`, `ReleaseNotFound`, `ReleaseNotOpen`, `ReleaseFull`,
        `TooManyOpenBatches`, `TooManyHeldBatches`.
        """
        if known := await self._batches.by_key(order.price_list, order.key):
            return known, False
        price_list = await self._price_lists.get(order.price_list)
        price_list.expect(order.expected_version)
        if order.publish_at:
            check_publish_at(order.publish_at, await server_time(self._client))
        if order.release is not None:
            check_room(await self._releases.touch(order.release), order.price_list)
        async with self._openings:
            if refusal := await self._refusal(order, price_list):
                if known := await self._batches.by_key(order.price_list, order.key):
                    return known, False
                raise refusal
            return await self._batches.open(order, fingerprint, expected, price_list.current_version)

    async def _refusal(
        self, order: BatchOrder, price_list: PriceList
    ) -> TooManyOpenBatches | TooManyHeldBatches | None:
        of_list, of_caller = await asyncio.gather(
            self._batches.unfinished(order.price_list), self._batches.in_progress(order.by)
        )
        if of_list.in_progress >= self._max_open:
            return TooManyOpenBatches(f"The price list {order.price_list!r}", of_list.in_progress, self._max_open)
        if of_caller >= self._max_open:
            return TooManyOpenBatches(f"The caller {order.by!r}", of_caller, self._max_open)
        held = of_list.held
        if held >= MAX_HELD_BATCHES and price_list.superseded_before is not None:
            held -= await self._batches.count_superseded(price_list.name, price_list.superseded_before)
        return TooManyHeldBatches(order.price_list, held, MAX_HELD_BATCHES) if held >= MAX_HELD_BATCHES else None


def check_order(order: BatchOrder) -> None:
    """Raise `InvalidArgument` for an invalid idempotency key or label, `PriceListNotFound` for an impossible name.

    Raises `InvalidPublishAt` for a time without an offset from UTC.
    """
    check_offset(order.publish_at)
    if order.release is not None and (order.publish_at or order.publish is PublishPolicy.DRY_RUN):
        refused = "publishAt" if order.publish_at else "publish: DRY_RUN"
        raise InvalidArgument(
            f"A batch with a release is published with that, so {refused} is not allowed. Leave one of the two out.",
            path=("input", "release"),
        )
    if not is_name(order.price_list):
        raise PriceListNotFound(order.price_list)
    if not 1 <= len(order.key) <= MAX_KEY_LENGTH or not order.key.isprintable():
        raise InvalidArgument(
            f"An idempotency key has 1 to {MAX_KEY_LENGTH} printable characters.", path=("input", "idempotencyKey")
        )
    if order.label is not None and not 1 <= len(order.label) <= MAX_KEY_LENGTH:
        raise InvalidArgument(f"A label has 1 to {MAX_KEY_LENGTH} characters.", path=("input", "label"))


def check_removals(mode: BatchMode, removals: Sequence[str]) -> None:
    """Raise `RemoveInReplace` for a REPLACE that names skus to remove, `InvalidArgument` for too many of them."""
    if removals and mode is BatchMode.REPLACE:
        raise RemoveInReplace
    if len(removals) > MAX_REMOVALS:
        raise InvalidArgument(
            f"`remove` has {len(removals)} skus; one request may remove at most {MAX_REMOVALS}. Send the rest in "
            "further parts, or in a second batch.",
            path=("input", "remove"),
        )
