"""Messages for amounts that cannot be decoded.

The text is rewritten step by step, from the outside in: spaces, currency, sign, then the digits. Each step that changes
it adds a name to the message.
"""

import re
import unicodedata
from decimal import Decimal

from storage.prices.item_error import quoted

MAX_AMOUNT_DIGITS = 34
"""The precision of an IEEE 754 decimal128."""

is_plain_decimal = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
"""Matches an amount: digits, and perhaps a point and more digits."""

_MAX_TEXT = 80
"""Longest text that is rewritten."""

_EXAMPLE = 'Write a decimal, such as "12.50"'

_currency_before = re.compile(r"(?:[A-Z]{3}|[A-Z]{0,2}[$€£¥₹])\s*(?=[-+(.0-9])").match
_currency_after = re.compile(r"(?<=[-)0-9.,])\s*(?:[A-Za-z]{3}|[$€£¥₹]|Kč|zł|kr)\Z").search
_negative = re.compile(r"[-\u2212]\s*(.+)|(.+)[-\u2212]|\((.+)\)").fullmatch
_exponent = re.compile(r"[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,2}").fullmatch
_grouped = re.compile(
    r"[0-9]{1,3}(?:([., \u00a0\u2009\u202f'\u2019_])[0-9]{3})(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]+)?"
).fullmatch
_comma = re.compile(r"([0-9]*),([0-9]+)").fullmatch
_one_group = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}").fullmatch


def amount_error(text: str) -> tuple[str, str]:
    """Return the code of a text that is not a plain decimal, and a message with what is wrong and how to write it."""
    rewritten = _Rewriting(text)
    is_decimal = is_plain_decimal(rewritten.text) is not None
    if rewritten.negative and is_decimal:
        return "AMOUNT_NEGATIVE", f"{quoted(text)} is negative. Write an amount of at least 0, or leave the item out."
    return "AMOUNT_NOT_DECIMAL", rewritten.message(text) if is_decimal else _not_a_number(text)


def _not_a_number(text: str) -> str:
    if not text.strip():
        return f"The amount is empty. {_EXAMPLE}, or leave the item out."
    if text == "amount":
        return "The row has the names of the columns: the header is repeated. Remove the row."
    return f"{quoted(text)} is not a decimal. {_EXAMPLE}, or leave the item out."


def number_message(number: str) -> str:
    """Return how to write an amount that was sent as a JSON number."""
    rewritten = _Rewriting(number)
    shown = f"The amount {number[:_MAX_TEXT]} is a JSON number, which may lose digits."
    if not is_plain_decimal(rewritten.text) or rewritten.negative or len(rewritten.text) > MAX_AMOUNT_DIGITS:
        return f'{shown} Write a string of at least 0, such as "12.50".'
    return f'{shown} Write a string: "{rewritten.text}".'


_CURRENCY = "a currency"


class _Rewriting:
    """A text, rewritten as a plain decimal as far as possible; `names` are what had to be changed.

    `thousands` is the other reading of a comma before three digits.
    """

    def __init__(self, text: str) -> None:
        self.names: list[str] = []
        self.negative = False
        self.thousands: str | None = None
        self.text = text
        if len(text) <= _MAX_TEXT:
            self._rewrite_outside()
            self._rewrite_digits()

    def message(self, text: str) -> str:
        """Return what is wrong with the text that was rewritten."""
        advice = f'Write "{self.text}"' if len(self.text) <= MAX_AMOUNT_DIGITS else "Write fewer digits"
        if self.thousands:
            advice = f'Write "{self.thousands}" if the comma separates thousands, otherwise "{self.text}"'
        if _CURRENCY in self.names:
            advice += ", and the currency in its own field"
        return f"{quoted(text)} has {' and '.join(self.names)}. {advice}."

    def _rewrite_outside(self) -> None:
        self._replace("spaces around it", self.text.strip())
        self._replace(_CURRENCY, _without_currency(self.text))
        self._replace("digits other than 0 to 9", _with_ascii_digits(self.text))
        if negative := _negative(self.text):
            self.negative = True
            self.text = _without_currency(next(filter(None, negative.groups())).strip())
        self._replace("a plus sign", self.text.removeprefix("+"))

    def _rewrite_digits(self) -> None:
        self._replace("an exponent", _without_exponent(self.text))
        if _one_group(self.text):
            self.thousands = self.text.replace(",", "")
            self._replace("a comma", self.text.replace(",", "."))
        self._replace("thousands separators", _without_groups(self.text))
        self._replace("a decimal comma", _comma_as_point(self.text))
        self._replace("no digit before the point", re.sub(r"\A\.(?=[0-9])", "0.", self.text))
        self._replace("no digit after the point", re.sub(r"(?<=[0-9])\.\Z", "", self.text))
        self._replace("leading zeros", re.sub(r"\A0+(?=[0-9])", "", self.text))

    def _replace(self, name: str, text: str) -> None:
        if text != self.text:
            self.names.append(name)
            self.text = text


def _without_currency(text: str) -> str:
    if found := _currency_before(text):
        return text[found.end() :]
    found = _currency_after(text)
    return text[: found.start()] if found else text


def _with_ascii_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


def _without_exponent(text: str) -> str:
    """Write out an exponent. The constructor of `Decimal` keeps all digits, unlike its arithmetic."""
    return f"{Decimal(text):f}" if _exponent(text) else text


def _without_groups(text: str) -> str:
    """Remove thousands separators. A single comma or point before three digits may be a decimal one, and stays."""
    found = _grouped(text)
    if not found or (found[1] in ".," and text.count(found[1]) == 1 and not _mixed(text)):
        return text
    whole, point, fraction = text, "", ""
    decimal = max(text.rfind("."), text.rfind(","))
    if decimal >= 0 and text[decimal] != found[1]:
        whole, point, fraction = text[:decimal], ".", text[decimal + 1 :]
    return whole.replace(found[1], "") + point + fraction


def _mixed(text: str) -> bool:
    return "." in text and "," in text


def _comma_as_point(text: str) -> str:
    found = _comma(text)
    return f"{found[1]}.{found[2]}" if found else text
