"""Comparing the rows of a batch with the version that they change.

Only the skus of the rows are looked up in the base, so the cost follows the size of the batch, not of the list. Rows
are compared as they arrive, and again only if another version became current before the batch was published.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from storage.batches.changes import Changes, LargestChange
from storage.catalog.gates import change_percent
from storage.catalog.snapshots import Snapshot
from storage.fair_yield import yield_to_loop
from storage.layers.reader import LayerReader
from storage.prices.price import amount_of, canonical, currency_of, is_tombstone, sku_of

LOOKUP_ROWS = 500
"""Rows that are looked up and compared at a time: some milliseconds of work."""


def base_layers(base: Snapshot | None) -> tuple[str, ...]:
    """Return the ids of the layers of a version; empty for None, a list without a version."""
    return base.layer_ids if base else ()


class Comparison:
    """Compares rows with a version, in any order. Yields to the event loop after every `LOOKUP_ROWS` rows."""

    def __init__(self, layer_reader: LayerReader, base: Snapshot | None) -> None:
        self._layer_reader = layer_reader
        self._base = base_layers(base)
        self._lock = asyncio.Lock()
        self._added = self._removed = self._changed = self._unchanged = 0
        self._currencies: set[bytes] = set()
        self._largest: LargestChange | None = None

    @property
    def changes(self) -> Changes:
        """The changes of the rows that were added so far."""
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
        for start in range(0, len(documents), LOOKUP_ROWS):
            async with self._lock:
                await self._compare(documents[start : start + LOOKUP_ROWS])
            await yield_to_loop()

    async def _compare(self, documents: Sequence[bytes]) -> None:
        skus = [sku_of(document) for document in documents]
        found = await self._layer_reader.find_raw(self._base, skus) if self._base else {}
        for sku, document in zip(skus, documents, strict=True):
            before = found.get(sku)
            if is_tombstone(document):
                self._removed += before is not None
                continue
            self._currencies.add(currency_of(document))
            if before is None:
                self._added += 1
            elif canonical(before) == canonical(document):
                self._unchanged += 1
            else:
                self._changed += 1
                self._add_change(sku, amount_of(before), amount_of(document))

    def _add_change(self, sku: str, before: Decimal, after: Decimal) -> None:
        if before != after:
            percent = change_percent(before, after)
            if self._largest is None or percent > self._largest[0]:
                self._largest = (percent, sku)
