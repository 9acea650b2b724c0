"""The row of a price: decoded to exactly the price that was sent; equal prices have equal bytes."""

import datetime
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Price, Tier
from storage.prices.amount_text import MAX_AMOUNT_DIGITS
from storage.prices.price import TOMBSTONE, RowHead, amount_of, decode_row, decode_rows, encode_row
from storage.prices.row import MAX_ATTRIBUTES_DEPTH
from storage.prices.row_checks import MAX_QUANTITY
from storage.prices.row_decoder import decode_slice
from tests.storage.factories import encoded, row


@st.composite
def plain_decimals(draw: st.DrawFn) -> str:
    """A decimal in plain notation, of up to 34 digits and any scale."""
    digits = draw(st.text("0123456789", min_size=1, max_size=MAX_AMOUNT_DIGITS))
    scale = draw(st.integers(0, len(digits) - 1))
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return str(int(whole)) + (f".{fraction}" if fraction else "")


SKUS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=64)
    .map(str.strip)
    .filter(bool)
)
KEYS = st.sampled_from(["$x", "a.b", "_id", "", "\0"]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
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
    """Store a row and decode it again."""
    decoded = decode_row(price["sku"], encoded(price))
    assert decoded is not None
    return decoded


def exact(amount: Decimal) -> tuple[int, tuple[int, ...], object]:
    """Return a decimal with its scale: 12.5 and 12.50 differ."""
    return amount.as_tuple()


@given(PRICES)
def test_decoding_returns_exactly_what_was_sent(sent: dict[str, Any]) -> None:
    price = read(sent)
    tiers = sorted(sent.get("tiers", []), key=lambda tier: tier["minQuantity"])
    assert (price.sku, price.currency) == (sent["sku"], sent["currency"])
    assert exact(price.amount) == exact(Decimal(sent["amount"]))
    assert [(tier.min_quantity, exact(tier.amount)) for tier in price.tiers] == [
        (tier["minQuantity"], exact(Decimal(tier["amount"]))) for tier in tiers
    ]
    assert [day and day.isoformat() for day in (price.valid_from, price.valid_until)] == [
        sent.get("validFrom"),
        sent.get("validUntil"),
    ]
    # As JSON, because to Python 1, 1.0 and true are equal.
    assert json.dumps(price.attributes, sort_keys=True) == json.dumps(sent.get("attributes", {}), sort_keys=True)


def shuffled(value: Any, random: Any) -> Any:
    """Return JSON with the members of all objects in another order."""
    if isinstance(value, dict):
        members = [(key, shuffled(child, random)) for key, child in value.items()]
        random.shuffle(members)
        return dict(members)
    return [shuffled(child, random) for child in value] if isinstance(value, list) else value


@given(PRICES, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([None, 1]))
def test_equal_prices_have_equal_bytes(sent: dict[str, Any], random: Any, ascii_only: bool, indent: int | None) -> None:
    other = shuffled(sent, random)
    random.shuffle(other.get("tiers", []))
    if not other.get("tiers"):
        other["tiers"] = random.choice([None, []])
    if not other.get("attributes"):
        other["attributes"] = random.choice([None, {}])
    text = json.dumps(other, ensure_ascii=ascii_only, indent=indent).encode()
    assert decode_slice([text], 0).rows == [encoded(sent)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"amount": "1.0"}, {"amount": "1.00"}),
        ({"amount": "1"}, {"amount": "1.0"}),
        ({"validFrom": "2026-01-01"}, {"validUntil": "2026-01-01"}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": 1.0}}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": "1"}}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": True}}),
        ({"attributes": {"x": None}}, {"attributes": {}}),
        ({"attributes": {"x": [1, 2]}}, {"attributes": {"x": [2, 1]}}),
    ],
)
def test_prices_that_differ_slightly_have_different_bytes(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert encoded({**row("a"), **one}) != encoded({**row("a"), **other})


def test_trailing_defaults_are_left_out() -> None:
    day = datetime.date(2026, 1, 31)
    assert [
        msgspec.msgpack.decode(stored)
        for stored in (
            encode_row("1.50", "EUR"),
            encode_row("1.50", "EUR", [(5, "1.40")]),
            encode_row("1.50", "EUR", (), day),
            encode_row("1.50", "EUR", (), None, day),
            encode_row("1.50", "EUR", (), None, None, {"b": 1, "a": 2}),
        )
    ] == [
        ["1.50", "EUR"],
        ["1.50", "EUR", [[5, "1.40"]]],
        ["1.50", "EUR", [], "2026-01-31"],
        ["1.50", "EUR", [], None, "2026-01-31"],
        ["1.50", "EUR", [], None, None, {"a": 2, "b": 1}],
    ]
    assert encode_row("1.50", "EUR") == b"\x92\xa41.50\xa3EUR"


@pytest.mark.parametrize(
    "amount",
    ["0", "0.00", "12.50", "12.5", "1000000", "0." + "0" * 32 + "1", "9" * 34, "9" * 17 + "." + "9" * 17],
)
def test_an_amount_keeps_its_scale(amount: str) -> None:
    assert format(read(row("a", amount)).amount, "f") == amount
    assert format(amount_of(memoryview(encoded(row("a", amount, attributes={"x": 1})))), "f") == amount


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
        Decimal("12.50"),
        "EUR",
        (Tier(10, Decimal("12.00")), Tier(100, Decimal("11.00"))),
        datetime.date(2026, 1, 1),
        datetime.date(2026, 12, 31),
        {"$set": {"a.b": [1, None, {"": 2.5}]}, "_id": "x"},
        sku="a",
    )
    head = msgspec.msgpack.decode(encoded(sent), type=RowHead)
    assert (head.amount, head.currency) == (Decimal("12.50"), "EUR")
    assert (head.valid_from, head.valid_until) == ("2026-01-01", "2026-12-31")


@given(st.lists(st.none() | PRICES, max_size=20))
def test_rows_in_an_array_are_decoded_as_each_alone(sent: list[dict[str, Any] | None]) -> None:
    skus = [price["sku"] if price else "removed" for price in sent]
    rows = [encoded(price) if price else TOMBSTONE for price in sent]
    array = msgspec.msgpack.encode([msgspec.Raw(each) for each in rows])
    decoded = decode_rows(skus, memoryview(array))
    assert decoded == [decode_row(sku, memoryview(each)) for sku, each in zip(skus, rows, strict=True)]
    assert (
        [price is None for price in decoded]
        == [price is None for price in sent]
        == [each == TOMBSTONE for each in rows]
    )
    assert all(price is None or price.sku == sku for price, sku in zip(decoded, skus, strict=True))


def test_prices_share_their_currencies_and_attribute_names() -> None:
    first, second = (read(row(sku, attributes={"colour": {"name": "blue"}})) for sku in "ab")
    assert first.currency is second.currency
    assert next(iter(first.attributes)) is next(iter(second.attributes))
    assert next(iter(first.attributes["colour"])) is next(iter(second.attributes["colour"]))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\xa41.50", b"\x92\xa41.50\xa3XXL", b"\x91\xa41.50", b"\xa41.50"])
def test_bytes_that_are_no_row_are_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_row("a", data)
