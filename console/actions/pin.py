"""Pin the current version of a price list, and unpin it: with or without publishing what waited."""

from nicegui import ui

from console.actions.changes import rebased_changes
from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import batch_path
from console.frame.visit import Visit
from console.widgets.dialogs import ActionDialog
from console.widgets.parts import Text, empty, fact, facts, link
from console.widgets.versions import snapshot_text

PINNABLE = """
query ConsolePinnable($name: ID!) {
  priceList(name: $name) { current { version label size } pin { version by reason } }
}"""

PINNED = """
query ConsolePinned($name: ID!, $first: Int!) {
  priceList(name: $name) {
    current { version label size }
    pin { version by reason }
    heldByPin(first: $first) { nodes { id version label submittedBy createdAt } totalCount }
  }
}"""

PIN = """
mutation ConsolePin($input: PinInput!) {
  pin(input: $input) { priceList { currentVersion } userErrors { code message } }
}"""

UNPIN = """
mutation ConsoleUnpin($input: UnpinInput!) {
  unpin(input: $input) { priceList { currentVersion } userErrors { code message } }
}"""

SHOWN_BATCHES = 10
"""Batches that a preview names; it counts them all."""


def pin_dialog(visit: Visit, list_name: str) -> ActionDialog:
    """Return the dialog that pins the current version of a price list."""
    pin = _Pin(visit, list_name)
    return ActionDialog(f"Pin the current version of {list_name}", "Pin", pin.preview, pin.act)


def unpin_dialog(visit: Visit, list_name: str) -> ActionDialog:
    """Return the dialog that unpins a price list. Batches that the pin held stay held."""
    unpin = _Unpin(visit, list_name)
    return ActionDialog(f"Unpin {list_name}", "Unpin", unpin.preview, unpin.act)


def publish_latest_dialog(visit: Visit, list_name: str) -> ActionDialog:
    """Return the dialog that unpins a price list and publishes the newest batch that only the pin held."""
    publish = _PublishLatest(visit, list_name)
    return ActionDialog(f"Unpin {list_name} and publish the latest", "Unpin and publish", publish.preview, publish.act)


class _Pin:
    def __init__(self, visit: Visit, list_name: str) -> None:
        self._visit = visit
        self._name = list_name
        self._version: int | None = None

    async def preview(self) -> None:
        found = (await self._visit.api.query(PINNABLE, name=self._name))["priceList"]
        if found is None or found["current"] is None:
            raise ApiError.of("NO_VERSION", "No version has been published: there is nothing to pin.")
        self._version = found["current"]["version"]
        with facts():
            fact("Stays current", snapshot_text(found["current"]))
            if found["pin"]:
                fact("Pinned by", found["pin"]["by"], title=found["pin"]["reason"])
        Text("p", "Batches are still taken in and checked, and wait until the list is unpinned.")

    async def act(self, reason: str) -> object:
        return await self._visit.api.mutate(
            PIN, priceList=self._name, version=self._version, expectedVersion=self._version, reason=reason
        )


class _Unpin:
    def __init__(self, visit: Visit, list_name: str) -> None:
        self._visit = visit
        self._name = list_name
        self._version: int | None = None

    async def preview(self) -> None:
        found = await self._read()
        held = found["heldByPin"]
        Text("p", f"Version {self._version} stays current until the next batch is published.")
        if not held["totalCount"]:
            Text("p", "No batch waits for this.")
            return
        Text("p", f"Batches that only the pin held, and that stay held: {held['totalCount']:,}.")
        show_batches(held)

    async def act(self, reason: str) -> object:
        return await self._visit.api.mutate(
            UNPIN, priceList=self._name, expectedVersion=self._version, publishLatest=False, reason=reason
        )

    async def _read(self) -> Json:
        data = await self._visit.api.query(PINNED, name=self._name, first=SHOWN_BATCHES)
        found: Json | None = data["priceList"]
        if found is None or found["pin"] is None:
            raise ApiError.of("NOT_PINNED", f"{self._name} is not pinned any more. Load the page again.")
        self._version = found["current"]["version"]
        with facts():
            fact("Current", snapshot_text(found["current"]))
            fact("Pinned by", found["pin"]["by"])
            fact("Reason of the pin", found["pin"]["reason"])
        return found


class _PublishLatest(_Unpin):
    def __init__(self, visit: Visit, list_name: str) -> None:
        super().__init__(visit, list_name)
        self._batch: str | None = None

    async def preview(self) -> None:
        held = (await self._read())["heldByPin"]
        if not held["nodes"]:
            raise ApiError.of("NOTHING_HELD", "No batch waits for the pin alone. Unpin without publishing.")
        latest = held["nodes"][0]
        self._batch = latest["id"]
        with facts():
            fact("To be published", batch_text(latest))
            if changes := await rebased_changes(self._visit, latest["id"]):
                fact("Changes", changes)
        link("Look at the batch", batch_path(latest["id"])).props["target"] = "_blank"
        if held["totalCount"] > 1:
            Text("p", f"Superseded, and never published: {held['totalCount'] - 1:,}.")
            show_batches(held, start=1)

    async def act(self, reason: str) -> object:
        return await self._visit.api.mutate(
            UNPIN,
            priceList=self._name,
            expectedVersion=self._version,
            publishLatest=True,
            expectedBatch=self._batch,
            reason=reason,
        )


def show_batches(held: Json, *, start: int = 0) -> None:
    """Show the batches of a page of `heldByPin` as links, and how many there are beyond it."""
    with ui.element("ul").classes("changes"):
        for batch in held["nodes"][start:]:
            with ui.element("li"):
                link(batch_text(batch), batch_path(batch["id"])).props["target"] = "_blank"
    more = held["totalCount"] - len(held["nodes"])
    if more:
        empty(f"and {more:,} older ones")


def batch_text(batch: Json) -> str:
    """Return a sealed batch in a line: `version 31 · 2026-11-02 · by importer`."""
    parts = (f"version {batch['version']}", batch["label"], f"by {batch['submittedBy']}")
    return " · ".join(each for each in parts if each is not None)
