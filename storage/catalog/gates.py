"""Gates: the checks between seal and publish. To add one, write a class for `GATES` and a field of `Gates`."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from storage.errors import InvalidArgument, shown
from storage.prices.currencies import CURRENCIES

MAX_PERCENT = Decimal(1_000_000)
"""Largest limit in percent, and the change of a price that was free before."""

MAX_PERCENT_DIGITS = 34
"""Number of digits that a limit in percent may have: the precision of an IEEE 754 decimal128, as which it is stored."""

MAX_ALLOWED_CURRENCIES = 200
"""Number of currencies that `allowedCurrencies` may have."""

_SHOWN_CURRENCIES = 20
"""Number of currencies that a message names."""

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


LargestChange = tuple[Decimal, str]
"""The largest change of an amount in a batch, in percent of the previous amount, and its sku."""


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """Numbers of prices by which one version differs from another."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0


class Facts(msgspec.Struct, frozen=True, rename="camel"):
    """The input of the gates: the version that a batch would create, compared with its base.

    `base_size` is None if the list has no version yet.
    """

    base_size: int | None
    size: int
    summary: DiffSummary
    currencies: frozenset[str]
    largest_change: LargestChange | None


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
        message = f"The amount of {shown(sku)} would change by {observed} %; the limit is {limit} %."
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
        message = f"The batch has prices in {_first(forbidden)}; the list allows {_first(gates.allowed_currencies)}."
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
        if limit is not None and not (0 <= limit <= MAX_PERCENT and _digits(limit) <= MAX_PERCENT_DIGITS):
            message = f"{name} must be 0 to {MAX_PERCENT}, with at most {MAX_PERCENT_DIGITS} digits."
            raise InvalidArgument(message, path=("input", "gates", name))
    if gates.allowed_currencies is not None:
        _check_currencies(gates.allowed_currencies)
    if gates.min_size is not None and gates.min_size < 0:
        raise InvalidArgument("minSize must be 0 or more.", path=("input", "gates", "minSize"))


def _check_currencies(currencies: Sequence[str]) -> None:
    unknown = next((currency for currency in currencies[:MAX_ALLOWED_CURRENCIES] if currency not in CURRENCIES), None)
    if unknown is None and 1 <= len(currencies) <= MAX_ALLOWED_CURRENCIES:
        return
    found = f"{len(currencies)} codes" if unknown is None else shown(unknown)
    message = f"allowedCurrencies must be 1 to {MAX_ALLOWED_CURRENCIES} ISO 4217 codes, not {found}."
    raise InvalidArgument(message, path=("input", "gates", "allowedCurrencies"))


def _first(currencies: Sequence[str]) -> str:
    more = len(currencies) - _SHOWN_CURRENCIES
    return ", ".join(currencies[:_SHOWN_CURRENCIES]) + (f" and {more} more" if more > 0 else "")


def _digits(value: Decimal) -> int:
    return len(value.as_tuple().digits)


def _percent(part: int | Decimal, whole: int | Decimal) -> Decimal:
    percent = min(100 * Decimal(part) / Decimal(whole), MAX_PERCENT)
    return percent.quantize(_HUNDREDTH, ROUND_HALF_EVEN)


def change_percent(before: Decimal, after: Decimal) -> Decimal:
    """Return the change of an amount in percent, at most `MAX_PERCENT`; a change from zero is `MAX_PERCENT`."""
    if before == after:
        return Decimal(0)
    return MAX_PERCENT if not before else _percent(abs(after - before), before)
