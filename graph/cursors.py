"""Cursors: opaque to clients. Each says what it is a cursor of; one into prices also names their version."""

import base64
import binascii
from typing import Annotated, Any, TypeVar

import msgspec

from loaders import Window
from storage import InvalidArgument

T = TypeVar("T")

MAX_PAGE = 1000
MAX_CURSOR = 1000

# What GraphQL's Int can say; anything else in a cursor is forged.
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class PriceCursor(msgspec.Struct, array_like=True, tag="price"):
    """A place in the sku order of one version."""

    version: Number
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


def page_size(size: int | None, default: int, argument: str = "first") -> int:
    """Return how many records to read. Raises `InvalidArgument` outside 1 to `MAX_PAGE`."""
    if size is None:
        return default
    if not 1 <= size <= MAX_PAGE:
        raise InvalidArgument(f"`{argument}` is 1 to {MAX_PAGE}, not {size}.", path=(argument,))
    return size


def price_window(
    version: int, first: int | None, after: str | None, last: int | None, before: str | None, default: int
) -> Window:
    """Return the part of a version's sku order that Relay's four arguments ask for.

    `last` goes before `first`, which has a default. Raises `InvalidArgument` for a cursor into another version:
    `snapshot` follows its cursors to their version by itself, so the version was fixed otherwise.
    """
    cursors = {"after": read(after, PriceCursor, "after"), "before": read(before, PriceCursor, "before")}
    for argument, cursor in cursors.items():
        if cursor is not None and cursor.version != version:
            raise InvalidArgument(
                f"`{argument}` is a cursor into version {cursor.version}, but these are the prices of version "
                f"{version}. Ask for them as snapshot(version: {cursor.version}).",
                path=(argument,),
            )
    skus: dict[str, Any] = {argument: cursor and cursor.sku for argument, cursor in cursors.items()}
    if last is not None:
        return Window(page_size(last, default, "last"), **skus, backward=True)
    return Window(page_size(first, default), **skus)
