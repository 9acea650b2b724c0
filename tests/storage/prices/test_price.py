"""The document of a price: the BSON that PyMongo would write, decoded to exactly the price that was sent."""

import datetime
from decimal import Decimal
from typing import Any

import bson
import msgspec
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import Price, Tier
from storage.prices.price import decode
from storage.prices.row_decoder import MAX_AMOUNT_DIGITS, MAX_ATTRIBUTES_DEPTH, MAX_QUANTITY
from tests.storage.factories import document_of, row


@st.composite
def plain_decimals(draw: st.DrawFn) -> str:
    """A decimal in plain notation, of up to 34 digits and any scale."""
    digits = draw(st.text("0123456789", min_size=1, max_size=MAX_AMOUNT_DIGITS))
    scale = draw(st.integers(0, len(digits) - 1))
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return str(int(whole)) + (f".{fraction}" if fraction else "")


SKUS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=64)
KEYS = st.sampled_from(["$x", "a.b", "_id", "", "$", "n"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=3),
    max_leaves=MAX_ATTRIBUTES_DEPTH - 2,
)


TIERS = st.dictionaries(st.integers(1, MAX_QUANTITY), plain_decimals(), max_size=3).map(
    lambda tiers: [{"minQuantity": quantity, "amount": amount} for quantity, amount in tiers.items()]
)
PRICES = st.fixed_dictionaries(
    {"sku": SKUS, "amount": plain_decimals(), "currency": st.sampled_from(["EUR", "JPY", "DEM"])},
    optional={
        "tiers": TIERS,
        "validFrom": st.dates(max_value=datetime.date(2020, 1, 1)).map(str),
        "validUntil": st.dates(min_value=datetime.date(2020, 1, 1)).map(str),
        "attributes": st.dictionaries(KEYS, VALUES, max_size=3),
    },
)


def read(price: dict[str, Any]) -> Price:
    """Encode a row and decode it again."""
    return decode(bson.decode(document_of(price)))


def exact(amount: Decimal) -> tuple[int, tuple[int, ...], object]:
    """Return a decimal with its scale: 12.5 and 12.50 differ."""
    return amount.as_tuple()


def _in_order(attributes: dict[str, Any]) -> dict[str, Any]:
    """Sort by key, except that PyMongo puts an `_id` at the top level first."""
    ordered: dict[str, Any] = msgspec.to_builtins(attributes, order="sorted")
    return dict(sorted(ordered.items(), key=lambda item: item[0] != "_id"))


@given(PRICES)
@settings(deadline=None)
def test_decoding_returns_exactly_what_was_sent(sent: dict[str, Any]) -> None:
    price = read(sent)
    tiers = sorted(sent.get("tiers", []), key=lambda tier: tier["minQuantity"])
    assert (price.sku, price.currency, price.attributes) == (
        sent["sku"],
        sent["currency"],
        sent.get("attributes", {}),
    )
    assert exact(price.amount) == exact(Decimal(sent["amount"]))
    assert [(tier.min_quantity, exact(tier.amount)) for tier in price.tiers] == [
        (tier["minQuantity"], exact(Decimal(tier["amount"]))) for tier in tiers
    ]
    assert [day and day.isoformat() for day in (price.valid_from, price.valid_until)] == [
        sent.get("validFrom"),
        sent.get("validUntil"),
    ]


@given(PRICES, st.integers(0, 2**40))
@settings(deadline=None)
def test_the_document_is_what_pymongo_would_encode(sent: dict[str, Any], position: int) -> None:
    tiers = sorted(sent.get("tiers", []), key=lambda tier: tier["minQuantity"])
    optional = {
        "tiers": [{**tier, "amount": Decimal128(tier["amount"])} for tier in tiers],
        "validFrom": sent.get("validFrom"),
        "validUntil": sent.get("validUntil"),
        "attributes": _in_order(sent.get("attributes", {})),
    }
    assert document_of(sent, position) == bson.encode(
        {
            "_id": sent["sku"],
            "amount": Decimal128(sent["amount"]),
            "currency": sent["currency"],
            **{name: value for name, value in optional.items() if value},
            "n": Int64(position),
        }
    )


@pytest.mark.parametrize(
    "amount",
    ["0", "0.00", "12.50", "12.5", "1000000", "0." + "0" * 32 + "1", "9" * 34, "9" * 17 + "." + "9" * 17],
)
def test_an_amount_keeps_its_scale(amount: str) -> None:
    assert format(read(row("a", amount)).amount, "f") == amount


@pytest.mark.parametrize("more", [{}, {"$db": "d"}, {"x": {"$ref": "b", "$id": 2**40}}])
def test_an_attribute_that_looks_like_a_dbref_is_an_object(more: dict[str, Any]) -> None:
    sent = {"a": {"$ref": "b", "$id": {"c": 1}, **more}, "list": [{"$ref": "b", "$id": 1}]}
    assert msgspec.json.encode(read(row("a", attributes=sent)).attributes, order="sorted") == msgspec.json.encode(
        sent, order="sorted"
    )


def test_all_fields_of_a_price_are_decoded() -> None:
    sent = row(
        "a",
        "12.50",
        tiers=[{"minQuantity": 100, "amount": "11.00"}, {"minQuantity": 10, "amount": "12.00"}],
        validFrom="2026-01-01",
        validUntil="2026-12-31",
        attributes={"$set": {"a.b": [1, None, {"": 2.5}]}, "_id": "x"},
    )
    assert read(sent) == Price(
        "a",
        Decimal("12.50"),
        "EUR",
        (Tier(10, Decimal("12.00")), Tier(100, Decimal("11.00"))),
        datetime.date(2026, 1, 1),
        datetime.date(2026, 12, 31),
        {"$set": {"a.b": [1, None, {"": 2.5}]}, "_id": "x"},
    )


@given(st.dictionaries(KEYS, VALUES, max_size=3))
@settings(deadline=None)
def test_attributes_are_decoded_to_json_types(attributes: dict[str, Any]) -> None:
    decoded = read(row("a", attributes=attributes)).attributes
    assert msgspec.json.decode(msgspec.json.encode(decoded)) == attributes


@pytest.mark.parametrize("attributes", [{"gtin": 2**31}, {"gtin": {"codes": [-(2**63), 2**63 - 1]}}])
def test_64_bit_integers_are_decoded_to_plain_integers(attributes: dict[str, Any]) -> None:
    assert msgspec.json.encode(read(row("a", attributes=attributes)).attributes) == msgspec.json.encode(attributes)


def test_currencies_and_attribute_names_are_interned() -> None:
    first, second = (read(row(sku, attributes={"colour": {"name": "blue"}})) for sku in "ab")
    assert first.currency is second.currency
    assert next(iter(first.attributes)) is next(iter(second.attributes))
    assert next(iter(first.attributes["colour"])) is next(iter(second.attributes["colour"]))
