"""Messages for rows that cannot be decoded. Each field is decoded by itself, to find all errors."""

import re
from collections.abc import Container, Iterator
from itertools import islice
from typing import Any

import msgspec

from storage.prices.amount_text import number_message
from storage.prices.date_text import date_message
from storage.prices.item_error import MAX_ERRORS_PER_ITEM, RowRefused, quoted
from storage.prices.row import Row, TierRow
from storage.prices.row_checks import MAX_TIERS, errors_of, too_deep
from storage.prices.suggestions import similar_field

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors that msgspec raises for invalid input."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_ONE_ROW = "Write one JSON object a line"

_ROW = '{"sku": "A", "amount": "1.50", "currency": "EUR"}'

_KINDS = {b"n": "null", b"t": "true", b"f": "false", b'"': "a string", b"[": "an array", b"{": "an object"}
"""Kinds of JSON values, by first byte. Others are numbers."""

_TIER = '{"minQuantity": 10, "amount": "9.90"}'

_EXAMPLES = {
    "tiers": f"an array, such as [{_TIER}]",
    "attributes": 'an object, such as {"colour": "red"}',
}

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_tier = msgspec.json.Decoder(TierRow).decode
_fields = {field.name: msgspec.json.Decoder(field.type).decode for field in msgspec.structs.fields(Row)}
_names = tuple(_fields)
_tier_names = TierRow.__struct_fields__
_required = [field.name for field in msgspec.structs.fields(Row) if field.required]

_position = re.compile(r"\(byte ([0-9]+)\)").search


def errors_of_text(raw: msgspec.Raw | bytes, error: str) -> tuple[str | None, list[RowRefused]]:
    """Return the sku and the errors of a row that was not decoded; `error` is the message of the decoder."""
    text = bytes(raw)
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        return None, [not_utf8(text[undecodable.start])]
    try:
        members = _members(text)
    except msgspec.ValidationError:
        return None, [RowRefused("ROW_NOT_OBJECT", _not_an_object(text))]
    except UNDECODABLE as malformed:
        return None, [RowRefused("ROW_NOT_JSON", _not_json(text, malformed))]
    values, errors = _decode_fields(members)
    errors += errors_of(values)
    errors.sort(key=_field_order)
    sku = values.get("sku")
    return sku, errors[:MAX_ERRORS_PER_ITEM] or [_undecodable(error)]


def _undecodable(error: str) -> RowRefused:
    """Return the error of a row whose members are all valid: a repeated one may have had an invalid value before."""
    return RowRefused("ROW_NOT_JSON", f"The row cannot be read: {error}. Correct it, and write each field once.")


def not_utf8(byte: int) -> RowRefused:
    """Return the error of a row with a byte that is not UTF-8."""
    character = bytes([byte]).decode("cp1252", "replace")
    meaning = f", {character!r} in Windows-1252 and Latin-1" if character.isalnum() or character in "€£" else ""
    message = f"The row is not UTF-8: it has the byte 0x{byte:02X}{meaning}. Save the file as UTF-8."
    return RowRefused("ENCODING_INVALID", message)


def _unknown_field(name: str, members: Container[str]) -> RowRefused:
    """Return the error of a field that a price does not have; `members` are the fields of the row."""
    advice = _suggestion(name, _names, members) or "Remove it, or move it into `attributes`."
    return RowRefused("FIELD_UNKNOWN", f"A price has no field {quoted(name)}. {advice}", name[:100])


def _suggestion(name: str, known: tuple[str, ...], members: Container[str]) -> str | None:
    """Return the question whether a known name is meant, or None if none is similar or the object has it already."""
    similar = similar_field(name, known)
    return f"Did you mean {similar}?" if similar and similar not in members else None


def _field_order(error: RowRefused) -> int:
    return _names.index(error.field) if error.field in _names else len(_names)


def _decode_fields(members: dict[str, msgspec.Raw]) -> tuple[dict[str, Any], list[RowRefused]]:
    """Return the fields that can be decoded, and the errors of the others."""
    values: dict[str, Any] = {}
    errors: list[RowRefused] = []
    for name, raw in members.items():
        if len(errors) == MAX_ERRORS_PER_ITEM:
            break
        if name not in _fields:
            errors.append(_unknown_field(name, members))
            continue
        try:
            values[name] = _fields[name](raw)
        except UNDECODABLE as error:
            errors += _field_errors(name, bytes(raw), error)
    unknown = islice((name for name in members if name not in _fields), MAX_ERRORS_PER_ITEM)
    misspelt = {similar_field(name, _names) for name in unknown}
    errors += [
        RowRefused("FIELD_MISSING", f"The required field {name!r} is missing. Add it.", name)
        for name in _required
        if name not in members and name not in misspelt
    ]
    return values, errors


