"""Prices."""

import datetime
import decimal

import strawberry

from graph.types.scalars import JSON


@strawberry.type(description="A quantity break.")
class PriceTier:
    """Shown of `storage.Tier`."""

    min_quantity: int = strawberry.field(description="The amount holds for this quantity and more.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount.")


@strawberry.type(description="One price of a version.")
class Price:
    """Shown of `storage.Price`."""

    sku: strawberry.ID = strawberry.field(description="The key of the price within its list.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount, exact.")
    currency: str = strawberry.field(description="ISO 4217.")
    tiers: list[PriceTier] = strawberry.field(
        description="Quantity breaks in ascending minQuantity; empty where the amount holds for any quantity."
    )
    valid_from: datetime.date | None = strawberry.field(description="The first day on which the price holds.")
    valid_until: datetime.date | None = strawberry.field(description="The last day on which the price holds.")
    attributes: JSON = strawberry.field(description="What the integrator keeps with the price, as an object.")
