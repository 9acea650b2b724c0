"""Cursors: opaque to clients. Each says what it is a cursor of; one into prices also names their version."""

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, TypeVar, cast

import msgspec

from loaders import Window
from storage import InvalidArgument, Place, Price, PriceOrder, Selection

T = TypeVar("T")
K = TypeVar("K")

MAX_PAGE = 1000
MAX_CURSOR = 1000

# What GraphQL's Int can say; anything else in a cursor is forged.
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


# An amount, or a forgery that does no harm.
Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,34}(\.[0-9]{1,33})?$")]


class PriceCursor(msgspec.Struct, array_like=True, tag="price"):
    """A place in the sku order of one version."""

    version: Number
    sku: str


class SelectionCursor(msgspec.Struct, array_like=True, tag="selection"):
    """A place among the prices of one version that a filter lets through, in an order: `selection` tells which.

    Orders of amounts have the amount too.
    """

    version: Number
    selection: str
    sku: str
    amount: Amount | None = None


class DiffCursor(msgspec.Struct, array_like=True, tag="diff"):
    """A place in the sku order of what differs between two versions."""

    before: Number
    after: Number
    sku: str


class NameCursor(msgspec.Struct, array_like=True, tag="name"):
    """A place in the order of names, or of ids from the newest."""

    name: str


class NumberCursor(msgspec.Struct, array_like=True, tag="number"):
    """A place in an order of numbers, from the highest."""

    number: Number


def write(cursor: msgspec.Struct) -> str:
    """Return a cursor as clients get it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read(text: str | None, kind: type[T], argument: str) -> T | None:
    """Return the cursor that a client sent back. Raises `InvalidArgument` for what is none of this kind."""
    if text is None:
        return None
    try:
        padded = text[:MAX_CURSOR] + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidArgument(
            f"`{argument}` is no cursor of this list. Send back a cursor as you got it.", path=(argument,)
        ) from error


def read_price(text: str | None, argument: str) -> PriceCursor | SelectionCursor | None:
    """Return a cursor into prices that a client sent back. Raises `InvalidArgument` for what is none."""
    return read(text, cast("type[PriceCursor | SelectionCursor]", PriceCursor | SelectionCursor), argument)


def page_size(size: int | None, default: int, argument: str = "first") -> int:
    """Return how many records to read. Raises `InvalidArgument` outside 1 to `MAX_PAGE`."""
    if size is None:
        return default
    if not 1 <= size <= MAX_PAGE:
        raise InvalidArgument(f"`{argument}` is 1 to {MAX_PAGE}, not {size}.", path=(argument,))
    return size


def price_window(
    version: int, first: int | None, after: str | None, last: int | None, before: str | None, default: int
) -> Window[str]:
    """Return the part of a version's sku order that Relay's four arguments ask for.

    `last` goes before `first`, which has a default. Raises `InvalidArgument` for a cursor into another version:
    `snapshot` follows its cursors to their version by itself, so the version was fixed otherwise. So it does for a
    cursor of a selection.
    """

    def place(text: str | None, argument: str) -> str | None:
        cursor = _price_cursor(version, text, argument)
        if isinstance(cursor, SelectionCursor):
            raise _of_another_selection(argument)
        return None if cursor is None else cursor.sku

    return _window(first, last, default, place(after, "after"), place(before, "before"))


def selection_window(
    version: int,
    selection: Selection,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    default: int,
) -> Window[Place]:
    """Return the part of a selection that Relay's four arguments ask for, as `price_window` does.

    Raises `InvalidArgument` also for a cursor of another filter or order.
    """
    fingerprint = selection.fingerprint

    def place(text: str | None, argument: str) -> Place | None:
        cursor = _price_cursor(version, text, argument)
        if cursor is None:
            return None
        if not isinstance(cursor, SelectionCursor) or cursor.selection != fingerprint:
            raise _of_another_selection(argument)
        return Place(cursor.sku, Decimal(cursor.amount or 0))

    return _window(first, last, default, place(after, "after"), place(before, "before"))


def diff_window(versions: tuple[int, int], first: int | None, after: str | None, default: int) -> Window[str]:
    """Return the part of a diff that is asked for. Raises `InvalidArgument` for a cursor of another diff."""
    cursor = read(after, DiffCursor, "after")
    if cursor is not None and (cursor.before, cursor.after) != versions:
        raise InvalidArgument(
            f"`after` is a cursor of the diff from version {cursor.before} to {cursor.after}. Page with the versions "
            "of the first page.",
            path=("after",),
        )
    return Window(page_size(first, default), cursor.sku if cursor else None)


def of_selection(version: int, selection: Selection) -> Callable[[Price], str]:
    """Return what gives each price of a selection its cursor."""
    fingerprint, by_amount = selection.fingerprint, selection.order is not PriceOrder.SKU

    def cursor(price: Price) -> str:
        amount = format(price.amount, "f") if by_amount else None
        return write(SelectionCursor(version, fingerprint, price.sku, amount))

    return cursor


def _price_cursor(version: int, text: str | None, argument: str) -> PriceCursor | SelectionCursor | None:
    cursor = read_price(text, argument)
    if cursor is not None and cursor.version != version:
        raise InvalidArgument(
            f"`{argument}` is a cursor into version {cursor.version}, but these are the prices of version "
            f"{version}. Ask for them as snapshot(version: {cursor.version}).",
            path=(argument,),
        )
    return cursor


def _of_another_selection(argument: str) -> InvalidArgument:
    return InvalidArgument(
        f"`{argument}` is a cursor of another filter or order. Page with the `filter` and `orderBy` of the first page.",
        path=(argument,),
    )


def _window(first: int | None, last: int | None, default: int, after: K | None, before: K | None) -> Window[K]:
    if last is not None:
        return Window(page_size(last, default, "last"), after, before, backward=True)
    return Window(page_size(first, default), after, before)
