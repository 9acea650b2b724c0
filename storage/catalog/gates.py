"""Gates: the checks between seal and publish. To add one, write a class for `GATES` and a field of `Gates`."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from storage.errors import InvalidArgument
from storage.prices.currencies import CURRENCIES

MAX_PERCENT = Decimal(1_000_000)
"""Largest limit in percent, and the change of a price that was free before."""

_HUNDREDTH = Decimal("0.01")


class Severity(StrEnum):
    """The effect of a finding on its batch: none, hold it for approval, or reject it."""

    INFO = "INFO"
    HOLD = "HOLD"
    REJECT = "REJECT"


class Gates(msgspec.Struct, frozen=True, rename="camel"):
    """The limits of a price list; None switches a gate off."""

    max_shrink_percent: Decimal | None = None
    max_changed_percent: Decimal | None = None
    max_price_change_percent: Decimal | None = None
    allowed_currencies: tuple[str, ...] | None = None
    min_size: int | None = None


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """Numbers of prices by which one version differs from another."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """The input of the gates: the version that a batch would create, compared with its base.

    `base_size` is None if the list has no version yet. `largest_change` is the largest change of one amount, in
    percent of the previous amount, and its sku.
    """

    base_size: int | None
    size: int
    summary: DiffSummary
    currencies: frozenset[str]
    largest_change: tuple[Decimal, str] | None


@dataclass(frozen=True, slots=True)
class GateFinding:
    """The result of a gate whose limit is exceeded."""

    gate: str
    severity: Severity
    message: str
    observed: Decimal | None = None
    limit: Decimal | None = None


class Gate(Protocol):
    """A check of a batch. `name` is the name of its limit in the GraphQL schema."""

    @property
    def name(self) -> str:
        """The gate's name."""

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Return a finding if the limit is exceeded, else None."""


class MaxShrink:
    """Holds a batch that makes the list much smaller, as a truncated feed does."""

    name = "maxShrinkPercent"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare the shrinkage of the list in percent."""
        limit, before = gates.max_shrink_percent, facts.base_size
        if limit is None or not before:
            return None
        observed = _percent(before - facts.size, before)
        if observed <= limit:
            return None
        message = f"The list would shrink by {observed} % from {before} to {facts.size} prices; the limit is {limit} %."
        return GateFinding(self.name, Severity.HOLD, message, observed, limit)


class MaxChanged:
    """Holds a batch that changes a large part of the list."""

    name = "maxChangedPercent"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare the percentage of the previous prices that change."""
        limit, before = gates.max_changed_percent, facts.base_size
        if limit is None or not before:
            return None
        observed = _percent(facts.summary.changed, before)
        if observed <= limit:
            return None
        message = f"{facts.summary.changed} of {before} prices ({observed} %) would change; the limit is {limit} %."
        return GateFinding(self.name, Severity.HOLD, message, observed, limit)


class MaxPriceChange:
    """Holds a batch in which an amount changes much, as a misplaced decimal point makes it."""

    name = "maxPriceChangePercent"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare the largest change of an amount."""
        limit = gates.max_price_change_percent
        if limit is None or facts.largest_change is None:
            return None
        observed, sku = facts.largest_change
        if observed <= limit:
            return None
        message = f"The amount of {sku!r} would change by {observed} %; the limit is {limit} %."
        return GateFinding(self.name, Severity.HOLD, message, observed, limit)


class AllowedCurrencies:
    """Rejects a batch with a currency that the list does not allow."""

    name = "allowedCurrencies"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Find currencies that are not allowed."""
        if gates.allowed_currencies is None:
            return None
        forbidden = sorted(facts.currencies.difference(gates.allowed_currencies))
        if not forbidden:
            return None
        allowed = ", ".join(gates.allowed_currencies)
        message = f"The batch has prices in {', '.join(forbidden)}; the list allows {allowed}."
        return GateFinding(self.name, Severity.REJECT, message, Decimal(len(forbidden)), Decimal(0))


class MinSize:
    """Rejects a batch that makes the list too small."""

    name = "minSize"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare the size of the list."""
        if gates.min_size is None or facts.size >= gates.min_size:
            return None
        message = f"The list would have {facts.size} prices; the minimum is {gates.min_size}."
        return GateFinding(self.name, Severity.REJECT, message, Decimal(facts.size), Decimal(gates.min_size))


GATES: Sequence[Gate] = (MaxShrink(), MaxChanged(), MaxPriceChange(), AllowedCurrencies(), MinSize())


def judge(gates: Gates, facts: Facts) -> list[GateFinding]:
    """Return the findings of all gates of a list."""
    return [finding for gate in GATES if (finding := gate.check(gates, facts))]


def check_gates(gates: Gates) -> None:
    """Raise `InvalidArgument` for invalid limits."""
    percentages = {
        "maxShrinkPercent": gates.max_shrink_percent,
        "maxChangedPercent": gates.max_changed_percent,
        "maxPriceChangePercent": gates.max_price_change_percent,
    }
    for name, limit in percentages.items():
        if limit is not None and not 0 <= limit <= MAX_PERCENT:
            raise InvalidArgument(f"{name} must be 0 to {MAX_PERCENT}.", path=("input", "gates", name))
    unknown = set(gates.allowed_currencies or ()) - CURRENCIES
    if unknown or gates.allowed_currencies == ():
        invalid = ", ".join(sorted(unknown)) or "an empty list"
        message = f"allowedCurrencies must be one or more ISO 4217 codes, not {invalid}."
        raise InvalidArgument(message, path=("input", "gates", "allowedCurrencies"))
    if gates.min_size is not None and gates.min_size < 0:
        raise InvalidArgument("minSize must be 0 or more.", path=("input", "gates", "minSize"))


def _percent(part: int | Decimal, whole: int | Decimal) -> Decimal:
    return (100 * Decimal(part) / Decimal(whole)).quantize(_HUNDREDTH, ROUND_HALF_EVEN)


def change_percent(before: Decimal, after: Decimal) -> Decimal:
    """Return the change of an amount in percent, at most `MAX_PERCENT`; a change from zero is `MAX_PERCENT`."""
    if before == after:
        return Decimal(0)
    return MAX_PERCENT if not before else min(_percent(abs(after - before), before), MAX_PERCENT)
