"""The API calls of a batch that is sent in parts."""

import asyncio
import gzip
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli.client import Json, Upload
from cli.client.errors import ApiError, refusal
from cli.imports.parts import Part
from cli.imports.price_files import Format

if TYPE_CHECKING:  # imported by the command when it runs: --help does not wait for it
    from cli.client.client import ApiClient

BATCH = """
fragment AllFields on Batch {
  id priceList state mode version checksum label publishAt errorCount
  release { id name }
  progress { received stored expected }
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
    batch {{ ...AllFields sequences }}
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
    batch {{ ...AllFields }}
    snapshot {{ version size }}
    userErrors {{ code message path }}
  }}
}}
{BATCH}"""

STATUS = f"""
query Status($id: ID!) {{
  batch(id: $id) {{ ...AllFields }}
}}
{BATCH}"""

ERRORS = """
query Errors($id: ID!, $first: Int!, $after: String) {
  batch(id: $id) {
    errors(first: $first, after: $after) { index line sku field code message duplicateOf cursor }
  }
}"""

ERRORS_PER_PAGE = 1000
"""Errors that are asked for at once."""

DRY_RUN = "DRY_RUN"
"""The value of `publish` of a batch that is checked and not published."""

_GZIP_LEVEL = 1
"""The fastest: the network is rarely slower than a higher level."""

_MISSING_ADVICE = "Create it with --create, or correct --list."
"""Advice if the list does not exist."""

_MISSING_DRY_RUN_ADVICE = (
    "A dry run creates nothing, and prices are checked against a list: create it first, or correct --list."
)
"""Advice if the list of a dry run does not exist."""


class ListMissing(ApiError):
    """The price list does not exist."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A batch to import, without its rows. `mode` and `publish` are values of the GraphQL enums.

    `publish_at` is in ISO 8601 format, in UTC; `release` is the id of a release.
    """

    price_list: str
    mode: str
    key: str
    publish: str
    expected_version: int | None
    label: str | None
    publish_at: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A batch, the number of prices of its version, and the errors if it was not published."""

    batch: Json
    size: int | None
    user_errors: list[Json]

    @property
    def state(self) -> str:
        """The state of the batch."""
        return str(self.batch["state"])


class BatchApi:
    """The calls; each is safe to repeat, and raises `ApiError` if it is refused."""

    def __init__(self, client: "ApiClient") -> None:
        self._client = client

    async def create_list(self, name: str) -> None:
        """Create a price list, unless it exists by now."""
        mutation, payload = await self._mutate(CREATE, {"name": name})
        if any(error["code"] != "PRICE_LIST_EXISTS" for error in payload["userErrors"]):
            raise refusal(mutation, payload["userErrors"])

    async def open(self, request: BatchRequest) -> Outcome:
        """Open a batch, or return the one that has the same key. Raises `ListMissing`."""
        schedule = {"publishAt": request.publish_at} if request.publish_at else {}
        release = {"release": request.release} if request.release else {}
        mutation, payload = await self._mutate(
            OPEN,
            {
                "priceList": request.price_list,
                "mode": request.mode,
                "idempotencyKey": request.key,
                "publish": request.publish,
                "expectedVersion": request.expected_version,
                "label": request.label,
                **schedule,
                **release,
            },
        )
        if any(error["code"] == "PRICE_LIST_NOT_FOUND" for error in payload["userErrors"]):
            advice = _MISSING_DRY_RUN_ADVICE if request.publish == DRY_RUN else _MISSING_ADVICE
            raise ListMissing(f"There is no price list {request.price_list!r}. {advice}")
        return _outcome(mutation, payload)

    async def append(self, batch_id: str, part: Part) -> str | None:
        """Send a part; return a message if some of its rows are invalid."""
        fields: Json = {"batch": batch_id, "sequence": part.sequence}
        if part.format is Format.SKUS:
            mutation, payload = await self._mutate(APPEND, {**fields, "remove": part.skus()})
        else:
            content = await asyncio.to_thread(lambda: gzip.compress(part.file(), _GZIP_LEVEL, mtime=0))
            file = Upload(f"{part.sequence}{part.format}.gz", content, "application/gzip")
            mutation, payload = await self._mutate(APPEND, {**fields, "file": None}, file)
        if payload["batch"] is None:
            raise refusal(mutation, payload["userErrors"])
        return " ".join(error["message"] for error in payload["userErrors"]) or None

    async def commit(self, batch_id: str, parts: int, size: int) -> Outcome:
        """Commit a batch, with the number of its parts and prices."""
        return _outcome(*await self._mutate(COMMIT, {"batch": batch_id, "parts": parts, "size": size}))

    async def get(self, batch_id: str) -> Json:
        """Return the present state of a batch."""
        batch: Json | None = (await self._client.execute(STATUS, {"id": batch_id}))["batch"]
        if batch is None:
            raise ApiError(f"The server no longer has batch {batch_id}.")
        return batch

    async def with_errors(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the `errors` of its invalid items: all that the server stores."""
        errors = await self._errors(outcome.batch["id"]) if outcome.batch["errorCount"] else []
        return replace(outcome, batch={**outcome.batch, "errors": errors})

    async def _errors(self, batch_id: str) -> list[Json]:
        errors: list[Json] = []
        after = None
        while True:
            variables = {"id": batch_id, "first": ERRORS_PER_PAGE, "after": after}
            batch = (await self._client.execute(ERRORS, variables))["batch"]
            if batch is None:
                raise ApiError(f"The server no longer has batch {batch_id}.")
            errors += batch["errors"]
            if len(batch["errors"]) < ERRORS_PER_PAGE:
                return errors
            after = errors[-1]["cursor"]

    async def _mutate(self, document: str, fields: Json, file: Upload | None = None) -> tuple[str, Json]:
        ((mutation, payload),) = (await self._client.execute(document, {"input": fields}, file)).items()
        return mutation, payload


def _outcome(mutation: str, payload: Json) -> Outcome:
    if payload["batch"] is None:
        raise refusal(mutation, payload["userErrors"])
    snapshot = payload["snapshot"]
    return Outcome(payload["batch"], snapshot and snapshot["size"], payload["userErrors"])
