"""The rows of the differences and of the errors of a batch."""

from console.client import Json
from console.pages.batch_sections import difference_row, error_row


def price(amount: str) -> Json:
    return {"amount": amount, "currency": "EUR"}


def test_a_difference_leads_to_its_sku_whatever_that_is_called() -> None:
    row = difference_row("shop", {"sku": "a/b %&", "change": "CHANGED", "before": price("1"), "after": price("2")})
    assert row["name"] == {"text": "a/b %&", "href": "/lists/shop/sku?sku=a%2Fb+%25%26"}
    assert (row["before"]["text"], row["after"]["text"]) == ("1 EUR", "2 EUR")


def test_prices_with_the_same_amount_say_that_they_differ_elsewhere() -> None:
    row = difference_row("shop", {"sku": "a", "change": "CHANGED", "before": price("1"), "after": price("1")})
    assert row["after"]["note"] == "another field differs"


def test_a_price_that_is_added_or_removed_has_one_side() -> None:
    added = difference_row("shop", {"sku": "a", "change": "ADDED", "before": None, "after": price("1")})
    assert (added["before"]["text"], added["after"]) == ("", {"text": "1 EUR"})


def test_an_error_without_a_sku_or_a_line_has_blank_cells() -> None:
    error = {"cursor": "c", "index": 0, "line": None, "sku": None, "field": None, "code": "NOT_JSON", "message": "No."}
    row = error_row(error)
    assert (row["index"]["text"], row["line"]["text"], row["sku"]["text"]) == ("0", "", "")
    assert row["problem"] == {"text": "No.", "note": "NOT_JSON"}
