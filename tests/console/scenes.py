"""The data that an operator finds on the pages: lists in every state, batches that wait or failed, a release."""

import datetime
import secrets
from dataclasses import dataclass
from typing import Any

from tests.console.conftest import Stage
from tests.graph.api import Client, row

GATES = """
mutation ($input: UpdatePriceListInput!) {
  updatePriceList(input: $input) { userErrors { code } }
}"""

MOVE = """
mutation ($rollback: RollbackInput!) {
  rollback(input: $rollback) { userErrors { code } }
}"""

RELEASE = """
mutation ($input: CreateReleaseInput!) {
  createRelease(input: $input) { release { id } userErrors { code } }
}"""

HOSTILE = '<img src=x onerror="document.title=1">{{7*7}}'
"""A text that would do something if it were read as HTML or as a template."""


@dataclass(frozen=True)
class Scenes:
    """The ids that paths need."""

    held_batch: str
    failed_batch: str
    release: str


async def set_scenes(stage: Stage) -> Scenes:
    """Publish, hold, fail and roll back."""
    ada, ingrid = stage.clients["ada"], stage.clients["ingrid"]
    await ada.create("retail", "retail-eu", "wholesale", "new")
    await ada.data(GATES, input={"name": "retail", "gates": {"maxPriceChangePercent": "50"}})
    for version in range(1, 7):
        for name in ("retail", "retail-eu", "wholesale"):
            await _publish(ingrid, name, [row(f"TEA-{sku}", str(sku + version)) for sku in range(100, 130 + version)])
    held = await _publish(ingrid, "retail", [row("TEA-100", "990.00"), row("TEA-101", "1.00")], label=HOSTILE)
    failed = await _publish(ingrid, "retail", [row("TEA-100", "-1"), row("TEA-101", "1.00", "XXY")])
    await ada.data(MOVE, rollback={"priceList": "wholesale", "toVersion": 4, "reason": "Version 6 lacks a discount"})
    tomorrow = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)).isoformat()
    await _publish(ingrid, "retail-eu", [row("TEA-100", "99.00")], label="sale", publishAt=tomorrow)
    created = await ada.data(RELEASE, input={"name": "Autumn", "idempotencyKey": secrets.token_hex(8)})
    release = created["createRelease"]["release"]["id"]
    for name in ("retail-eu", "wholesale"):
        await _publish(ingrid, name, [row("TEA-100", "95.00")], release=release)
    return Scenes(held["id"], failed["id"], release)


async def _publish(client: Client, name: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    batch: dict[str, Any] = (await client.submit(name, rows, mode="MERGE", **more))["batch"]
    return batch
