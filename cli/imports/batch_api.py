"""The calls of a batch that is sent in chunks: open, append, commit, and look how it goes."""

import asyncio
import gzip
from dataclasses import dataclass
from typing import Any

from cli.client.client import Json, RetryingApi, Upload
from cli.client.sync_client import ApiError
from cli.imports.chunks import Chunk
from cli.imports.price_files import Format

BATCH = """
fragment Whole on Batch {
  id priceList state mode version checksum label errorCount
  progress { received stored expected }
  errors { index line sku field code message }
  findings { gate severity message observed limit }
  summary { added removed changed unchanged }
  served { by of }
}"""

CREATE = """
mutation Create($input: CreatePriceListInput!) {
  createPriceList(input: $input) { userErrors { code message path } }
}"""

OPEN = f"""
mutation Open($input: OpenBatchInput!) {{
  openBatch(input: $input) {{
    batch {{ ...Whole sequences }}
    snapshot {{ version size }}
    userErrors {{ code message path }}
  }}
}}
{BATCH}"""

APPEND = """
mutation Append($input: AppendBatchInput!) {
  appendBatch(input: $input) { batch { id state } userErrors { code message path } }
}"""

COMMIT = f"""
mutation Commit($input: CommitBatchInput!) {{
  commitBatch(input: $input) {{
    batch {{ ...Whole }}
    snapshot {{ version size }}
    userErrors {{ code message path }}
  }}
}}
{BATCH}"""

LOOK = f"""
query Look($id: ID!) {{
  batch(id: $id) {{ ...Whole }}
}}
{BATCH}"""

_COMPRESSION = 1  # the network is rarely slower than a higher level
_EXISTS = "PRICE_LIST_EXISTS"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for, without the rows. `mode` and `publish` are as the schema has them."""

    price_list: str
    mode: str
    key: str
    publish: str
    expected_version: int | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: the batch, the size of its version, and why it came to nothing."""

    batch: Json
    size: int | None
    user_errors: list[Json]

    @property
    def state(self) -> str:
        """The state of the batch."""
        return str(self.batch["state"])


class BatchApi:
    """The calls, each safe to repeat. They raise `ApiError` when they are refused."""

    def __init__(self, api: RetryingApi) -> None:
        self._api = api

    async def create_list(self, name: str) -> bool:
        """Create a list where it is missing; return whether it was."""
        payload = await self._mutate(CREATE, {"name": name})
        if any(error["code"] == _EXISTS for error in payload["userErrors"]):
            return False
        _check(payload)
        return True

    async def open(self, order: Order) -> Outcome:
        """Return the batch of the order's key, opened now or before."""
        return _outcome(
            await self._mutate(
                OPEN,
                {
                    "priceList": order.price_list,
                    "mode": order.mode,
                    "idempotencyKey": order.key,
                    "publish": order.publish,
                    "expectedVersion": order.expected_version,
                    "label": order.label,
                },
            )
        )

    async def append(self, batch_id: str, chunk: Chunk) -> str | None:
        """Send one chunk; return what is wrong with its rows, if something is."""
        part: Json = {"batch": batch_id, "sequence": chunk.sequence}
        if chunk.format is Format.SKUS:
            payload = await self._mutate(APPEND, {**part, "remove": chunk.skus()})
        else:
            content = await asyncio.to_thread(lambda: gzip.compress(chunk.file(), _COMPRESSION, mtime=0))
            file = Upload(f"{chunk.sequence}{chunk.format}.gz", content, "application/gzip")
            payload = await self._mutate(APPEND, {**part, "file": None}, file)
        if payload["batch"] is None:
            _check(payload)
        return " ".join(error["message"] for error in payload["userErrors"]) or None

    async def commit(self, batch_id: str, parts: int, size: int) -> Outcome:
        """Close the batch: so many parts were sent, with so many prices."""
        return _outcome(await self._mutate(COMMIT, {"batch": batch_id, "parts": parts, "size": size}))

    async def look(self, batch_id: str) -> Json:
        """Return the batch as it is now."""
        batch: Json | None = (await self._api.execute(LOOK, {"id": batch_id}))["batch"]
        if batch is None:
            raise ApiError(f"The server does not know batch {batch_id} any more.")
        return batch

    async def _mutate(self, document: str, sent: Json, file: Upload | None = None) -> Json:
        data = await self._api.execute(document, {"input": sent}, file)
        payload: Any
        ((name, payload),) = data.items()
        return {"name": name, **payload}


def _outcome(payload: Json) -> Outcome:
    if payload["batch"] is None:
        _check(payload)
        raise ApiError(f"{payload['name']} answered without a batch.")
    snapshot = payload["snapshot"]
    return Outcome(payload["batch"], snapshot and snapshot["size"], payload["userErrors"])


def _check(payload: Json) -> None:
    if payload["userErrors"]:
        lines = [f"  {error['code']}: {error['message']}" for error in payload["userErrors"]]
        raise ApiError("\n".join([f"{payload['name']} was refused:", *lines]))
