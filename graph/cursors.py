"""Cursors: opaque to clients. Each names its kind; a cursor of prices also names their version."""

import base64
import binascii
import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, TypeVar, cast

import msgspec

from loaders import Window
from storage import Due, InvalidArgument, Price, PriceOrder, Selection, SortPosition

T = TypeVar("T")
K = TypeVar("K")

MAX_PAGE_SIZE = 1000
"""Number of records on a page."""

DEFAULT_PRICE_PAGE_SIZE = 100
"""Number of prices, or of differences, on a page if the request does not give a size."""

MAX_CURSOR_LENGTH = 1000
"""Number of characters of a cursor. Longer cursors are malformed."""

EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)

MAX_INSTANT = 253_402_300_799_999
"""The last millisecond of the year 9999. A later instant in a cursor is forged."""

Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""A positive integer within the range of GraphQL's Int. Any other number in a cursor is forged."""

Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,34}(\.[0-9]{1,33})?$")]
"""An amount. The limit on its digits keeps a forged one harmless."""


class PriceCursor(msgspec.Struct, array_like=True, tag="price"):
    """A position in the sku order of one version."""

    version: Number
    sku: str


class SelectionCursor(msgspec.Struct, array_like=True, tag="selection"):
    """A position in a filtered or ordered selection of the prices of one version.

    `selection` is the fingerprint of the filter and the order. Only an order by amount has the `amount`.
    """

    version: Number
    selection: str
    sku: str
    amount: Amount | None = None


class DiffCursor(msgspec.Struct, array_like=True, tag="diff"):
    """A position in the differences between two versions, in sku order.

    The sku begins with the prefix of the diff, so the length of the prefix identifies it.
    """

    before: Number
    after: Number
    sku: str
    prefix_length: int = 0


class NameCursor(msgspec.Struct, array_like=True, tag="name"):
    """A position in an ascending order of names, or in a descending order of IDs."""

    name: str


class NumberCursor(msgspec.Struct, array_like=True, tag="number"):
    """A position in an order of numbers."""

    number: Number


