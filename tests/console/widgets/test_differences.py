"""The rows of differences between two versions."""

from console.widgets.differences import difference_row
from tests.console.prices import price


def test_a_difference_leads_to_its_sku_whatever_that_is_called() -> None:
    row = difference_row("shop", {"sku": "a/b %&", "before": price("1"), "after": price("2")})
    assert row["sku"] == {"text": "a/b %&", "href": "/lists/shop/sku?sku=a%2Fb+%25%26"}
    assert (row["before"]["text"], row["after"]["text"]) == ("1 EUR", "2 EUR")


def test_a_price_that_is_added_or_removed_has_one_side() -> None:
    added = difference_row("shop", {"sku": "a", "before": None, "after": price("1")})
    assert (added["before"]["text"], added["after"]["text"], added["change"]["text"]) == ("no price", "1 EUR", "added")
