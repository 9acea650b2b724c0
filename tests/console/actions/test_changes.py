"""The largest changes, as previews show them."""

from console.actions.changes import change_text
from tests.console.prices import price


def test_a_change_is_a_line_with_both_amounts_and_its_percentage() -> None:
    assert change_text({"sku": "USD", "before": price("1.1172"), "after": price("11.172")}) == (
        "USD: 1.1172 → 11.172 EUR, +900.00 %"
    )
