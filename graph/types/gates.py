"""Gates, and what they find."""

import decimal

import strawberry

from storage import Severity

strawberry.enum(Severity, description="What a finding does to its batch.")


@strawberry.type(description="The checks between seal and publish. Null switches a gate off.")
class Gates:
    """Shown of `storage.Gates`."""

    max_shrink_percent: decimal.Decimal | None = strawberry.field(
        description="Hold a batch that makes the list smaller by more than this."
    )
    max_changed_percent: decimal.Decimal | None = strawberry.field(
        description="Hold a batch that changes more of the current prices than this."
    )
    max_price_change_percent: decimal.Decimal | None = strawberry.field(
        description="Hold a batch in which an amount goes up or down by more than this."
    )
    allowed_currencies: list[str] | None = strawberry.field(description="Reject a batch with another currency.")
    min_size: int | None = strawberry.field(description="Reject a batch that leaves fewer prices than this.")


@strawberry.type(description="What a gate found.")
class GateFinding:
    """Shown of `storage.GateFinding`."""

    gate: str = strawberry.field(description="The gate's name; also `pin` and `onApproval`.")
    severity: Severity = strawberry.field(description="What it does to the batch.")
    message: str = strawberry.field(description="For people.")
    observed: decimal.Decimal | None = strawberry.field(description="What was found.")
    limit: decimal.Decimal | None = strawberry.field(description="What is allowed.")


@strawberry.type(description="What a batch does to the version before it, in prices.")
class DiffSummary:
    """Shown of `storage.DiffSummary`."""

    added: int = strawberry.field(description="Prices that are new.")
    removed: int = strawberry.field(description="Prices that are gone.")
    changed: int = strawberry.field(description="Prices that differ.")
    unchanged: int = strawberry.field(description="Prices that are the same.")


@strawberry.input(description="The checks between seal and publish. Null switches a gate off.")
class GatesInput:
    """The limits of a list, all of them: what is left out is off."""

    max_shrink_percent: decimal.Decimal | None = strawberry.field(
        default=None, description="Hold a batch that makes the list smaller by more than this."
    )
    max_changed_percent: decimal.Decimal | None = strawberry.field(
        default=None, description="Hold a batch that changes more of the current prices than this."
    )
    max_price_change_percent: decimal.Decimal | None = strawberry.field(
        default=None, description="Hold a batch in which an amount goes up or down by more than this."
    )
    allowed_currencies: list[str] | None = strawberry.field(
        default=None, description="Reject a batch with another currency."
    )
    min_size: int | None = strawberry.field(
        default=None, description="Reject a batch that leaves fewer prices than this."
    )
