"""Operators: they review held batches, pin, roll back, change gates, and run retention."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.soak.client import LOST, RETRYABLE, Client, Record, Refusal
from tests.soak.model import ListModel

LIST = "priceList { currentVersion pin { version } } userErrors { code message }"
CREATE = f"mutation ($input: CreatePriceListInput!) {{ createPriceList(input: $input) {{ {LIST} }} }}"
UPDATE = f"mutation ($input: UpdatePriceListInput!) {{ updatePriceList(input: $input) {{ {LIST} }} }}"
PIN = f"mutation ($input: PinInput!) {{ pin(input: $input) {{ {LIST} }} }}"
UNPIN = f"mutation ($input: UnpinInput!) {{ unpin(input: $input) {{ {LIST} }} }}"
ROLLBACK = f"mutation ($input: RollbackInput!) {{ rollback(input: $input) {{ {LIST} }} }}"
RESTORE = f"mutation ($input: RestoreInput!) {{ restore(input: $input) {{ {LIST} }} }}"
RETAIN = "mutation ($input: RetainInput!) { retain(input: $input) { userErrors { code message } } }"
BATCH = "batch { id } userErrors { code message }"
APPROVE = f"mutation ($input: ReviewBatchInput!) {{ approveBatch(input: $input) {{ {BATCH} }} }}"
REJECT = f"mutation ($input: ReviewBatchInput!) {{ rejectBatch(input: $input) {{ {BATCH} }} }}"
HELD = """query ($list: ID!) {
  batches(priceList: $list, state: HELD, first: 50) { nodes { id findings { gate } } }
}"""

GATES: Sequence[dict[str, Any]] = (
    {},
    {"maxShrinkPercent": "20"},
    {"maxChangedPercent": "15"},
    {"minSize": 20, "allowedCurrencies": ["EUR"]},
)


class Operator:
    """Does something to one list after the other."""

    def __init__(self, client: Client, lists: Sequence[ListModel], record: Record, pause: float) -> None:
        self._client = client
        self._random = client.random
        self._lists = lists
        self._record = record
        self._pause = pause

    async def run(self, stopping: asyncio.Event) -> None:
        """Operate until stopped, and then leave every list unpinned."""
        acts = (self._review, self._review, self._review, self._pin, self._rollback, self._gates, self._retention)
        while not stopping.is_set():
            found = self._random.choice(self._lists)
            if found.current:
                await self._random.choice(acts)(found)
            await asyncio.sleep(self._random.uniform(0, 2 * self._pause))

    async def _review(self, found: ListModel) -> None:
        """Approve or reject a few held batches."""
        held = await self._do("list held batches", HELD, {"list": found.name})
        batches = held["nodes"] if held else []
        for batch in self._random.sample(batches, min(len(batches), 10)):
            name, document = self._random.choice((("approve", APPROVE), ("reject", REJECT)))
            await self._do(name, document, {"input": {"batch": batch["id"], "reason": "soak"}})

    async def _pin(self, found: ListModel) -> None:
        """Hold the list for some seconds."""
        await self._do("pin", PIN, {"input": self._input(found, version=self._recent(found))})
        await self._unpin_later(found)

    async def _rollback(self, found: ListModel) -> None:
        pin = self._random.random() < 0.5
        await self._do("rollback", ROLLBACK, {"input": self._input(found, toVersion=self._recent(found), pin=pin)})
        if pin:
            await self._unpin_later(found)

    async def _unpin_later(self, found: ListModel) -> None:
        await asyncio.sleep(self._random.uniform(0, 5 * self._pause))
        for publish_latest in (self._random.random() < 0.7, False):
            await self._do("unpin", UNPIN, {"input": self._input(found, publishLatest=publish_latest)}, repeat=True)

    async def _gates(self, found: ListModel) -> None:
        await self._do("update", UPDATE, {"input": {"name": found.name, "gates": self._random.choice(GATES)}})

    async def _retention(self, found: ListModel) -> None:
        await self._do("retain", RETAIN, {"input": {"priceList": found.name}})
        expired = self._random.choice(sorted(found.versions)[:40])
        await self._do("restore", RESTORE, {"input": self._input(found, version=expired)})

    def _input(self, found: ListModel, **fields: Any) -> dict[str, Any]:
        return {"priceList": found.name, "reason": "soak", **fields}

    def _recent(self, found: ListModel) -> int:
        return self._random.choice(found.history[-12:])

    async def _do(self, name: str, document: str, variables: dict[str, Any], *, repeat: bool = False) -> Any:
        """Send an operation through any process, and count its outcome; with `repeat`, until it is known."""
        while True:
            self._client.switch()
            try:
                answer = await self._client.send(document, variables)
            except Refusal as refusal:
                self._record.refuse(name, refusal)
                if not repeat or refusal.code not in {LOST, *RETRYABLE}:
                    return None
                await asyncio.sleep(0.3)
                continue
            for error in answer.get("userErrors", ()):
                self._record.refuse(name, Refusal(error["code"], error["message"]))
            if not answer.get("userErrors"):
                self._record.answers[name] += 1
            return answer
