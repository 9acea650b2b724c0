"""Publishing, scheduling, rolling back and discarding a release: all of its lists at once, or none."""

import asyncio

from nicegui import ui

from console.actions.changes import changes_between, changes_now
from console.client import Json
from console.client.errors import ApiError
from console.frame.visit import Visit
from console.widgets.batches import show_schedule
from console.widgets.dialogs import ActionDialog, InstantField
from console.widgets.parts import Text
from console.widgets.releases import RELEASE_FIELDS, UNPUBLISHED, item_move_text, obstacles
from console.widgets.versions import move_text, summary_text

SEEN = f"""
query ConsoleSeenRelease($id: ID!) {{
  release(id: $id) {{ {RELEASE_FIELDS} }}
}}"""

_PAYLOAD = "{ release { id } userErrors { code message } }"
PUBLISH = f"mutation ConsolePublishRelease($input: PublishReleaseInput!) {{ publishRelease(input: $input) {_PAYLOAD} }}"
SCHEDULE = (
    f"mutation ConsoleScheduleRelease($input: ScheduleReleaseInput!) {{ scheduleRelease(input: $input) {_PAYLOAD} }}"
)
ROLLBACK = (
    f"mutation ConsoleRollbackRelease($input: ReviewReleaseInput!) {{ rollbackRelease(input: $input) {_PAYLOAD} }}"
)
DISCARD = f"mutation ConsoleDiscardRelease($input: ReviewReleaseInput!) {{ discardRelease(input: $input) {_PAYLOAD} }}"


class SeenRelease:
    """A release as it is when a dialog shows it."""

    def __init__(self, visit: Visit, release: Json) -> None:
        self.visit = visit
        self.release = release

    @property
    def title(self) -> str:
        """The name of the release."""
        return f"release {self.release['name']}"

    async def read(self, states: frozenset[str]) -> Json:
        """Return the release as it is now. Raises `ApiError` if it is in none of these states any more."""
        release: Json | None = (await self.visit.api.query(SEEN, id=self.release["id"]))["release"]
        if release is None or release["state"] not in states:
            state = release["state"] if release else "gone"
            raise ApiError.of("RELEASE_CHANGED", f"The release is {state}. Load the page again.")
        self.release = release
        return release

    async def check_same_batches(self) -> None:
        """Raise `ApiError` if the release has other batches by now than were shown."""
        now = (await self.visit.api.query(SEEN, id=self.release["id"]))["release"]
        if now is None or _batches(now) != _batches(self.release):
            message = "Another batch was sent with the release, or one was rejected, since it was shown. Look again."
            raise ApiError.of("CONFLICT", message)

    async def show_publication(self) -> None:
        """Show what the publication changes in each list, and what stands against it."""
        changes = await asyncio.gather(*(changes_now(self.visit, each["batch"]) for each in self.release["items"]))
        with ui.element("ul").classes("moves"):
            for item, text in zip(self.release["items"], changes, strict=True):
                _show_move(item, item_move_text(self.release, item), text, obstacles(item))

    async def show_return(self) -> None:
        """Show what the rollback changes in each list, and which of them have moved since."""
        changes = await asyncio.gather(*(self._changes_of_return(each) for each in self.release["items"]))
        with ui.element("ul").classes("moves"):
            for item, text in zip(self.release["items"], changes, strict=True):
                current = item["priceList"]["currentVersion"]
                against = [f"version {current} is current by now"] if current != item["toVersion"] else []
                against += ["it had no version before"] if item["fromVersion"] is None else []
                _show_move(item, move_text(item["toVersion"], item["fromVersion"]), text, against)

    async def _changes_of_return(self, item: Json) -> str:
        before, after = item["toVersion"], item["fromVersion"]
        if before is None or after is None:
            return ""
        try:
            return await changes_between(self.visit, item["priceList"]["name"], before, after)
        except ApiError as error:  # such as a version that has expired
            return str(error)


