"""The model: the prices that each version of a list must have, from the batches that were sent and the list's events.

A price is the number of the batch that set it last, so the content of a version is a list: at the place of each sku
the number of a batch, and 0 without a price. An event names the version on which a batch was published, and the batch
is known to the sender, so the content of every version is known without asking the service for a price.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Content = list[int]

REMEMBERED_VERSIONS = 120
"""Number of newest versions of a list whose contents the model keeps: several times what retention keeps."""

EXPLANATION_SECONDS = 180.0
"""How long an answer may be ahead of the events and of the responses that senders wait for, through all faults."""


class WrongAnswer(Exception):
    """An answer differs from the model. The message names the request, the answer, and what was expected."""


def sku(place: int) -> str:
    """The sku at a place of a content. Skus are in the order of their places."""
    return f"sku-{place:06}"


def price(number: int, place: int) -> dict[str, str] | None:
    """The price that batch `number` gives a sku; None without one."""
    if not number:
        return None
    return {"sku": sku(place), "amount": f"{number}.{(7 * number + place) % 100:02}", "currency": "EUR"}


def row(number: int, place: int) -> dict[str, str]:
    """The row of a price that exists."""
    found = price(number, place)
    assert found is not None
    return found


def size(content: Content) -> int:
    """The number of prices of a content."""
    return len(content) - content.count(0)


def places(content: Content) -> Iterator[int]:
    """The places that have a price."""
    return (place for place, number in enumerate(content) if number)


@dataclass(frozen=True)
class Change:
    """What a batch does: it replaces the list with `content`, or sets `numbers` by place."""

    content: Content | None = None
    numbers: Mapping[int, int] = field(default_factory=dict)

    def applied_to(self, base: Content) -> Content:
        if self.content is not None:
            return self.content
        changed = base[:]
        for place, number in self.numbers.items():
            changed[place] = number
        return changed


class ListModel:
    """The versions of a list and the history of its pointer, as far as they are known."""

    def __init__(self, name: str, skus: int) -> None:
        self.name = name
        self.skus = skus
        self.revision = 0
        self.current: int | None = None
        self.history: list[int] = []
        self.versions: dict[int, Content] = {}
        self.published: dict[str, int] = {}
        self.blocking: Mapping[str, Any] | None = None
        self._changes: dict[str, Change] = {}
        self._held_on: dict[str, Content] = {}
        self._held_as: dict[str, int] = {}
        self._ended: set[str] = set()
        self._changed = asyncio.Event()

    def add_batch(self, batch: str, change: Change, held_as: int | None = None) -> None:
        """Record what a batch does, as soon as its id is known, and the version of one that is held."""
        if batch in self._ended:
            return
        self._changes[batch] = change
        if held_as is not None:
            self._held_as[batch] = held_as
        self._add_held(batch)
        self._notify()

    def _add_held(self, batch: str) -> None:
        if batch in self._changes and batch in self._held_on and batch in self._held_as:
            self._add(self._held_as[batch], self._changes[batch].applied_to(self._held_on[batch]))

    def _end(self, batch: str) -> None:
        self._ended.add(batch)
        for known in (self._changes, self._held_on, self._held_as):
            known.pop(batch, None)

    def apply(self, event: Mapping[str, Any]) -> bool:
        """Apply the next event; return whether what its batch does is known already."""
        revision, version = revision_of(event), event["toVersion"]
        assert revision == self.revision + 1, f"{self.name}: event {revision} follows {self.revision}"
        if event["fromVersion"] != self.current:
            raise WrongAnswer(f"{self.name}: {event} does not begin at version {self.current}, which was current")
        batch = event["batch"]["id"] if event["batch"] else ""
        base = self.versions[self.current] if self.current else [0] * self.skus
        if event["kind"] in ("PUBLISHED", "APPROVED"):
            if batch not in self._changes:
                self.blocking = event
                return False
            self._add(version, self._changes[batch].applied_to(base))
            self.published[batch] = version
            self._end(batch)
        elif event["kind"] == "HELD":
            self._held_on[batch] = base
            self._add_held(batch)
        elif event["kind"] in ("REJECTED", "ABORTED", "FAILED"):
            self._end(batch)
        self.revision, self.blocking = revision, None
        if version != self.current:
            self.current = version
            self.history.append(version)
        self._prune()
        self._notify()
        return True

    def _add(self, version: int, content: Content) -> None:
        known = self.versions.setdefault(version, content)
        if known != content:
            raise WrongAnswer(f"{self.name}: two batches, or one on two versions, became version {version}")

    def _prune(self) -> None:
        for version in sorted(self.versions)[:-REMEMBERED_VERSIONS]:
            if version != self.current:
                del self.versions[version]

    async def content(self, version: int) -> Content | None:
        """Return the content of a version, once it is known; None of one that is too old."""
        while version not in self.versions:
            if self.versions and version < min(self.versions):
                return None
            await self._change(f"version {version} is not explained by any event")
        return self.versions[version]

    async def follow(self, version: int, position: int) -> int:
        """Return the place in the history, from `position` on, at which a version was current."""
        searched = position
        while True:
            for place in range(searched, len(self.history)):
                if self.history[place] == version:
                    return place
            searched = max(position, len(self.history))
            shown = self.history[position : position + 20]
            await self._change(f"version {version} was answered after {shown[:1]}; the next ones were {shown[1:]}")

    async def reached(self, revision: int) -> None:
        """Return when the events up to a revision are applied."""
        while self.revision < revision:
            await self._change(f"event {self.revision + 1} of {revision} names a batch that no sender sent")

    async def _change(self, problem: str) -> None:
        try:
            async with asyncio.timeout(EXPLANATION_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            raise WrongAnswer(f"{self.name}, revision {self.revision}, current {self.current}: {problem}") from None

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def revision_of(event: Mapping[str, Any]) -> int:
    """The revision of an event."""
    return int(event["id"].rpartition(":")[2])
