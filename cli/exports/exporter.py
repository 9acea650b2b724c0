"""The export of a version, page by page: all pages are of the same version, even if others are published."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

import msgspec

from cli.client import Json
from cli.client.errors import ApiError
from cli.exports.rows import Columns, ndjson_of, row_of

EXPORT = """
query Export($priceList: ID!, $version: Int, $after: String) {
  snapshot(priceList: $priceList, version: $version) {
    version
    size
    prices(first: 1000, after: $after) {
      nodes { sku amount currency tiers { minQuantity amount } validFrom validUntil attributes }
      pageInfo { endCursor hasNextPage }
    }
  }
}"""

_CONVERTED_ROWS = 1000
"""Number of rows that are converted to CSV at once."""

Execute = Callable[[str, Json], Awaitable[Json]]
"""Executes a document with variables and returns the `data` of the response."""

ShowProgress = Callable[[int, int], None]
"""Receives the number of rows read and the number of all rows."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The version that was exported, and its number of rows."""

    price_list: str
    version: int
    rows: int


class Exporter:
    """Exports one version of a price list; if it is None, the one that is current when the first page is read."""

    def __init__(self, execute: Execute, price_list: str, version: int | None, show_progress: ShowProgress) -> None:
        self._execute = execute
        self._price_list = price_list
        self._version = version
        self._show_progress = show_progress
        self._rows = 0

    async def ndjson(self, out: BinaryIO) -> Exported:
        """Write the version as NDJSON. Raises `ApiError`."""
        async for rows in self._pages():
            out.write(ndjson_of(rows))
        return self._exported()

    async def csv(self, out: BinaryIO) -> Exported:
        """Write the version as CSV. Raises `ApiError`, `NotInCsv`.

        The header names the attributes and quantities of all prices, so the rows go to a temporary file first.
        """
        columns = Columns()
        with TemporaryFile() as buffer:
            async for rows in self._pages():
                columns.add(rows)
                buffer.write(ndjson_of(rows))
            buffer.seek(0)
            out.write(columns.header())
            for rows in _read(buffer):
                out.write(columns.lines(rows))
        return self._exported()

    def _exported(self) -> Exported:
        assert self._version is not None  # noqa: S101 - the first page has set it
        return Exported(self._price_list, self._version, self._rows)

    async def _pages(self) -> AsyncIterator[list[Json]]:
        """Yield the rows of the version in sku order, and request the next page before one is processed."""
        next_page = asyncio.ensure_future(self._page(None))
        try:
            while True:
                snapshot = await next_page
                self._version = snapshot["version"]
                page = snapshot["prices"]
                more = page["pageInfo"]["hasNextPage"]
                if more:
                    next_page = asyncio.ensure_future(self._page(page["pageInfo"]["endCursor"]))
                    await asyncio.sleep(0)  # starts the request
                rows = [row_of(price) for price in page["nodes"]]
                self._rows += len(rows)
                yield rows
                self._show_progress(self._rows, snapshot["size"])
                if not more:
                    break
        finally:
            next_page.cancel()
        if self._rows != snapshot["size"]:
            raise ApiError(
                f"Version {self._version} of {self._price_list} has {snapshot['size']} prices, "
                f"but the server sent {self._rows}. Run `pricebook check`."
            )

    async def _page(self, after: str | None) -> Json:
        variables = {"priceList": self._price_list, "version": self._version, "after": after}
        snapshot: Json | None = (await self._execute(EXPORT, variables))["snapshot"]
        if snapshot is None:
            raise ApiError(
                f"There is no price list {self._price_list!r} with a current version. `pricebook lists` shows all."
            )
        return snapshot


def _read(buffer: BinaryIO) -> Iterator[list[Json]]:
    decoder = msgspec.json.Decoder(Json)
    rows: list[Json] = []
    for line in buffer:
        rows.append(decoder.decode(line))
        if len(rows) == _CONVERTED_ROWS:
            yield rows
            rows = []
    yield rows