def publish_dialog(visit: Visit, release: Json) -> ActionDialog:
    """Return the dialog that publishes a release."""
    seen = SeenRelease(visit, release)

    async def preview() -> None:
        await seen.read(UNPUBLISHED)
        Text("p", "All lists at one moment, or none:")
        await seen.show_publication()

    async def act(reason: str) -> None:
        await seen.check_same_batches()
        expected = [
            {"priceList": each["priceList"]["name"], "version": each["priceList"]["currentVersion"]}
            for each in seen.release["items"]
        ]
        await visit.api.mutate(PUBLISH, release=release["id"], reason=reason, expected=expected)

    return ActionDialog(f"Publish {seen.title}", "Publish", preview, act)


def schedule_dialog(visit: Visit, release: Json) -> ActionDialog:
    """Return the dialog that gives a release an instant at which it is published, or another one."""
    seen = SeenRelease(visit, release)
    field: InstantField

    async def preview() -> None:
        nonlocal field
        await seen.read(UNPUBLISHED)
        show_schedule(visit.viewer, seen.release["publishAt"])
        await seen.show_publication()
        field = InstantField("Publish at", visit.viewer.zone)

    async def act(reason: str) -> None:
        await visit.api.mutate(SCHEDULE, release=release["id"], publishAt=field.read(), reason=reason)

    return ActionDialog(f"Schedule {seen.title}", "Schedule", preview, act)


def unschedule_dialog(visit: Visit, release: Json) -> ActionDialog:
    """Return the dialog that takes the schedule of a release away."""
    seen = SeenRelease(visit, release)

    async def preview() -> None:
        await seen.read(frozenset({"SCHEDULED"}))
        show_schedule(visit.viewer, seen.release["publishAt"])
        Text("p", "It is open again, and waits until somebody publishes it.")

    async def act(reason: str) -> None:
        await visit.api.mutate(SCHEDULE, release=release["id"], publishAt=None, reason=reason)

    return ActionDialog(f"Take {seen.title} off its schedule", "Take it off", preview, act)


def rollback_dialog(visit: Visit, release: Json) -> ActionDialog:
    """Return the dialog that takes all lists of a release back, and pins them."""
    seen = SeenRelease(visit, release)

    async def preview() -> None:
        await seen.read(frozenset({"PUBLISHED"}))
        Text("p", "All lists at one moment, or none; each is pinned there:")
        await seen.show_return()

    async def act(reason: str) -> None:
        await visit.api.mutate(ROLLBACK, release=release["id"], reason=reason)

    return ActionDialog(
        f"Roll back {seen.title}", "Roll back", preview, act, typed_name=release["name"], dangerous=True
    )


def discard_dialog(visit: Visit, release: Json) -> ActionDialog:
    """Return the dialog that gives a release up, and rejects its batches."""
    seen = SeenRelease(visit, release)

    async def preview() -> None:
        await seen.read(UNPUBLISHED)
        count = len(seen.release["items"])
        rejected = f"Its {count} {'batch is' if count == 1 else 'batches are'} rejected. " if count else ""
        Text("p", f"{rejected}A discarded release cannot be opened again.")
        with ui.element("ul").classes("moves"):
            for item in seen.release["items"]:
                _show_move(item, item_move_text(seen.release, item), summary_text(item["batch"]["summary"]), [])

    async def act(reason: str) -> None:
        await visit.api.mutate(DISCARD, release=release["id"], reason=reason)

    return ActionDialog(f"Discard {seen.title}", "Discard", preview, act, dangerous=True)


def _batches(release: Json) -> list[str]:
    return [each["batch"]["id"] for each in release["items"]]


def _show_move(item: Json, move: str, changes: str, against: list[str]) -> None:
    with ui.element("li"):
        Text("strong", item["priceList"]["name"])
        Text("span", move)
        Text("span", changes).classes("note")
        if against:
            Text("span", "; ".join(against)).classes("badge warn")
