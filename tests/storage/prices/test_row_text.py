"""However many mistakes a row has, only those that are reported are looked at."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from unittest.mock import Mock, patch

import msgspec
import pytest

from storage.prices import suggestions
from storage.prices.item_error import MAX_ERRORS_PER_ITEM
from storage.prices.row_decoder import SLICE_BYTES, decode_slices
from storage.prices.suggestions import similar_field
from tests.storage.factories import row, rows
from tests.storage.reading import Decoded, joined


@pytest.fixture
def compare() -> Iterator[Mock]:
    """Counts the names that are compared with those of the fields."""
    suggestions._similar_field.cache_clear()
    with patch("storage.prices.suggestions.get_close_matches", wraps=get_close_matches) as compare:
        yield compare


def decoded(batch: Sequence[object]) -> Decoded:
    return joined(decode_slices([msgspec.Raw(msgspec.json.encode(each)) for each in batch]))


def test_no_more_names_are_compared_than_errors_are_reported(compare: Mock) -> None:
    bad = {"sku": "a", **{f"colour{number}": 1 for number in range(1000)}}
    assert len(decoded([bad]).errors) == MAX_ERRORS_PER_ITEM
    assert compare.call_count == MAX_ERRORS_PER_ITEM


def test_a_name_that_is_in_every_row_is_compared_once(compare: Mock) -> None:
    assert len(decoded([row(f"{number}", colour="red") for number in range(300)]).errors) == 300
    assert compare.call_count == 1


def test_a_long_name_is_not_compared(compare: Mock) -> None:
    assert similar_field("valid until " + "x" * 10, ("validUntil",)) is None
    assert compare.call_count == 0


def test_no_more_tiers_are_looked_at_than_errors_are_reported() -> None:
    tiers = [{"minQuantty": number, "amount": "1"} for number in range(100)]
    with patch("storage.prices.row_text.similar_field", wraps=similar_field) as similar:
        assert len(decoded([row("a", tiers=tiers)]).errors) == MAX_ERRORS_PER_ITEM
    assert similar.call_count == MAX_ERRORS_PER_ITEM


def test_a_field_that_the_row_has_is_not_suggested() -> None:
    [error] = decoded([row("a", price="2")]).errors
    assert "Did you mean" not in error.message
    without_amount = {"sku": "a", "currency": "EUR", "price": "2"}
    [error] = decoded([without_amount]).errors
    assert "Did you mean amount?" in error.message


@pytest.mark.parametrize(
    ("tier", "suggestion"),
    [
        ({"quantity": 5, "minQuantity": 5, "amount": "1"}, None),
        ({"price": "1", "minQuantity": 5, "amount": "1"}, None),
        ({"quantity": 5, "amount": "1"}, "minQuantity"),
        ({"price": "1", "minQuantity": 5}, "amount"),
    ],
)
def test_a_field_that_the_tier_has_is_not_suggested(tier: dict[str, object], suggestion: str | None) -> None:
    [error] = decoded([row("a", tiers=[tier])]).errors
    assert error.message.endswith(f"Did you mean {suggestion}?" if suggestion else "Remove it.")


@pytest.mark.parametrize("attributes", ['{"a": 1e999}', '{"a": -1e999}', '{"a": [1, {"b": 1e999}]}'])
def test_a_number_out_of_range_is_not_taken_for_a_nested_value(attributes: str) -> None:
    text = f'{{"sku": "a", "amount": "1", "currency": "EUR", "attributes": {attributes}}}'
    [error] = joined(decode_slices([msgspec.Raw(text.encode())])).errors
    assert (error.code, error.field) == ("ATTRIBUTES_INVALID", "attributes")
    assert error.message.endswith("Send it as a string.")


def test_a_row_with_a_field_twice_is_not_called_malformed() -> None:
    text = b'{"sku": 1, "sku": "a", "amount": "1", "currency": "EUR"}'
    [error] = joined(decode_slices([msgspec.Raw(text)])).errors
    assert (error.code, error.field, error.sku) == ("ROW_NOT_JSON", None, "a")
    assert "not valid JSON" not in error.message
    assert "write each field once" in error.message


@pytest.mark.parametrize(
    ("amount", "decimal"),
    [
        ("12345678901234567890123456789012e1", "123456789012345678901234567890120"),
        ("1.234567890123456789012345678901234e33", "1234567890123456789012345678901234"),
        ("1234567890123456789012345678901e-2", "12345678901234567890123456789.01"),
    ],
)
def test_the_digits_of_an_amount_with_an_exponent_are_kept(amount: str, decimal: str) -> None:
    [error] = decoded([{**row("a"), "amount": amount}]).errors
    assert error.message.endswith(f'Write "{decimal}".')


def test_attributes_are_not_converted_again() -> None:
    with patch("storage.prices.row_checks.msgspec.convert") as convert:
        assert len(decoded([{**row("a", attributes={"colour": "red"}), "amount": 1.5}]).errors) == 1
    assert convert.call_count == 0


def test_a_slice_of_long_rows_has_fewer_of_them() -> None:
    attributes = {"text": "x" * 16_000}
    long = [{**each, "attributes": attributes} for each in rows(100)]
    slices = list(decode_slices([msgspec.Raw(msgspec.json.encode(each)) for each in long]))
    assert max(sum(map(len, each.rows)) for each in slices) <= SLICE_BYTES
    assert len(slices) <= 8
    assert joined(slices).skus == [each["sku"] for each in long]
    assert joined(slices).positions == list(range(100))


def test_a_row_over_the_limit_of_a_slice_is_a_slice() -> None:
    batch = [row("a", attributes={"text": "x" * 300_000}), row("b")]
    result = decoded(batch)
    assert (result.skus, [error.code for error in result.errors]) == (["b"], ["ATTRIBUTES_TOO_LARGE"])
