"""Differences between two versions of a list, as they are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from storage.catalog.snapshots import Snapshot
from storage.layers.amount_changes import ChangeBucket
from storage.layers.changes import Change
from storage.prices.price import Price, decode_row


class ChangeKind(StrEnum):
    """The kind of a change."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class PriceDiff:
    """A sku that differs between two versions, with its price in each; None without a price."""

    sku: str
    versions: tuple[Snapshot, Snapshot]
    before: Price | None
    after: Price | None

    @property
    def change(self) -> ChangeKind:
        """The kind of the change."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED


@dataclass(frozen=True, slots=True)
class DiffStatistics:
    """The number of `differences` between two versions, and the changes of amounts among them.

    Of these, the `largest` in percent, and the `distribution` by their size.
    """

    differences: int
    largest: Sequence[PriceDiff]
    distribution: Sequence[ChangeBucket]


def price_diffs(changes: Sequence[Change], before: Snapshot, after: Snapshot) -> list[PriceDiff]:
    """Return changes between two versions with their prices."""
    versions = before, after
    return [PriceDiff(sku, versions, _price(sku, old), _price(sku, new)) for sku, old, new in changes]


def _price(sku: str, row: bytes | None) -> Price | None:
    return None if row is None else decode_row(sku, row)