class DueCursor(msgspec.Struct, array_like=True, tag="due"):
    """A position among scheduled batches: the instant, in milliseconds since 1970, and the IDs of release and batch."""

    at: Annotated[int, msgspec.Meta(ge=0, le=MAX_INSTANT)]
    release: str | None
    batch: str

    @classmethod
    def of(cls, due: Due) -> "DueCursor":
        """Return the cursor of a position."""
        return cls((due.at - EPOCH) // MILLISECOND, due.release, due.batch)

    @property
    def due(self) -> Due:
        """The position."""
        return Due(EPOCH + self.at * MILLISECOND, self.release, self.batch)


def encode(cursor: msgspec.Struct) -> str:
    """Return a cursor as the text that clients receive."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode(text: str | None, kind: type[T], argument: str) -> T | None:
    """Return the cursor of a text; None without one. Raises `InvalidArgument` unless it is a cursor of this kind."""
    if text is None:
        return None
    try:
        return _decode(text, kind)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidArgument(
            f"`{argument}` is not a cursor of this connection. Send a cursor exactly as the API returned it.",
            path=(argument,),
        ) from error


def _decode(text: str, kind: type[T]) -> T:
    if len(text) > MAX_CURSOR_LENGTH:
        raise ValueError(f"A cursor has at most {MAX_CURSOR_LENGTH} characters.")
    padded = text + "=" * (-len(text) % 4)
    return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=kind)


def decode_price(text: str | None, argument: str) -> PriceCursor | SelectionCursor | None:
    """Return the cursor of prices of a text. Raises `InvalidArgument` unless it is one."""
    return decode(text, cast("type[PriceCursor | SelectionCursor]", PriceCursor | SelectionCursor), argument)


def page_size(size: int | None, default: int, argument: str = "first") -> int:
    """Return the number of records to read. Raises `InvalidArgument` outside 1 to `MAX_PAGE_SIZE`."""
    if size is None:
        return default
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidArgument(f"`{argument}` must be from 1 to {MAX_PAGE_SIZE}, not {size}.", path=(argument,))
    return size


def price_window(
    version: int, first: int | None, after: str | None, last: int | None, before: str | None
) -> Window[str]:
    """Return the window of Relay's four arguments in the sku order of a version. `last` takes precedence over `first`.

    Raises `InvalidArgument` for a cursor of another version, or of a selection. Without a version argument, `snapshot`
    takes the version of its cursors, so another version can only come from the request itself.
    """

    def position(text: str | None, argument: str) -> str | None:
        cursor = _price_cursor(version, text, argument)
        if isinstance(cursor, SelectionCursor):
            raise _other_selection_error(argument)
        return None if cursor is None else cursor.sku

    return _window(first, last, position(after, "after"), position(before, "before"))


def selection_window(
    version: int,
    selection: Selection,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Window[SortPosition]:
    """Return the window of Relay's four arguments in a selection, as `price_window` does.

    Raises `InvalidArgument` for a cursor of another version, filter or order.
    """
    fingerprint = selection.fingerprint

    def position(text: str | None, argument: str) -> SortPosition | None:
        cursor = _price_cursor(version, text, argument)
        if cursor is None:
            return None
        if not isinstance(cursor, SelectionCursor) or cursor.selection != fingerprint:
            raise _other_selection_error(argument)
        return SortPosition(cursor.sku, Decimal(cursor.amount or 0))

    return _window(first, last, position(after, "after"), position(before, "before"))


def diff_window(versions: tuple[int, int], sku_prefix: str, first: int | None, after: str | None) -> Window[str]:
    """Return the requested window of a diff. Raises `InvalidArgument` for a cursor of another diff or prefix."""
    cursor = decode(after, DiffCursor, "after")
    if cursor is not None and (cursor.before, cursor.after) != versions:
        raise InvalidArgument(
            f"`after` is a cursor of the diff from version {cursor.before} to {cursor.after}. Use it with the same "
            "versions.",
            path=("after",),
        )
    if cursor is not None and (cursor.prefix_length, cursor.sku[: len(sku_prefix)]) != (len(sku_prefix), sku_prefix):
        raise InvalidArgument(
            "`after` is a cursor of another prefix. Use it with the same `skuPrefix`.", path=("after",)
        )
    return Window(page_size(first, DEFAULT_PRICE_PAGE_SIZE), cursor.sku if cursor else None)


def selection_cursor(version: int, selection: Selection) -> Callable[[Price], str]:
    """Return a function that returns the cursor of a price of the selection."""
    fingerprint, by_amount = selection.fingerprint, selection.order is not PriceOrder.SKU

    def cursor(price: Price) -> str:
        amount = format(price.amount, "f") if by_amount else None
        return encode(SelectionCursor(version, fingerprint, price.sku, amount))

    return cursor


def _price_cursor(version: int, text: str | None, argument: str) -> PriceCursor | SelectionCursor | None:
    cursor = decode_price(text, argument)
    if cursor is not None and cursor.version != version:
        raise InvalidArgument(
            f"`{argument}` is a cursor of version {cursor.version}, but these are the prices of version {version}. "
            f"Request them with snapshot(version: {cursor.version}).",
            path=(argument,),
        )
    return cursor


def _other_selection_error(argument: str) -> InvalidArgument:
    return InvalidArgument(
        f"`{argument}` is a cursor of another filter or order. Use it with the same `filter` and `orderBy`.",
        path=(argument,),
    )


def _window(first: int | None, last: int | None, after: K | None, before: K | None) -> Window[K]:
    if last is not None:
        return Window(page_size(last, DEFAULT_PRICE_PAGE_SIZE, "last"), after, before, backward=True)
    return Window(page_size(first, DEFAULT_PRICE_PAGE_SIZE), after, before)
