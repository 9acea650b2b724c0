"""Reading a version out, page by page: every page is of the same version, whatever is published meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

import msgspec

from cli.client.sync_client import ApiError
from cli.exports.rows import Columns, Json, ndjson_of, row_of

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

# Lines that are turned to CSV at once.
_LINES = 1000

Ask = Callable[[str, Json], Awaitable[Json]]
"""Executes a document with variables, and returns the data of the answer."""

Tell = Callable[[int, int], None]
"""Called with the rows that were read, and those that there are."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported."""

    price_list: str
    version: int
    rows: int


class Exporter:
    """Exports one version of a list. Without a number it is the one that is current when the first page is read."""

    def __init__(self, ask: Ask, price_list: str, version: int | None, tell: Tell) -> None:
        self._ask = ask
        self._price_list = price_list
        self._version = version
        self._tell = tell
        self._rows = 0

    async def ndjson(self, out: BinaryIO) -> Exported:
        """Write the version as NDJSON. Raises `ApiError`."""
        async for rows in self._pages():
            out.write(ndjson_of(rows))
        return self._exported()

    async def csv(self, out: BinaryIO) -> Exported:
        """Write the version as CSV. Raises `ApiError`, `NotInCsv`.

        The header names the attributes and quantities of all prices, so they are kept on disk until all are known.
        """
        columns = Columns()
        with TemporaryFile() as kept:
            async for rows in self._pages():
                columns.add(rows)
                kept.write(ndjson_of(rows))
            kept.seek(0)
            out.write(columns.header())
            for rows in _read(kept):
                out.write(columns.lines(rows))
        return self._exported()

    def _exported(self) -> Exported:
        assert self._version is not None  # noqa: S101 - the first page told
        return Exported(self._price_list, self._version, self._rows)

    async def _pages(self) -> AsyncIterator[list[Json]]:
        """Return the rows of the version in sku order; the next page is on its way while one is worked on."""
        coming = asyncio.ensure_future(self._page(None))
        try:
            while True:
                snapshot = await coming
                self._version = snapshot["version"]
                page = snapshot["prices"]
                more = page["pageInfo"]["hasNextPage"]
                if more:
                    coming = asyncio.ensure_future(self._page(page["pageInfo"]["endCursor"]))
                    await asyncio.sleep(0)  # so that it is sent
                rows = [row_of(price) for price in page["nodes"]]
                self._rows += len(rows)
                yield rows
                self._tell(self._rows, snapshot["size"])
                if not more:
                    break
        finally:
            coming.cancel()
        if self._rows != snapshot["size"]:
            raise ApiError(
                f"Version {self._version} of {self._price_list} has {snapshot['size']} prices, but {self._rows} came. "
                "Run `pricebook check`."
            )

    async def _page(self, after: str | None) -> Json:
        variables = {"priceList": self._price_list, "version": self._version, "after": after}
        snapshot: Json | None = (await self._ask(EXPORT, variables))["snapshot"]
        if snapshot is None:
            raise ApiError(f"No version of a price list {self._price_list!r} is current. Is its name right?")
        return snapshot


def _read(kept: BinaryIO) -> Iterator[list[Json]]:
    decoder = msgspec.json.Decoder(Json)
    rows: list[Json] = []
    for line in kept:
        rows.append(decoder.decode(line))
        if len(rows) == _LINES:
            yield rows
            rows = []
    yield rows
