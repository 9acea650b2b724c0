"""The sources of the rows of a batch: JSON in memory, or a streamed file (`storage.files.price_file`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec

from storage.fair_yield import yield_to_loop
from storage.files.json_array import split_rows
from storage.prices.row_decoder import Slice, decode_slices


class RowSource(Protocol):
    """Rows, decoded in slices. A file can be read once, JSON any number of times."""

    @property
    def expected(self) -> int | None:
        """The number of rows, or None if it is unknown before reading them."""

    @property
    def fingerprint(self) -> str | None:
        """The digest of the input. None until a file has been read to the end."""

    def slices(self) -> AsyncIterator[Slice]:
        """Yield the rows, valid and invalid ones."""

    def line_of(self, index: int) -> int | None:
        """Return the line of a row that was read; None if it has none, or it is unknown."""

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
        """Return the rows of an array, or `rows` if it is already split. Raises `InvalidArgument` for other input."""
        if rows is None:
            rows = []
            for block in split_rows(array):
                rows += block
                await yield_to_loop()
        return cls(rows, await asyncio.to_thread(lambda: blake2b(array, digest_size=16).hexdigest()))

    async def slices(self) -> AsyncIterator[Slice]:
        """Yield the rows in slices."""
        for rows in decode_slices(self._rows):
            yield rows

    def line_of(self, index: int) -> int | None:
        """Return None: rows of JSON have no lines."""
        return None

    async def drain(self) -> None:
        """Do nothing: the fingerprint is known."""
