"""Quotes and unit amounts in the API."""

from typing import Any

import pytest

from tests.graph.api import Api, row

QUOTE = """query ($lines: [QuoteLineInput!]!, $v: Int) { snapshot(priceList: "retail", version: $v) {
  quote(lines: $lines) { version total currency complete lines { sku quantity unitAmount amount } }
} }"""

TEA = row("tea", "12.50", tiers=[{"minQuantity": 100, "amount": "9.95"}, {"minQuantity": 10, "amount": "11.00"}])


def lines(*items: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in items]


async def request_quote(api: Api, *items: tuple[str, int], **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(QUOTE, lines=lines(*items), **variables))["snapshot"]["quote"]
    return found


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` with two versions."""
    await api.create("retail")
    await api.publish("retail", [row("tea", "1.00"), row("cup", "2.00")])
    await api.publish("retail", [TEA, row("cup", "7.123456789"), row("yen", "5", "JPY")])
    return api


async def test_a_quote_prices_every_line_exactly(retail: Api) -> None:
    assert await request_quote(retail, ("tea", 10), ("cup", 2147483647), ("tea", 9)) == {
        "version": 2,
        "total": "15297507186.988629483",
        "currency": "EUR",
        "complete": True,
        "lines": [
            {"sku": "tea", "quantity": 10, "unitAmount": "11.00", "amount": "110.00"},
            {"sku": "cup", "quantity": 2147483647, "unitAmount": "7.123456789", "amount": "15297506964.488629483"},
            {"sku": "tea", "quantity": 9, "unitAmount": "12.50", "amount": "112.50"},
        ],
    }


async def test_a_quote_uses_the_prices_of_one_version(retail: Api) -> None:
    old = await request_quote(retail, ("tea", 10), v=1)
    assert (old["version"], old["total"]) == (1, "10.00")


async def test_a_line_without_a_price_makes_a_quote_incomplete(retail: Api) -> None:
    found = await request_quote(retail, ("tea", 1), ("nope", 3))
    assert (found["total"], found["currency"], found["complete"]) == (None, None, False)
    assert found["lines"][1] == {"sku": "nope", "quantity": 3, "unitAmount": None, "amount": None}


async def test_a_quote_in_two_currencies_has_no_total(retail: Api) -> None:
    found = await request_quote(retail, ("tea", 1), ("yen", 1))
    assert (found["total"], found["currency"], found["complete"]) == (None, None, True)
    assert [line["amount"] for line in found["lines"]] == ["12.50", "5"]


async def test_a_quote_may_be_empty(retail: Api) -> None:
    assert await request_quote(retail) == {"version": 2, "total": None, "currency": None, "complete": True, "lines": []}


@pytest.mark.parametrize("quantity", [0, -1, -(2**31)])
async def test_a_quantity_below_one_is_refused_with_its_line(retail: Api, quantity: int) -> None:
    [error] = (await retail.execute(QUOTE, lines=lines(("tea", 1), ("cup", quantity))))["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert error["path"] == ["snapshot", "quote"]
    assert "lines[1].quantity" in error["message"]


async def test_the_number_of_lines_is_limited(retail: Api) -> None:
    assert (await request_quote(retail, *[("tea", 1)] * 1000))["total"] == "12500.00"
    [error] = (await retail.execute(QUOTE, lines=lines(*[("tea", 1)] * 1001)))["errors"]
    assert error["extensions"]["code"] == "PAGE_TOO_LARGE"
    assert "1000" in error["message"]


async def test_a_unit_amount_follows_the_quantity_breaks(retail: Api) -> None:
    document = """{ snapshot(priceList: "retail") { price(sku: "tea") {
      default: unitAmount one: unitAmount(quantity: 1) nine: unitAmount(quantity: 9) ten: unitAmount(quantity: 10)
      many: unitAmount(quantity: 2147483647)
    } cup: price(sku: "cup") { unitAmount(quantity: 5) } } }"""
    assert (await retail.data(document))["snapshot"] == {
        "price": {"default": "12.50", "one": "12.50", "nine": "12.50", "ten": "11.00", "many": "9.95"},
        "cup": {"unitAmount": "7.123456789"},
    }
    refused = 'query ($q: Int!) { snapshot(priceList: "retail") { price(sku: "tea") { unitAmount(quantity: $q) } } }'
    for quantity in (0, -1):
        assert await retail.error_codes(refused, q=quantity) == ["INVALID_ARGUMENT"]
