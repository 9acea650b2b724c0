"""The sources of a batch's rows: JSON in memory, or a file that is still arriving (`storage.files.price_file`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec

from storage.fair_yield import yield_to_loop
from storage.files.json_array import split_rows
from storage.prices.row_decoder import Slice, decode_slices


class RowSource(Protocol):
    """Rows, decoded in slices. A file can be read once, JSON as often as it takes."""

    @property
    def expected(self) -> int | None:
        """How many rows there are, where that is known before they are read."""

    @property
    def fingerprint(self) -> str | None:
        """The digest of the rows as they were sent; None as long as a file has not been read to the end."""

    def slices(self, first: int = 0) -> AsyncIterator[Slice]:
        """Return the rows; `first` is the position in the batch of the first of them."""

    async def drain(self) -> None:
        """Read to the end without decoding, so that the fingerprint is known."""


class JsonRows:
    """The rows of a JSON array."""

    def __init__(self, rows: Sequence[msgspec.Raw], fingerprint: str) -> None:
        self._rows = rows
        self.expected = len(rows)
        self.fingerprint = fingerprint

    @classmethod
    async def read(cls, array: bytes | memoryview, rows: list[msgspec.Raw] | None = None) -> "JsonRows":
        """Return the rows of an array, or those that were cut out of it. Raises `InvalidArgument` when it is none."""
        if rows is None:
            rows = []
            for block in split_rows(array):
                rows += block
                await yield_to_loop()
        return cls(rows, await asyncio.to_thread(lambda: blake2b(array, digest_size=16).hexdigest()))

    async def slices(self, first: int = 0) -> AsyncIterator[Slice]:
        """Return the rows in slices."""
        for rows in decode_slices(self._rows, first):
            yield rows

    async def drain(self) -> None:
        """There is nothing to wait for."""
