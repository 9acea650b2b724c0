"""Gates and their findings."""

import decimal

import strawberry

from graph.types.enums import describe_enum
from storage import MAX_ALLOWED_CURRENCIES, Severity

describe_enum(
    Severity,
    "The effect of a finding on its batch.",
    {
        Severity.INFO: "The finding does not affect the batch.",
        Severity.HOLD: "The batch is held for review.",
        Severity.REJECT: "The batch is rejected.",
    },
)


@strawberry.type(description="The checks that a batch must pass between seal and publish. Null disables a gate.")
class Gates:
    """The GraphQL type of `storage.Gates`."""

    max_shrink_percent: decimal.Decimal | None = strawberry.field(
        description="Holds a batch that reduces the number of prices by more than this percentage."
    )
    max_changed_percent: decimal.Decimal | None = strawberry.field(
        description="Holds a batch that changes more than this percentage of the current prices."
    )
    max_price_change_percent: decimal.Decimal | None = strawberry.field(
        description="Holds a batch that raises or lowers an amount by more than this percentage."
    )
    allowed_currencies: list[str] | None = strawberry.field(
        description="Rejects a batch with prices in any other currency (ISO 4217)."
    )
    min_size: int | None = strawberry.field(description="Rejects a batch that leaves fewer prices than this.")


@strawberry.type(description="A finding about a batch: of a gate, a pin, its publish policy, or the limit of layers.")
class GateFinding:
    """The GraphQL type of `storage.catalog.gates.GateFinding`."""

    gate: str = strawberry.field(
        description="The name of the gate; `pin`, `onApproval` or `release` if the batch is held by a pin, by its "
        "publish policy or in its release, `layers` if the merge waited for compaction."
    )
    severity: Severity = strawberry.field(description="The effect of the finding on the batch.")
    message: str = strawberry.field(description="The explanation of the finding, for people.")
    observed: decimal.Decimal | None = strawberry.field(description="The value that the gate observed.")
    limit: decimal.Decimal | None = strawberry.field(description="The limit that the gate allows.")


@strawberry.type(description="The differences between two versions, counted in prices.")
class DiffSummary:
    """The GraphQL type of `storage.DiffSummary`."""

    added: int = strawberry.field(description="The number of prices added.")
    removed: int = strawberry.field(description="The number of prices removed.")
    changed: int = strawberry.field(description="The number of prices changed.")
    unchanged: int = strawberry.field(description="The number of prices left unchanged.")


@strawberry.input(description="The checks that a batch must pass between seal and publish. Null disables a gate.")
class GatesInput:
    """The gates of a list. Gates that are left out are disabled."""

    max_shrink_percent: decimal.Decimal | None = strawberry.field(
        default=None, description="Holds a batch that reduces the number of prices by more than this percentage."
    )
    max_changed_percent: decimal.Decimal | None = strawberry.field(
        default=None, description="Holds a batch that changes more than this percentage of the current prices."
    )
    max_price_change_percent: decimal.Decimal | None = strawberry.field(
        default=None, description="Holds a batch that raises or lowers an amount by more than this percentage."
    )
    allowed_currencies: list[str] | None = strawberry.field(
        default=None,
        description="Rejects a batch with prices in any other currency (ISO 4217): 1 to "
        f"{MAX_ALLOWED_CURRENCIES} codes.",
    )
    min_size: int | None = strawberry.field(
        default=None, description="Rejects a batch that leaves fewer prices than this."
    )
