"""Comparing the rows of a batch with the version they change.

The rows' own skus are looked up in the base, so that the cost follows the batch and not the list. It is done while
the rows come, and once more at the seal only when another version became current meanwhile.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from storage.batches.changes import Changes, LargestChange
from storage.catalog.gates import change_percent
from storage.catalog.snapshots import Snapshot
from storage.fair_yield import yield_to_loop
from storage.layers.reader import LayerReader
from storage.prices.price import amount_of, canonical, currency_of, is_removal, sku_of

# So many rows are looked up and compared at once: some milliseconds of work.
BATCH_ROWS = 500


def layers_of(base: Snapshot | None) -> tuple[str, ...]:
    """Return the layers of a version; none where there is no version yet."""
    return base.layer_ids if base else ()


class Comparison:
    """Compares rows with a version as they come, in any order; one run at a time, so that others have their turn."""

    def __init__(self, stack: LayerReader, base: Snapshot | None) -> None:
        self._layer_reader = stack
        self._base = layers_of(base)
        self._lock = asyncio.Lock()
        self._added = self._removed = self._changed = self._unchanged = 0
        self._currencies: set[bytes] = set()
        self._largest: LargestChange | None = None

    @property
    def changes(self) -> Changes:
        """What the rows do that were added so far."""
        return Changes(
            self._base,
            self._added,
            self._removed,
            self._changed,
            self._unchanged,
            frozenset(currency.decode() for currency in self._currencies),
            self._largest,
        )

    async def add(self, documents: Sequence[bytes]) -> None:
        """Compare rows."""
        for start in range(0, len(documents), BATCH_ROWS):
            async with self._lock:
                await self._compare(documents[start : start + BATCH_ROWS])
            await yield_to_loop()

    async def _compare(self, documents: Sequence[bytes]) -> None:
        skus = [sku_of(document) for document in documents]
        before = await self._layer_reader.find_raw(self._base, skus) if self._base else {}
        for sku, document in zip(skus, documents, strict=True):
            was = before.get(sku)
            if is_removal(document):
                self._removed += was is not None
                continue
            self._currencies.add(currency_of(document))
            if was is None:
                self._added += 1
            elif canonical(was) == canonical(document):
                self._unchanged += 1
            else:
                self._changed += 1
                self._note(sku, amount_of(was), amount_of(document))

    def _note(self, sku: str, was: Decimal, now: Decimal) -> None:
        if was != now:
            percent = change_percent(was, now)
            if self._largest is None or percent > self._largest[0]:
                self._largest = (percent, sku)