def _field_errors(name: str, raw: bytes, error: Exception) -> list[RowRefused]:
    """Return the errors of a field whose value has the wrong type."""
    kind = _KINDS.get(raw[:1], "a number")
    if name == "amount":
        message = number_message(raw.decode()) if kind == "a number" else _must_be("amount", "a string", kind, "12.50")
        return [RowRefused("AMOUNT_NOT_DECIMAL", message, name)]
    if name in {"sku", "currency"}:
        example = raw.decode() if kind == "a number" and len(raw) <= 40 else {"sku": "TEA-100"}.get(name, "EUR")
        return [RowRefused("FIELD_TYPE", _must_be(name, "a string", kind, example), name)]
    if name in {"validFrom", "validUntil"}:
        text = msgspec.json.decode(raw) if kind == "a string" else None
        message = _must_be(name, "a string", kind, "2026-12-31") if text is None else date_message(text)
        return [RowRefused("DATE_INVALID", message, name)]
    if name == "tiers" and kind == "an array":
        return list(islice(_tier_errors(raw), MAX_ERRORS_PER_ITEM)) or [RowRefused("FIELD_TYPE", f"{error}.", name)]
    if name == "attributes" and kind == "an object":
        return [_attributes_error(error)]
    code = "ATTRIBUTES_INVALID" if name == "attributes" else "FIELD_TYPE"
    return [RowRefused(code, f"The field {name!r} must be {_EXAMPLES[name]}, not {kind}.", name)]


def _must_be(name: str, expected: str, kind: str, example: str) -> str:
    return f'The field {name!r} must be {expected}, such as "{example}", not {kind}.'


def _attributes_error(error: Exception) -> RowRefused:
    if not isinstance(error, msgspec.ValidationError):
        message = f"The attributes cannot be read: {error}. Correct them."
    elif "out of range" in str(error):
        message = "A number in the attributes exceeds the range of a 64-bit float. Send it as a string."
    else:
        return too_deep()
    return RowRefused("ATTRIBUTES_INVALID", message, "attributes")


def _tier_errors(raw: bytes) -> Iterator[RowRefused]:
    for number, tier in enumerate(_items(raw)[:MAX_TIERS], 1):
        try:
            _tier(tier)
        except UNDECODABLE as error:
            yield RowRefused("FIELD_TYPE", f"Tier number {number}: {_tier_message(bytes(tier), error)}", "tiers")


def _tier_message(raw: bytes, error: Exception) -> str:
    try:
        members = _members(raw)
    except UNDECODABLE:
        return f"It must be an object, such as {_TIER}."
    for name in members:
        if name not in _tier_names:
            return f"A tier has no field {quoted(name)}. {_suggestion(name, _tier_names, members) or 'Remove it.'}"
    amount = bytes(members.get("amount", b'"'))
    if amount[:1] not in _KINDS:
        return number_message(amount.decode())
    return f'{str(error).replace("$.", "")}. Write it as in {{"minQuantity": 10, "amount": "9.90"}}.'


def _not_an_object(text: bytes) -> str:
    kind = _KINDS.get(text[:1], "a number")
    return f"A row must be a JSON object, such as {_ROW}, not {kind}."


def _not_json(text: bytes, error: Exception) -> str:
    """Return what is wrong with a line of NDJSON that is not JSON."""
    message = str(error).removeprefix("JSON is malformed: ")
    if text.startswith(_BYTE_ORDER_MARK):
        return "A byte order mark stands before the row: two files were joined. Remove the mark."
    if text.strip(b" \t,") in {b"[", b"]", b"],"}:
        return f"The line is a bracket of a JSON array. {_ONE_ROW}, without brackets."
    found = _position(message)
    rest = text[int(found[1]) - 1 :].strip() if found else b""
    if "trailing characters" in message and rest == b",":
        return f"A comma follows the object. {_ONE_ROW}, without commas between them."
    if "trailing characters" in message and rest.lstrip(b", \t")[:1] == b"{":
        return f"Several objects are on one line. {_ONE_ROW}."
    if "trailing comma" in message:
        return f"A comma stands before a closing bracket, at byte {found[1] if found else 0}. Remove it."
    if "truncated" in message:
        return f"The line ends within the object. {_ONE_ROW}, without line breaks in it."
    if text.startswith(b"{'"):
        return 'The names are in single quotes. Write double quotes: {"sku": "A"}.'
    if text[:1] != b"{":
        return (
            f'The line is not a JSON object. {_ONE_ROW}, such as {{"sku": "A", "amount": "1.50", "currency": "EUR"}}.'
        )
    return f"The row is not valid JSON: {message}. Correct it."
