"""Findings for unreadable documents: those of a later release, and those with a missing field or a wrong value."""

from collections.abc import Awaitable
from typing import TypeVar

from storage.errors import Corrupt, UnknownFormat
from storage.integrity.findings import Finding, FindingCode

T = TypeVar("T")

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""Raised for a document with a missing field or a wrong value; `msgspec.ValidationError` is a `ValueError`."""


async def try_read(
    read: Awaitable[T], price_list: str | None, version: int | None, source: str
) -> tuple[T | None, Finding | None]:
    """Return the result of a read; or None, and a finding with the reason why the document is unreadable."""
    try:
        return await read, None
    except UnknownFormat as error:
        return None, Finding(FindingCode.FORMAT_UNKNOWN, error.message, price_list, version)
    except Corrupt as error:
        return None, Finding(FindingCode.DOCUMENT_UNREADABLE, error.message, price_list, version)
    except _UNREADABLE as error:
        message = f"The document of {source} is unreadable ({type(error).__name__}: {error})."
        return None, Finding(FindingCode.DOCUMENT_UNREADABLE, message, price_list, version)
