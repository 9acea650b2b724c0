"""The checks of the fields of a row. Each raises `RowRefused`, with what is wrong and what to do."""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import eq
from typing import Any

import msgspec

from storage.prices.amount_text import MAX_AMOUNT_DIGITS, amount_error, is_plain_decimal
from storage.prices.currencies import CURRENCIES
from storage.prices.item_error import MAX_ERRORS_PER_ITEM, RowRefused, quoted
from storage.prices.price import MAX_SKU_BYTES, encode_row
from storage.prices.row import MAX_ATTRIBUTES_DEPTH, Attributes, TierRow
from storage.prices.suggestions import similar_currency

MAX_ATTRIBUTES_BYTES = 16 * 1024
"""Limit of the attributes of a price, as JSON."""

MAX_QUANTITY = 2**31 - 1
"""The largest GraphQL Int."""

MAX_TIERS = 100
"""Limit of the tiers of a price."""

_control_character = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search


def errors_of(values: Mapping[str, Any]) -> Iterator[RowRefused]:
    """Yield the errors of the fields of a row, at most `MAX_ERRORS_PER_ITEM`. Each value has the type of its field."""
    return islice(_errors(values), MAX_ERRORS_PER_ITEM)


def _errors(values: Mapping[str, Any]) -> Iterator[RowRefused]:
    for check in _checks(values):
        try:
            check()
        except RowRefused as refused:
            yield refused


def _checks(values: Mapping[str, Any]) -> Iterator[Callable[[], object]]:
    for name, check in (("sku", check_sku), ("amount", check_amount), ("currency", check_currency)):
        if name in values:
            yield partial(check, values[name])
    tiers: Sequence[TierRow] = values.get("tiers") or ()
    yield partial(_check_tier_count, tiers)
    yield from (partial(_check_tier, tier) for tier in tiers[:MAX_TIERS])
    yield partial(_check_tier_quantities, tiers)
    yield partial(check_validity, values.get("validFrom"), values.get("validUntil"))
    if attributes := values.get("attributes"):
        yield partial(_check_decoded_attributes, attributes)


def check_sku(sku: str) -> None:
    """Raise `RowRefused` for an invalid sku."""
    if not sku:
        raise RowRefused("SKU_EMPTY", "The sku is empty. Write one, or leave the item out.", "sku")
    size = len(sku.encode())
    if size > MAX_SKU_BYTES:
        message = f"A sku may have at most {MAX_SKU_BYTES} bytes of UTF-8; this one has {size}. Shorten it."
        raise RowRefused("SKU_TOO_LONG", message, "sku")
    if not sku.isprintable() and (found := _control_character(sku)):
        message = f"The sku {quoted(sku)} has the control character U+{ord(found[0]):04X}. Remove it."
        raise RowRefused("SKU_CONTROL_CHARACTER", message, "sku")
    if not (stripped := sku.strip()):
        raise RowRefused("SKU_EMPTY", "The sku has only spaces. Write one, or leave the item out.", "sku")
    if stripped != sku:
        raise RowRefused("SKU_SPACES", f'{quoted(sku)} has spaces around it. Write "{stripped}".', "sku")


def have_valid_characters(skus: Sequence[str], text: str) -> bool:
    """Return whether no sku has a control character, or spaces around it. `text` is all of them, joined."""
    if not text.isprintable():
        return _control_character(text) is None and all(map(eq, map(str.strip, skus), skus))
    if " " not in text:  # the only space that is printable
        return True
    lines = "\n".join(["", *skus, ""])
    return " \n" not in lines and "\n " not in lines


def check_amount(amount: str, field: str = "amount", where: str = "") -> None:
    """Raise `RowRefused` for an invalid amount. `where` precedes the message."""
    if not is_plain_decimal(amount):
        code, message = amount_error(amount)
        raise RowRefused(code, where + message, field)
    digits = len(amount) - ("." in amount)
    if digits > MAX_AMOUNT_DIGITS:
        message = f"An amount may have at most {MAX_AMOUNT_DIGITS} digits; this one has {digits}. Round it."
        raise RowRefused("AMOUNT_TOO_LONG", where + message, field)


def check_currency(currency: str) -> None:
    """Raise `RowRefused` for an unknown currency."""
    if currency in CURRENCIES:
        return
    if not currency.strip():
        message = "The currency is empty. Write an ISO 4217 code, such as EUR."
    elif currency.strip() in CURRENCIES:
        message = f'{quoted(currency)} has spaces around it. Write "{currency.strip()}".'
    elif similar := similar_currency(currency):
        message = f"{quoted(currency)} is not an ISO 4217 currency code. Did you mean {similar}?"
    else:
        message = f"{quoted(currency)} is not an ISO 4217 currency code. Write one of three letters, such as EUR."
    raise RowRefused("CURRENCY_UNKNOWN", message, "currency")


