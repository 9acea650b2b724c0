"""Quotes: what some quantities cost in one version."""

import decimal

import strawberry

from storage import InvalidArgument

MAX_LINES = 1000


@strawberry.input(description="A quantity of one sku.")
class QuoteLineInput:
    """A quantity of one sku."""

    sku: strawberry.ID = strawberry.field(description="The key of the price.")
    quantity: int = strawberry.field(description="How many, from 1.")


@strawberry.type(description="A line of a quote.")
class QuoteLine:
    """Shown of `storage.QuoteLine`."""

    sku: strawberry.ID = strawberry.field(description="As it was asked for.")
    quantity: int = strawberry.field(description="As it was asked for.")
    unit_amount: decimal.Decimal | None = strawberry.field(
        description="The unit amount for this quantity, the quantity breaks applied; null where the version has no "
        "such sku."
    )
    amount: decimal.Decimal | None = strawberry.field(
        description="The unit amount times the quantity, exact; null where the version has no such sku."
    )


@strawberry.type(
    description="What some quantities cost, all priced from one version, exactly and without rounding. The days on "
    "which prices are valid are not looked at."
)
class Quote:
    """Shown of `storage.Quote`."""

    version: int = strawberry.field(description="The version that the lines are priced from.")
    lines: list[QuoteLine] = strawberry.field(description="The lines, in the order asked for.")
    total: decimal.Decimal | None = strawberry.field(
        description="The sum of the lines; null where a line has no price, where the lines have more than one "
        "currency, and where there are no lines."
    )
    currency: str | None = strawberry.field(description="That of the total; null where there is no total.")
    complete: bool = strawberry.field(description="Whether every line has a price.")


def check_lines(lines: list[QuoteLineInput]) -> None:
    """Raise `InvalidArgument` for more than `MAX_LINES` lines, or a quantity under 1."""
    if len(lines) > MAX_LINES:
        raise InvalidArgument(f"At most {MAX_LINES} lines at once, not {len(lines)}.", path=("lines",))
    for index, line in enumerate(lines):
        if line.quantity < 1:
            raise InvalidArgument(
                f"lines[{index}].quantity is {line.quantity}; it must be 1 or more.",
                path=("lines", str(index), "quantity"),
            )
