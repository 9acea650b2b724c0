"""Gates: the checks between seal and publish. A new one is one small class in `GATES` and one field of `Gates`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any, Protocol

from bson.decimal128 import Decimal128

from storage.errors import InvalidArgument
from storage.prices.currencies import CURRENCIES

_HUNDREDTH = Decimal("0.01")


class Severity(StrEnum):
    """What a finding does to its batch: nothing, hold it for approval, or reject it."""

    INFO = "INFO"
    HOLD = "HOLD"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits of a list; None switches a gate off."""

    max_shrink_percent: Decimal | None = None
    max_changed_percent: Decimal | None = None
    max_price_change_percent: Decimal | None = None
    allowed_currencies: tuple[str, ...] | None = None
    min_size: int | None = None


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """What a batch does to the version before it, in prices."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What gates judge by: the version that a batch would make, against its base.

    `base_size` is None where the list has no version yet. `largest_change` is the largest change of one amount, in
    percent of the amount before, and the sku that has it.
    """

    base_size: int | None
    size: int
    summary: DiffSummary
    currencies: frozenset[str]
    largest_change: tuple[Decimal, str] | None


@dataclass(frozen=True, slots=True)
class GateFinding:
    """What a gate found."""

    gate: str
    severity: Severity
    message: str
    observed: Decimal | None = None
    limit: Decimal | None = None


class Gate(Protocol):
    """One check. `name` is as the schema has it."""

    @property
    def name(self) -> str:
        """The gate's name."""

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Return what is wrong, or None."""


class MaxShrink:
    """Holds a batch that leaves the list much smaller: a feed that broke off looks just so."""

    name = "maxShrinkPercent"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare by how many percent the list shrinks."""
        limit, before = gates.max_shrink_percent, facts.base_size
        if limit is None or not before:
            return None
        observed = _percent(before - facts.size, before)
        if observed <= limit:
            return None
        message = f"The list would shrink by {observed} % from {before} to {facts.size} prices; {limit} % are allowed."
        return GateFinding(self.name, Severity.HOLD, message, observed, limit)


class MaxChanged:
    """Holds a batch that changes a large part of the list."""

    name = "maxChangedPercent"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare how many percent of the prices before are changed."""
        limit, before = gates.max_changed_percent, facts.base_size
        if limit is None or not before:
            return None
        observed = _percent(facts.summary.changed, before)
        if observed <= limit:
            return None
        message = f"{facts.summary.changed} of {before} prices would change, {observed} %; {limit} % are allowed."
        return GateFinding(self.name, Severity.HOLD, message, observed, limit)


class MaxPriceChange:
    """Holds a batch with an amount that jumps: a misplaced decimal point looks just so."""

    name = "maxPriceChangePercent"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare the largest change of an amount."""
        limit = gates.max_price_change_percent
        if limit is None or facts.largest_change is None:
            return None
        observed, sku = facts.largest_change
        if observed <= limit:
            return None
        message = f"The amount of {sku!r} would change by {observed} %; {limit} % are allowed."
        return GateFinding(self.name, Severity.HOLD, message, observed, limit)


class AllowedCurrencies:
    """Rejects a batch with a currency that the list does not have."""

    name = "allowedCurrencies"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Look for currencies that are not allowed."""
        if gates.allowed_currencies is None:
            return None
        others = sorted(facts.currencies.difference(gates.allowed_currencies))
        if not others:
            return None
        message = f"Prices in {', '.join(others)}; allowed are {', '.join(gates.allowed_currencies)}."
        return GateFinding(self.name, Severity.REJECT, message, Decimal(len(others)), Decimal(0))


class MinSize:
    """Rejects a batch that leaves the list too small."""

    name = "minSize"

    def check(self, gates: Gates, facts: Facts) -> GateFinding | None:
        """Compare the size."""
        if gates.min_size is None or facts.size >= gates.min_size:
            return None
        message = f"The list would have {facts.size} prices; at least {gates.min_size} are wanted."
        return GateFinding(self.name, Severity.REJECT, message, Decimal(facts.size), Decimal(gates.min_size))


GATES: Sequence[Gate] = (MaxShrink(), MaxChanged(), MaxPriceChange(), AllowedCurrencies(), MinSize())


def judge(gates: Gates, facts: Facts) -> list[GateFinding]:
    """Return what all gates of a list find."""
    return [finding for gate in GATES if (finding := gate.check(gates, facts))]


def check_gates(gates: Gates) -> None:
    """Raise `InvalidArgument` for limits that make no sense."""
    for name in ("max_shrink_percent", "max_changed_percent", "max_price_change_percent"):
        limit = getattr(gates, name)
        if limit is not None and not 0 <= limit <= 1_000_000:
            raise InvalidArgument(f"{_wire(name)} is a percentage from 0.", path=("input", "gates", _wire(name)))
    unknown = set(gates.allowed_currencies or ()) - CURRENCIES
    if unknown or gates.allowed_currencies == ():
        raise InvalidArgument(
            f"allowedCurrencies are ISO 4217 codes, at least one; not {', '.join(sorted(unknown)) or 'none'}.",
            path=("input", "gates", "allowedCurrencies"),
        )
    if gates.min_size is not None and gates.min_size < 0:
        raise InvalidArgument("minSize is 0 or more.", path=("input", "gates", "minSize"))


def gates_to_document(gates: Gates) -> dict[str, Any]:
    """Return the limits as they are stored."""
    stored = {_wire(name): value for name, value in asdict(gates).items()}
    return {name: Decimal128(value) if isinstance(value, Decimal) else value for name, value in stored.items()}


def gates_from_document(document: dict[str, Any] | None) -> Gates:
    """Return the limits that are stored."""
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(Gates)):
        value = (document or {}).get(_wire(name))
        values[name] = value.to_decimal() if isinstance(value, Decimal128) else value
    if values["allowed_currencies"] is not None:
        values["allowed_currencies"] = tuple(values["allowed_currencies"])
    return Gates(**values)


def _wire(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _percent(part: int | Decimal, whole: int | Decimal) -> Decimal:
    return (100 * Decimal(part) / Decimal(whole)).quantize(_HUNDREDTH, ROUND_HALF_EVEN)


def change_percent(before: Decimal, after: Decimal) -> Decimal:
    """Return by how many percent an amount changes; a price that was free counts as changed by 1,000,000 percent."""
    if before == after:
        return Decimal(0)
    return Decimal(1_000_000) if not before else min(_percent(abs(after - before), before), Decimal(1_000_000))
