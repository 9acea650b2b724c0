"""What a check cannot read: documents of a later release, and documents that are not as any release writes them."""

from collections.abc import Awaitable
from typing import TypeVar

from storage.errors import UnknownFormat
from storage.integrity.findings import Finding, FindingCode

T = TypeVar("T")

# What comes of a document that lacks a field, or has another type or value in it than any release writes.
_NOT_AS_WRITTEN = (KeyError, TypeError, ValueError, AttributeError)


async def understood(
    reading: Awaitable[T], price_list: str | None, version: int | None, what: str
) -> tuple[T | None, Finding | None]:
    """Return what a read of one document brings; or None, and a finding that says why it cannot be read."""
    try:
        return await reading, None
    except UnknownFormat as error:
        return None, Finding(FindingCode.FORMAT_UNKNOWN, error.message, price_list, version)
    except _NOT_AS_WRITTEN as error:
        message = f"The document of {what} is not as Pricebook writes it ({type(error).__name__}: {error})."
        return None, Finding(FindingCode.DOCUMENT_UNREADABLE, message, price_list, version)
