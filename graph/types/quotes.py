"""Quotes: the cost of quantities of skus in one version."""

import decimal

import strawberry

from storage import MAX_SKU_BYTES, InvalidArgument

MAX_LINES = 1000
"""Number of lines of a quote."""


@strawberry.input(description="A line to be quoted: a quantity of one sku.")
class QuoteLineInput:
    """A line to be quoted: a quantity of one sku."""

    sku: strawberry.ID = strawberry.field(description="The sku to price.")
    quantity: int = strawberry.field(description="The quantity: 1 or more.")


@strawberry.type(description="A line of a quote.")
class QuoteLine:
    """The GraphQL type of `storage.QuoteLine`."""

    sku: strawberry.ID = strawberry.field(description="The requested sku.")
    quantity: int = strawberry.field(description="The requested quantity.")
    unit_amount: decimal.Decimal | None = strawberry.field(
        description="The unit amount for this quantity, with quantity breaks applied. Null if the version does not "
        "have the sku."
    )
    amount: decimal.Decimal | None = strawberry.field(
        description="The unit amount times the quantity, exact. Null if the version does not have the sku."
    )


@strawberry.type(
    description="The cost of quantities of skus, priced from one version, exactly and without rounding. Ignores the "
    "validity dates of prices."
)
class Quote:
    """The GraphQL type of `storage.Quote`."""

    version: int = strawberry.field(description="The version from which the lines are priced.")
    lines: list[QuoteLine] = strawberry.field(description="The lines, in the order of the request.")
    total: decimal.Decimal | None = strawberry.field(
        description="The sum of the line amounts. Null if a line has no price, if the lines have several currencies, "
        "or if there are no lines."
    )
    currency: str | None = strawberry.field(
        description="The currency of the total, as an ISO 4217 code. Null if the total is null."
    )
    complete: bool = strawberry.field(description="Whether every line has a price.")


def check_lines(lines: list[QuoteLineInput]) -> None:
    """Raise `InvalidArgument` for more than `MAX_LINES` lines, a quantity under 1, or a sku that no price can have."""
    if len(lines) > MAX_LINES:
        raise InvalidArgument(f"`lines` has {len(lines)} items; at most {MAX_LINES} are allowed.", path=("lines",))
    for index, line in enumerate(lines):
        if len(line.sku) > MAX_SKU_BYTES:
            raise InvalidArgument(
                f"lines[{index}].sku has {len(line.sku)} characters; a sku has at most {MAX_SKU_BYTES} bytes of UTF-8.",
                path=("lines", str(index), "sku"),
            )
        if line.quantity < 1:
            raise InvalidArgument(
                f"lines[{index}].quantity is {line.quantity}; it must be 1 or more.",
                path=("lines", str(index), "quantity"),
            )