def check_validity(valid_from: datetime.date | None, valid_until: datetime.date | None) -> None:
    """Raise `RowRefused` for an interval that ends before it begins."""
    if valid_from and valid_until and valid_until < valid_from:
        message = f"validUntil ({valid_until}) is before validFrom ({valid_from}). Exchange or correct them."
        raise RowRefused("VALIDITY_INVERTED", message, "validUntil")


def ordered_tiers(tiers: Sequence[TierRow]) -> list[tuple[int, str]]:
    """Return tiers in ascending order, as a row stores them. Raises `RowRefused`."""
    ordered = sorted({tier.minQuantity: tier.amount for tier in tiers}.items())
    amounts = [tier.amount for tier in tiers]
    if not (
        len(ordered) == len(tiers) <= MAX_TIERS
        and ordered[0][0] >= 1
        and ordered[-1][0] <= MAX_QUANTITY
        and all(map(is_plain_decimal, amounts))
        and max(map(len, amounts)) <= MAX_AMOUNT_DIGITS
    ):
        for error in errors_of({"tiers": tiers}):
            raise error
    return ordered


def _check_tier_count(tiers: Sequence[TierRow]) -> None:
    if len(tiers) > MAX_TIERS:
        message = f"A price may have at most {MAX_TIERS} tiers; this one has {len(tiers)}. Remove some."
        raise RowRefused("TIERS_TOO_MANY", message, "tiers")


def _check_tier(tier: TierRow) -> None:
    if not 1 <= tier.minQuantity <= MAX_QUANTITY:
        message = f"minQuantity must be 1 to {MAX_QUANTITY}, not {_shown(tier.minQuantity)}."
        raise RowRefused("TIER_QUANTITY_INVALID", message, "tiers")
    check_amount(tier.amount, "tiers", f"Tier {_shown(tier.minQuantity)}: ")


def _check_tier_quantities(tiers: Sequence[TierRow]) -> None:
    quantities = [tier.minQuantity for tier in tiers]
    if len(set(quantities)) < len(quantities) <= MAX_TIERS:
        repeated = next(quantity for quantity in quantities if quantities.count(quantity) > 1)
        message = f"Several tiers have the minQuantity {_shown(repeated)}. Keep one of them."
        raise RowRefused("TIER_QUANTITY_REPEATED", message, "tiers")


def _shown(number: int) -> str:
    return str(number) if -(10**20) < number < 10**20 else "a number of more than 20 digits"


class _WithAttributes(msgspec.Struct):
    """Has the type of attributes, which msgspec would analyze at each call if it were not that of a struct."""

    attributes: Attributes


def check_attributes(attributes: dict[str, Any]) -> None:
    """Raise `RowRefused` for attributes that no price can have."""
    try:
        msgspec.convert({"attributes": attributes}, _WithAttributes)
    except msgspec.ValidationError as error:
        raise too_deep() from error
    _check_decoded_attributes(attributes)


def _check_decoded_attributes(attributes: dict[str, Any]) -> None:
    """Check attributes whose depth was limited as they were decoded."""
    try:
        encode_row("0", "EUR", (), None, None, attributes)
    except OverflowError as error:
        raise too_large_integer() from error
    check_attributes_size(attributes)


def check_attributes_size(attributes: dict[str, Any]) -> None:
    """Raise `RowRefused` for attributes with too many bytes."""
    size = len(msgspec.json.encode(attributes))
    if size > MAX_ATTRIBUTES_BYTES:
        message = f"Attributes may have at most {MAX_ATTRIBUTES_BYTES} bytes of JSON; these have {size}. Shorten them."
        raise RowRefused("ATTRIBUTES_TOO_LARGE", message, "attributes")


def too_large_integer() -> RowRefused:
    """Return the error of an integer that cannot be stored."""
    message = "An integer in the attributes exceeds 64 bits. Send it as a string."
    return RowRefused("ATTRIBUTES_INVALID", message, "attributes")


def too_deep() -> RowRefused:
    """Return the error of attributes with too many levels."""
    message = f"Attributes may be nested at most {MAX_ATTRIBUTES_DEPTH} levels deep. Flatten them."
    return RowRefused("ATTRIBUTES_TOO_DEEP", message, "attributes")
